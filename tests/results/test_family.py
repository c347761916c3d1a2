"""Who is in a tier, by hand, and what a table then shows."""

import math
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats

from kdbench.results import Asked
from kdbench.results.metrics import by_person, score
from kdbench.results.pages import scores_page, wide_sheet
from kdbench.results.render import csv_text, page_text
from kdbench.results.sheet import Mark
from kdbench.results.tables.family import Family, family, judge
from kdbench.results.tables.model import Standing
from kdbench.results.tables.people import people_behind
from kdbench.results.tables.scores import tabulate

STUDENT = "student alone"
ASKED = Asked("subject-v1", "har")


@pytest.fixture
def entries(make_record: Any, make_entry: Any) -> list[Any]:
    """Three rows on nine people with real predictions: 3 seeds, 40 windows a person, 4 classes."""
    rng = np.random.default_rng(7)
    y, person = rng.integers(0, 4, size=360), np.repeat(np.arange(9), 40)
    made = []
    for row, skill in ((STUDENT, 0.9), ("kd", 1.6), ("at", 1.7)):
        for seed in range(3):
            logits = rng.normal(size=(360, 4)) + skill * np.eye(4)[y] * rng.normal(1, 0.3, size=9)[person][:, None]
            student = score(logits, y, person) | {"by_person": by_person(logits, y, person)}
            made.append(make_entry(row, seed, 0.5, record={"metrics": {"student": student}}))
            made[-1].record.facts["kept"] = (logits, y, person)  # for the independent count below
    return made


def accuracies(entries: list[Any], row: str) -> np.ndarray:
    """(seeds, people) from predictions, by nothing of kdbench."""
    rows = []
    for entry in entries:
        if entry.place.row == row:
            logits, y, person = entry.record.facts["kept"]
            rows.append([np.mean(logits[person == p].argmax(1) == y[person == p]) for p in range(9)])
    return np.array(rows)


def quasi_t(d: np.ndarray) -> tuple[float, float]:
    """Of (3, 9) differences: p and half the width of the interval, by the textbook's mean squares and scipy's t."""
    people = 3 * ((d.mean(axis=0) - d.mean()) ** 2).sum() / 8
    seeds = 9 * ((d.mean(axis=1) - d.mean()) ** 2).sum() / 2
    rest = sum((d[s, p] - d[s].mean() - d[:, p].mean() + d.mean()) ** 2 for s in range(3) for p in range(9)) / 16
    variance = (max(people - rest, 0) + max(seeds - rest, 0) + rest) / 27
    degrees = variance**2 / ((people**2 / 8 + seeds**2 / 2 + rest**2 / 16) / 27**2)
    degrees = math.floor(min(degrees, 8 if people > rest else 16))
    error = math.sqrt(variance)
    return 2 * scipy.stats.t.sf(abs(d.mean()) / error, degrees), error * scipy.stats.t.ppf(0.975, degrees)


def test_an_adjusted_p_and_an_interval_are_those_counted_from_predictions(entries: list[Any]) -> None:
    found = family(people_behind(entries), tabulate(entries, "accuracy"), tabulate(entries, "accuracy").blocks)
    assert isinstance(found, Family)
    values = {row: accuracies(entries, row) for row in (STUDENT, "kd", "at")}
    each = {pair: values[pair[0]] - values[pair[1]] for pair in combinations(values, 2)}
    pairs = {pair: d.mean(axis=0) for pair, d in each.items()}
    signs = list(product((1, -1), repeat=9))
    single = {pair: np.mean([abs((d * s).sum()) >= abs(d.sum()) - 1e-12 for s in signs]) for pair, d in pairs.items()}
    single = {pair: max(p, quasi_t(each[pair])[0]) for pair, p in single.items()}
    p, largest = {}, 0.0
    for number, pair in enumerate(sorted(single, key=single.__getitem__)):
        largest = p[pair] = max(largest, min(1.0, (3 - number) * single[pair]))
    for (first, second), wanted in p.items():
        assert found.p(first, second) == found.p(second, first) == pytest.approx(wanted)

    difference = pairs[STUDENT, "kd"] * -1
    low, high = found.difference("kd", STUDENT).interval

    def refused(shift: float) -> bool:
        left = difference - shift
        sums = [abs((left * signs).sum()) for signs in product((1, -1), repeat=9)]
        return bool(np.mean([each >= sums[0] - 1e-12 for each in sums]) <= 0.05)

    width = quasi_t(each[STUDENT, "kd"])[1]
    for end, outwards in ((low, -1e-6), (high, 1e-6)):
        inside, outside = end - outwards, end + outwards
        assert not refused(inside) or abs(inside - difference.mean()) < width
        assert refused(outside) and abs(outside - difference.mean()) > width  # noqa: PT018


def test_numbers_of_the_table_are_those_counted_from_predictions(entries: list[Any]) -> None:
    page = page_text(scores_page(entries, ["accuracy"], asked=ASKED, version="1"))
    for row in (STUDENT, "kd", "at"):
        kept = [entry.record.facts["kept"] for entry in entries if entry.place.row == row]
        values = [100 * np.mean(logits.argmax(1) == y) for logits, y, _ in kept]
        assert f" {np.mean(values):.1f}" in page.replace("*", " ")
        assert f"± {np.std(values, ddof=1):.1f}" in page


def runs(make: Any, rows: dict[str, list[float]], **changes: Any) -> list[Any]:
    return [make(row, seed, people, **changes) for row, people in rows.items() for seed in (0, 1)]


HALF = [0.5] * 10
WIDE = [0.3, 0.7, 0.4, 0.6, 0.45, 0.55, 0.56, 0.49, 0.51, 0.5]


def test_bold_is_the_whole_tier_and_nothing_is_underlined(make_run: Any) -> None:
    rows = {
        STUDENT: HALF,
        "kd": [0.61, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6],
        "at": [0.6] * 10,
        "rkd": [0.55] * 10,
        "sp": [0.4] * 10,
    }
    judged = judge(found := runs(make_run, rows), tabulate(found, "accuracy"))
    standings = {row.label: row.scores[0].standing for row in judged.table.rows}
    assert standings == {STUDENT: None, "kd": Standing.TIER, "at": Standing.TIER, "rkd": None, "sp": None}
    assert {row.label: row.scores[0].shown for row in judged.table.methods} == {"kd": 1, "at": 1, "rkd": 1, "sp": -1}
    assert judged.tier == ["kd", "at"]
    text = page_text(scores_page(found, asked=ASKED, version="1"))
    assert "**60.1 ± 0.0**" in text and "**60.0 ± 0.0**" in text and "<u>" not in text  # noqa: PT018
    assert " 40.0 ± 0.0 ⇓ |" in text
    assert "bold: not below student alone, nor shown worse than the highest value at p = 0.05, over people (" in text
    assert "⇓ shown worse than student alone" in text
    assert "tier" in csv_text(wide_sheet([judged.table]))


def test_who_is_in_the_tier_without_a_gain_that_is_shown_is_marked(make_run: Any) -> None:
    found = runs(make_run, {STUDENT: HALF, "kd": WIDE})
    page = scores_page(found, ["accuracy"], asked=ASKED, version="1")
    assert page.parts[0].rows[-1][2].marks == (Mark.UNSHOWN,)
    assert "° gain over student alone not shown" in page_text(page)


def test_who_is_shown_worse_than_the_student_is_never_bold(make_run: Any) -> None:
    found = runs(make_run, {STUDENT: HALF, "kd": [0.4] * 10})
    judged = judge(found, tabulate(found, "accuracy"))
    assert judged.table.methods[0].scores[0].standing is None
    assert judged.tier == ["kd"]  # the answer tells of it


def test_a_teacher_no_better_than_its_student_is_marked(make_run: Any) -> None:
    found = runs(make_run, {"teacher": HALF, STUDENT: HALF, "kd": [0.6] * 10})
    page = scores_page(found, ["accuracy"], asked=ASKED, version="1")
    assert page.parts[0].rows[0][2].marks == (Mark.UNTAUGHT,)
    assert "‡ teacher no better than student alone" in page_text(page)
    better = scores_page(runs(make_run, {"teacher": [0.7] * 10, STUDENT: HALF}), ["accuracy"], asked=ASKED, version="1")
    assert "‡" not in page_text(better)


def test_without_a_test_bold_says_that_nothing_is_shown(make_entry: Any) -> None:
    found = [
        make_entry(row, seed, value) for row, value in ((STUDENT, 0.5), ("kd", 0.6), ("at", 0.7)) for seed in (0, 1)
    ]
    text = page_text(scores_page(found, ["accuracy"], asked=ASKED, version="1"))
    assert "bold: highest value, not shown to be better (nothing is known of single people" in text
    assert "underlined: the next, not shown to be better" in text


def test_every_block_has_its_own_tier_and_the_average_another(make_run: Any) -> None:
    rows = {STUDENT: HALF, "kd": [0.7] * 10, "at": [0.6] * 10}
    other = {STUDENT: HALF, "kd": [0.5] * 10, "at": [0.9] * 10}
    found = runs(make_run, rows) + runs(make_run, other, dataset="b", people="uci_har")
    table = judge(found, tabulate(found, "accuracy")).table
    kd, at = table.methods
    assert [score.standing for score in (*kd.scores, kd.average)] == [Standing.TIER, None, None]
    assert [score.standing for score in (*at.scores, at.average)] == [None, Standing.TIER, Standing.TIER]


def test_datasets_of_the_same_people_are_one_witness_and_the_caption_says_so(make_run: Any) -> None:
    rows = {STUDENT: HALF, "kd": [0.7] * 10}
    found = runs(make_run, rows) + runs(make_run, rows, dataset="b", people="uci_har")
    judged = judge(found, tabulate(found, "accuracy"))
    assert judged.overall is not None
    assert (judged.overall.panel.witnesses, len(judged.overall.panel.people)) == (1, 10)
    assert "uci_har and b are of the same people" in page_text(scores_page(found, asked=ASKED, version="1"))


def test_people_count_by_block_and_not_by_how_many_a_block_has(make_run: Any) -> None:
    found = runs(make_run, {STUDENT: [0.5] * 2, "kd": [0.7] * 2}) + runs(
        make_run, {STUDENT: [0.5] * 8, "kd": [0.6] * 8}, dataset="b"
    )
    judged = judge(found, tabulate(found, "accuracy"))
    assert judged.overall is not None
    difference = judged.overall.difference("kd", STUDENT)
    assert difference.mean == pytest.approx(0.15)
    assert judged.overall.panel.weights == pytest.approx([1 / 16] * 8 + [1 / 4] * 2)
    assert [*judged.overall.panel.groups] == ["b"] * 8 + ["uci_har"] * 2


def test_a_person_of_every_fold_is_one_of_the_block(make_run: Any) -> None:
    found = [
        make_run(row, seed, [value], names=[str(fold)], fold=fold)
        for row, value in ((STUDENT, 0.5), ("kd", 0.6))
        for seed in (0, 1)
        for fold in range(8)
    ]
    judged = judge(found, tabulate(found, "accuracy"))
    assert judged.overall is not None
    assert judged.overall.panel.people == tuple("01234567")
    assert judged.overall.shown("kd", STUDENT) == 1


def test_people_are_scored_alone() -> None:
    logits = np.eye(3)[[0, 1, 1, 2, 2]]
    found = by_person(logits, np.array([0, 1, 2, 2, 1]), np.array([4, 4, 4, 10, 10]))
    assert found == {
        "4": {"accuracy": pytest.approx(2 / 3), "f1": pytest.approx((1 + 2 / 3 + 0) / 3), "windows": 3},
        "10": {"accuracy": 0.5, "f1": pytest.approx((2 / 3 + 0) / 2), "windows": 2},
    }


def test_no_p_value_is_computed_where_only_tables_are_read() -> None:
    model = Path(__file__).parents[2] / "results" / "tables" / "model.py"
    assert "numpy" not in model.read_text(encoding="utf-8")
