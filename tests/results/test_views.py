"""Views say what is recorded, run by run and person by person, and are sentences where nothing is."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from kdbench.results import Asked, Entry
from kdbench.results.metrics import by_person, score
from kdbench.results.pages.statistics import statistics_page
from kdbench.results.render import page_text
from kdbench.results.seen import Seen
from kdbench.results.sheet import Page, Sheet
from kdbench.results.views import view_page, views

STUDENT = "student alone"
CELL = {
    "protocol": "subject-v1",
    "data": "f00d",
    "role": "frozen",
    "method": {"name": "kd", "version": 2, "settings": {"temperature": 4.0, "mode": "a b"}},
    "recipe": {"epochs": 5, "learning_rate": 0.01},
}
CURVE = "epoch,learning_rate,loss_a,loss_b,train_accuracy\n" + "".join(
    f"{epoch}.0,0.01,{1 / epoch},{'' if epoch == 1 else 1 / epoch},{0.5 + epoch / 20}\n" for epoch in range(1, 6)
)


@pytest.fixture
def make_predicted(make_entry: Callable[..., Entry]) -> Callable[..., Entry]:
    """``make("kd", 0, guesses)``: a done run on six windows of three classes and two people."""

    def make(row: str, seed: int, guesses: Sequence[int], **changes: Any) -> Entry:
        labels, people = np.array([0, 0, 1, 1, 2, 2]), np.array([7, 8, 7, 8, 7, 8])
        logits = np.eye(3)[list(guesses)]
        student = score(logits, labels, people) | {"by_person": by_person(logits, labels, people)}
        record = {"metrics": {"student": student}, "cell": CELL, "device": "a processor"} | changes.pop("record", {})
        return make_entry(row, seed, student["accuracy"], **{"record": record} | changes)

    return make


@pytest.fixture
def entries(make_predicted: Any) -> list[Entry]:
    """Teacher, student alone, a better and a worse method, two seeds."""
    guesses = {"teacher": [0, 0, 1, 1, 2, 1], STUDENT: [0, 0, 1, 0, 2, 0], "kd": [0, 0, 1, 1, 2, 2], "at": [1] * 6}
    return [make_predicted(row, seed, each) for row, each in guesses.items() for seed in (0, 1)]


@pytest.fixture
def see(asked: Asked) -> Callable[..., Seen]:
    def made(entries: Sequence[Entry], **changes: Any) -> Seen:
        return Seen(entries, asked, "1", **changes)

    return made


def sheet(page: Page, number: int = 0) -> Sheet:
    return [part for part in page.parts if isinstance(part, Sheet)][number]


def lines(page: Page, number: int = 0) -> dict[str, list[str]]:
    """A sheet's cells as people read them, with what stands in brackets, by the first of each line."""
    rows = [[" ".join(filter(None, (cell.body, cell.note))) for cell in row] for row in sheet(page, number).rows]
    return {first: rest for first, *rest in rows}


def said(page: Page) -> str:
    return "\n".join(part for part in page.parts if isinstance(part, str))


def test_every_view_says_in_a_line_what_it_shows() -> None:
    assert set(views()) >= {"classes", "people", "confusion", "curves", "costs", "harm", "protocol", "failures"}
    assert all(text.endswith(".") for text in views().values())


def test_f1_by_class_is_that_of_the_records_and_classes_have_their_names(see: Any, entries: list[Entry]) -> None:
    page = view_page("classes", see(entries, classes={"uci_har": ("sit", "stand", "lie")}))
    assert [column.heading for column in sheet(page).columns] == ["method", "sit (33 %)", "stand (33 %)", "lie (33 %)"]
    recorded = entries[2].record
    assert recorded is not None
    assert lines(page)[STUDENT] == [f"{100 * f1:.1f}" for f1 in recorded.metrics["student"]["class_f1"]]
    assert "at on uci_har, big:small, predicts one class for every window (seed 0: stand and 1: stand)" in said(page)


def test_a_class_that_nobody_has_and_nothing_predicts_has_no_f1(see: Any, make_predicted: Any) -> None:
    entry = make_predicted("kd", 0, [0, 0, 1, 1, 0, 0])
    entry.record.metrics["student"]["confusion"] = [[2, 0, 0], [0, 4, 0], [0, 0, 0]]
    assert lines(view_page("classes", see([entry])))["kd"] == ["100.0", "100.0", "–"]


def test_many_classes_stand_in_several_sheets_that_can_be_read(see: Any, make_entry: Any) -> None:
    student = {"accuracy": 1.0, "macro_f1": 1.0, "confusion": np.eye(17, dtype=int).tolist()}
    page = view_page("classes", see([make_entry("kd", 0, 1.0, record={"metrics": {"student": student}})]))
    sheets = [part for part in page.parts if isinstance(part, Sheet)]
    assert [len(part.columns) - 1 for part in sheets] == [6, 6, 5]
    assert sheets[2].title.endswith("(3 of 3)")


def test_people_stand_by_how_they_fare_with_student_alone(see: Any, entries: list[Entry]) -> None:
    page = view_page("people", see(entries, metric="accuracy"))
    assert list(lines(page)) == ["8", "7", "all", "spread"]
    assert lines(page)["8"] == ["66.7 +33.3", "33.3", "100.0 +66.7", "33.3 0.0"]
    one = view_page("people", see(entries, metric="accuracy", rows=("kd",)))
    assert [column.heading for column in sheet(one).columns] == ["person", STUDENT, "kd"]


def test_confusion_is_of_both_networks_alone_and_the_highest_method_unless_rows_are_named(
    see: Any, entries: list[Entry]
) -> None:
    page = view_page("confusion", see(entries))
    titles = [part.title.partition(" on ")[0] for part in page.parts if isinstance(part, Sheet)]
    assert titles == ["teacher", STUDENT, "kd"]
    assert lines(page, 1)["class 1"] == ["4", "50 %", "50 %", "0 %"]
    named = view_page("confusion", see(entries, rows=("at",)))
    assert lines(named) == {f"class {k}": ["4", "0 %", "100 %", "0 %"] for k in range(3)}
    with pytest.raises(ValueError, match=r"no 'kdd' in rows \(did you mean 'kd'\?\)"):
        see(entries, rows=("kdd",))


def test_curves_show_what_was_learnt_and_whether_it_was_still_going_on(see: Any, entries: list[Entry]) -> None:
    page = view_page("curves", see(entries, curve=lambda digest: CURVE if "kd" in digest else ""))
    assert lines(page) == {"kd": ["5", "1", "0.667", "0.4", "17 %", "65.0", "75.0", "100.0", "-25.0"]}
    assert "Nothing to show on uci_har, big:small, of teacher, student alone and at." in said(page)


def test_a_curve_that_is_cut_or_no_table_is_no_traceback(see: Any, entries: list[Entry]) -> None:
    for text in ("epoch,loss_a\n1.0", "\n\n", "epoch\n", "a,b\nx,y\n,\n"):
        view_page("curves", see(entries, curve=lambda digest, text=text: text))


def test_costs_name_the_processor_and_what_training_took(see: Any, make_predicted: Any) -> None:
    seconds = {STUDENT: [10.0, 20.0, 12.0], "kd": [36.0, 24.0, 60.0]}
    runs = [
        make_predicted(row, seed, [0] * 6, record={"seconds": value, "device": "AMD EPYC"})
        for row, values in seconds.items()
        for seed, value in enumerate(values)
    ]
    page = view_page("costs", see(runs))
    assert lines(page)["kd"][:4] == ["3", "36 s", "3×", "7.2 s"]
    assert lines(page)["kd"][-1] == "AMD EPYC"
    assert "All training together took 2.7 min on AMD EPYC (6 cells)" in said(page)


def test_harm_counts_people_and_runs_that_lose_more_than_half_a_point(see: Any, make_run: Any) -> None:
    scores = {STUDENT: [[0.8, 0.8, 0.8]] * 2, "kd": [[0.9, 0.7, 0.796], [0.9, 0.6, 0.796]], "at": [[0.9] * 3, None]}
    runs = [
        make_run(row, seed, value, names=["1", "2", "x y"])
        for row, values in scores.items()
        for seed, value in enumerate(values)
        if value is not None
    ]
    page = view_page("harm", see(runs))
    assert lines(page) == {"kd": ["1", "33 %", "33 %", "50 %", "-1.8", "-15.0", "2", "+10.0", "1"]}
    assert "Not judged: at: complete in no block together with student alone" in said(page)


def test_the_protocol_has_every_setting_and_with_what_it_was_made(see: Any, entries: list[Entry]) -> None:
    page = view_page("protocol", see(entries))
    assert lines(page)["uci_har"] == ["uci_har", "test", "2", "6", "3", "3", "3", "f00d"]
    assert lines(page, 1)["kd"] == ["logit", "kd, version 2", "frozen"]
    settings = [[cell.body for cell in row] for row in sheet(page, 2).rows if row[0].value == "kd"]
    assert settings == [["kd", "temperature", "4.0"], ["kd", "mode", "a b"]]
    assert lines(page, 3) == {"epochs": ["5"], "learning_rate": ["0.01"]}
    assert lines(page, 4)["processor"] == ["a processor", "8"]


def test_without_a_search_the_view_of_tuning_says_so(see: Any, entries: list[Entry]) -> None:
    page = view_page("tuning", see(entries))
    assert "No search" in said(page)
    assert not [part for part in page.parts if isinstance(part, Sheet)]


def test_tuning_tells_what_each_row_was_trained_with_and_which_was_not_searched(
    make_predicted: Any, make_entry: Any
) -> None:
    notes = {STUDENT: "untuned", "kd": "tuned on uci_har with big:small"}
    found = [make_predicted(row, 0, [0, 0, 1, 1, 2, 2], tuned=note) for row, note in notes.items()]
    found += [make_entry("at", 0, None, tuned="tuned on hapt"), make_entry("forest", 0, None)]
    page = view_page("tuning", Seen(found, Asked("subject-v1", "har", preset="preset x, found with 20 trials"), "1"))
    assert "preset x, found with 20 trials" in said(page)
    trained = "learning_rate 0.01, temperature 4, mode a b"
    assert lines(page) == {
        STUDENT: ["no", trained],
        "kd": [notes["kd"], trained],
        "at": ["tuned on hapt", "not run yet"],
    }


@pytest.mark.parametrize("name", views())
def test_every_view_of_tuned_rows_states_the_budget_of_the_search(name: str, entries: list[Entry]) -> None:
    budget = "preset x, found with 20 trials"
    told = view_page(name, Seen(entries, Asked("subject-v1", "har", preset=budget), "1"))
    assert f"hyper-parameters: {budget}; kdbench 1." in said(told)
    assert "hyper-parameters: " not in said(view_page(name, Seen(entries, Asked("subject-v1", "har"), "1")))


def test_statistics_of_tuned_rows_state_the_budget_of_the_search(entries: list[Entry]) -> None:
    budget = "preset x, found with 20 trials"
    told = statistics_page(entries, "macro_f1", asked=Asked("subject-v1", "har", preset=budget), version="1")
    assert said(told).endswith(f"Hyper-parameters: {budget}; kdbench 1.")


def test_statistics_of_each_block_and_each_pair_are_those_of_a_table_of_these_alone(make_run: Any) -> None:
    people, noises = [0.5, 0.6, 0.4, 0.7, 0.55, 0.45, 0.65, 0.5, 0.6], (0.01, -0.01, 0.02)
    gains = {("hapt", "a:b"): 0.1, ("wisdm", "a:b"): -0.04, ("hapt", "a:c"): 0.02, ("wisdm", "a:c"): 0.0}
    entries = [
        make_run(row, seed, [v + more + noise * (1 + k / 9) for k, v in enumerate(people)], dataset=dataset, pair=pair)
        for (dataset, pair), gain in gains.items()
        for row, more in ((STUDENT, 0.0), ("kd", gain))
        for seed, noise in enumerate(noises)
    ]
    asked = Asked("subject-v1", "har")
    whole = statistics_page(entries, "macro_f1", asked=asked, version="1")
    sheets = {part.title: part for part in whole.parts if isinstance(part, Sheet)}
    over = {
        f"Methods from {pair}, average over 2 datasets (18 people)": {("hapt", pair), ("wisdm", pair)}
        for pair in ("a:b", "a:c")
    }
    each = {f"Methods on {dataset}, {pair} (9 people)": {(dataset, pair)} for dataset, pair in gains}
    assert list(sheets) == ["Methods", "All pairs", *over, *each]
    for name, blocks in (over | each).items():
        own = [entry for entry in entries if (entry.place.dataset, entry.place.pair) in blocks]
        alone = sheet(statistics_page(own, "macro_f1", asked=asked, version="1"))
        kept = [n for n, column in enumerate(alone.columns) if not column.name.startswith(("rank", "p_seeds"))]
        assert [column.name for column in sheets[name].columns] == [alone.columns[n].name for n in kept]
        assert list(sheets[name].rows) == [tuple(line[n] for n in kept) for line in alone.rows]


def test_rows_of_one_method_stand_beside_its_first_with_what_differs(see: Any, make_run: Any) -> None:
    people, noises = [0.5, 0.6, 0.4, 0.7, 0.55, 0.45, 0.65, 0.5, 0.6], (0.01, -0.01)
    entries = []
    for row, gain, mode in ((STUDENT, 0.0, None), ("kd", 0.1, "a b"), ("kd(mode=c)", 0.04, "c")):
        for seed, noise in enumerate(noises):
            entry = make_run(row, seed, [value + gain + noise * (1 + k / 9) for k, value in enumerate(people)])
            method = {"name": "kd" if mode else "supervised", "version": 1, "settings": {"mode": mode} if mode else {}}
            entries.append(replace(entry, record=replace(entry.record, cell={**CELL, "method": method})))
    page = view_page("ablation", see(entries))
    assert sheet(page).title == "kd"
    assert set(lines(page)) == {"kd", "kd(mode=c)"}
    assert lines(page)["kd"][0] == "the others are set beside it"
    assert lines(page)["kd(mode=c)"][:1] == ["mode c"]
    assert lines(page)["kd(mode=c)"][2:4] == ["+4.0", "-6.0"]
    assert lines(page)["kd(mode=c)"][4].startswith("-6.")
    assert lines(page)["kd(mode=c)"][5] != "–"


def test_complexity_has_sizes_beside_the_score_and_the_teacher(see: Any, make_predicted: Any) -> None:
    small = {"parameters": 100.0, "multiply_adds": 2e6, "latency_ms": 0.5, "method_parameters": 7.0}
    large = {"parameters": 1000.0, "multiply_adds": 8e6, "latency_ms": 2.0}
    costs = {"teacher": large, STUDENT: small, "kd": small, "at": {}}
    entries = [make_predicted(row, 0, [0, 0, 1, 1, 2, 2], record={"costs": each}) for row, each in costs.items()]
    found = lines(view_page("complexity", see(entries)))
    assert found["teacher"] == ["100.0", "1,000", "8 M", "–", "–", "2 ms", "–"]
    assert found["kd"] == ["100.0", "100 10×", "2 M 4×", "–", "–", "0.5 ms 4×", "7"]
    assert found["at"] == ["100.0", "–", "–", "–", "–", "–", "–"]


def test_failures_tell_gates_holes_and_warnings_each_once(see: Any, entries: list[Entry], make_entry: Any) -> None:
    broken = [make_entry("vid", seed, None, status="failed", reason="loss is nan") for seed in (0, 1)]
    void = [make_entry("fsp", seed, None, status="n/a", reason="one stage") for seed in (0, 1)]
    page = view_page("failures", see([*entries, *broken, *void]))
    assert next(iter(lines(page).values()))[-1] == "passed: teacher above student alone"
    assert lines(page, 1) == {
        "failed": ["vid", "uci_har, big:small", "seed 0 and seed 1", "loss is nan"],
        "n/a": ["fsp", "uci_har, big:small", "seed 0 and seed 1", "one stage"],
    }
    assert lines(page, 2)["kd"] == ["2", "slow"]


def worlds(make_entry: Any, make_predicted: Any) -> dict[str, list[Entry]]:
    """Matrices with little or nothing in them."""
    odd = "<b>&|$x_1$\n" + "long " * 60
    return {
        "nothing ran": [make_entry(row, seed, None) for row in (STUDENT, "kd") for seed in (0, 1)],
        "all failed": [make_entry(row, 0, None, status="failed", reason="boom") for row in (STUDENT, "kd")],
        "one seed": [make_predicted(row, 0, [0, 1, 2, 0, 1, 2]) for row in (STUDENT, "kd")],
        "half": [make_predicted(STUDENT, 0, [0] * 6), make_predicted("kd", 0, [1] * 6), make_entry("kd", 1, None)],
        "no people": [make_entry(row, seed, 0.5) for row in (STUDENT, "kd") for seed in (0, 1)],
        "no methods": [make_predicted(STUDENT, seed, [0] * 6) for seed in (0, 1)],
        "no student": [make_predicted("kd", seed, [0] * 6) for seed in (0, 1)],
        "odd": [make_predicted(row, 0, [0] * 6, dataset=odd, pair=f"{odd}:{odd}") for row in (STUDENT, odd)],
        "all n/a": [make_entry("kd", 0, None, status="n/a", reason="void"), make_entry(STUDENT, 0, 0.5)],
    }


WORLDS = ["nothing ran", "all failed", "one seed", "half", "no people", "no methods", "no student", "odd", "all n/a"]


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("name", views())
def test_a_view_of_little_is_a_page_or_a_sentence(
    name: str, world: str, see: Any, make_entry: Any, make_predicted: Any
) -> None:
    seen = see(worlds(make_entry, make_predicted)[world])
    if name == "harm" and world == "no student":
        with pytest.raises(ValueError, match=r"^harm is against student alone, which the table has not$"):
            view_page(name, seen)
        return
    page = view_page(name, seen)
    for form in ("markdown", "json"):
        assert page_text(page, form).startswith(("# kdbench", "{"))
