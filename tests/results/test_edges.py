"""Tables of what hardly is one: each says so in a sentence, in every format, and none fails."""

from typing import Any

import numpy as np
import pytest

from kdbench.results import Asked
from kdbench.results.metrics import by_person, score
from kdbench.results.pages import data_sheet, scores_page, statistics_page
from kdbench.results.render import FORMS, csv_text, page_formats, page_text

STUDENT = "student alone"
ASKED = Asked("subject-v1", "har")


def everything(entries: list[Any]) -> str:
    """The table as people read it, once every other format and the statistics were made too."""
    page = scores_page(entries, asked=ASKED, version="1")
    for sort in ("value", "rank", "name"):
        scores_page(entries, asked=ASKED, version="1", sort=sort)
    for form in page_formats():
        assert page_text(page, form)
        assert page_text(statistics_page(entries, "macro_f1", asked=ASKED, version="1"), form)
    for form in FORMS:
        assert csv_text(data_sheet(form, entries, ["macro_f1", "accuracy"])).count("\n") > 1
    return page_text(page)


def runs(make: Any, rows: dict[str, list[float]], seeds: int = 3, **changes: Any) -> list[Any]:
    return [make(row, seed, scores, **changes) for row, scores in rows.items() for seed in range(seeds)]


def test_ties_are_no_victory(make_run: Any) -> None:
    text = everything(runs(make_run, {STUDENT: [0.5] * 9, "kd": [0.5] * 9, "at": [0.5] * 9}))
    assert "no method is shown better than another: kd and at are practically equal (within ±0.5 points)" in text
    assert text.count("**50.0 ± 0.0** °") == 4


def test_one_person_shows_nothing(make_run: Any) -> None:
    text = everything(runs(make_run, {STUDENT: [0.5], "kd": [0.9], "at": [0.7]}))
    assert "with one person and 3 pairs no p-value over people can go below 1, so no method is called better" in text


def test_one_seed_shows_nothing(make_run: Any) -> None:
    text = everything(runs(make_run, {STUDENT: [0.5] * 9, "kd": [0.9] * 9}, seeds=1))
    assert "one seed supports no statement on what another training would give" in text


def test_one_method_is_the_only_one(make_run: Any) -> None:
    text = everything(runs(make_run, {STUDENT: [0.5] * 9, "kd": [0.9] * 9}))
    assert "kd is the only complete method; kd gains 40.0 points over student alone" in text


def test_people_who_are_missing_in_some_runs_are_left_out(make_run: Any) -> None:
    entries = runs(make_run, {STUDENT: [0.5] * 9, "kd": [0.9] * 9})
    entries[0] = make_run(STUDENT, 0, [0.5] * 8, names=[str(n + 2) for n in range(8)])
    assert "over 8 people and 3 seeds" in everything(entries)
    other = make_run(STUDENT, 0, [0.5] * 8, names=[f"x{n}" for n in range(8)])
    assert "no person of uci_har is in every run" in everything([other, *entries[1:]])


def test_all_n_a_is_no_answer(make_entry: Any, make_run: Any) -> None:
    refused = {"status": "n/a", "reason": "there is no time axis"}
    entries = [make_entry(row, seed, None, **refused) for row in ("kd", "at") for seed in range(3)]
    text = everything(runs(make_run, {STUDENT: [0.5] * 9}) + entries)
    assert "No answer: no method is complete (kd: uci_har, big:small: n/a: there is no time axis; at:" in text
    assert "No answer: the table has no row of student alone" in everything(entries)


def test_failed_and_partial_rows_are_never_blank(make_entry: Any, make_run: Any) -> None:
    entries = runs(make_run, {STUDENT: [0.5] * 9, "kd": [0.9] * 9})
    entries += [make_run("half", 0, [0.8] * 9), make_entry("half", 1, None, status="failed", reason="NaN")]
    entries += [make_entry("half", 2, None)]
    entries += [make_entry("gone", seed, None, status="failed", reason="NaN") for seed in range(3)]
    text = everything(entries)
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    assert all(all(cell for cell in line) for line in lines)
    assert "80.0 (failed 1 of 3, 1 not run)" in text
    assert "failed 3 of 3" in text


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_class_that_nobody_has_counts_nothing_and_the_caption_says_so(make_entry: Any, seeds: int) -> None:
    rng = np.random.default_rng(0)
    y, person = rng.integers(0, 3, size=180), np.repeat(np.arange(9), 20)
    entries = []
    for row, skill in ((STUDENT, 1.0), ("kd", 9.0)):
        for seed in range(seeds):
            logits = rng.normal(size=(180, 4)) * [1, 1, 1, 0] + skill * np.eye(4)[y] - [0, 0, 0, 50]
            student = score(logits, y, person) | {"by_person": by_person(logits, y, person)}
            entries.append(make_entry(row, seed, 0.5, record={"metrics": {"student": student}}))
    text = everything(entries)
    assert "1 of 4 classes is in no window judged on uci_har and counts 0 in macro-F1" in text


def test_two_datasets_of_the_same_people_are_one_witness(make_run: Any) -> None:
    rows = {STUDENT: [0.5] * 9, "kd": [0.9] * 9}
    text = everything(runs(make_run, rows) + runs(make_run, rows, dataset="hapt", people="uci_har"))
    assert "uci_har and hapt are of the same people, who count once in every test" in text
    assert "over 9 people and 3 seeds" in text
