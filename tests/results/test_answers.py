"""The answer says what the numbers allow, and no more."""

import random
from typing import Any

import pytest

from kdbench.results import Asked, Freshness
from kdbench.results.tables.scores import tabulate
from kdbench.results.words.answers import answer

STUDENT = "student alone"
Values = dict[str, list[float | None]]


ASKED = Asked("subject-v1", "har")


def ask(make: Any, values: Values, metric: str = "accuracy", asked: Asked = ASKED, **changes: Any) -> str:
    entries = [make(label, seed, value, **changes) for label, row in values.items() for seed, value in enumerate(row)]
    line = answer(tabulate(entries, metric), asked)
    assert "\n" not in line
    return line


def test_the_best_method_comes_with_margins_wins_and_p(make_entry: Any) -> None:
    line = ask(make_entry, {STUDENT: [0.50, 0.52, 0.54], "kd": [0.53, 0.53, 0.55], "at": [0.55, 0.54, 0.53]})
    # at - student: 5, 2, -1, mean 2; of the 8 sign vectors, sums of 6 or more in size: +-(5+2-1), +-(5+2+1): p = 4/8
    # at - kd: 2, 1, -2, mean 0.333; sums of size 1, 5, 3, 1 twice each, observed 1: p = 1
    assert line == (
        "Answer (accuracy): at is best, +2.0 points over student alone (won 2 of 3 seeds, p = 0.5) and +0.3 points "
        "over the runner-up kd (won 2 of 3 seeds, p = 1); with 3 seeds an exact two-sided sign-flip test cannot go "
        "below p = 0.25; p is not corrected for picking the best of 2 methods on the same seeds."
    )


def test_six_won_seeds_reach_the_smallest_p(make_entry: Any) -> None:
    line = ask(make_entry, {STUDENT: [0.5] * 6, "kd": [0.51, 0.52, 0.53, 0.54, 0.55, 0.56]})
    assert "won 6 of 6 seeds, p = 0.031)" in line
    assert "with 6 seeds an exact two-sided sign-flip test cannot go below p = 0.031" in line
    assert "the only complete method" in line
    assert "not corrected" not in line


def test_one_seed_supports_no_statement_on_certainty(make_entry: Any) -> None:
    assert ask(make_entry, {STUDENT: [0.5], "kd": [0.6], "at": [0.55]}) == (
        "Answer (accuracy): kd is best, +10.0 points over student alone and +5.0 points over the runner-up at; "
        "one seed supports no statement on certainty."
    )


def test_a_best_that_does_not_beat_student_alone_is_said_plainly(make_entry: Any) -> None:
    line = ask(make_entry, {STUDENT: [0.5, 0.6], "kd": [0.4, 0.59], "at": [0.1, 0.1]})
    assert "no method beats student alone; the best, kd, is -5.5 points against it (won 0 of 2 seeds, p = 0.5)" in line
    assert "kd is best" not in line


def test_a_best_that_is_level_does_not_beat_student_alone(make_entry: Any) -> None:
    line = ask(make_entry, {STUDENT: [0.5, 0.6], "kd": [0.6, 0.5]})
    assert "no method beats student alone; the best, kd, is level with it (won 1 of 2 seeds, p = 1)" in line


def test_student_alone_incomplete_gives_no_answer_and_why(make_entry: Any) -> None:
    line = ask(make_entry, {STUDENT: [0.5, None], "kd": [0.6, 0.6]})
    assert line.startswith("No answer: student alone is incomplete (uci_har, big:small: 1 of 2 seeds)")


def test_no_student_alone_gives_no_answer(make_entry: Any) -> None:
    assert ask(make_entry, {"kd": [0.6]}).startswith("No answer: the table has no row of student alone")


def test_no_complete_method_gives_no_answer_and_why(make_entry: Any) -> None:
    line = ask(make_entry, {STUDENT: [0.5, 0.5], "kd": [0.6, None]})
    assert line == "No answer: no method is complete (kd: uci_har, big:small: 1 of 2 seeds)."
    assert ask(make_entry, {STUDENT: [0.5]}) == "No answer: no method is complete (the table has none)."


def test_incomplete_methods_are_left_out_and_counted(make_entry: Any) -> None:
    line = ask(make_entry, {STUDENT: [0.5, 0.5], "kd": [0.9, None], "at": [0.6, 0.6], "rkd": [None, None]})
    assert "at is best" in line
    assert line.endswith("2 incomplete methods left out.")


def test_tied_methods_are_called_tied(make_entry: Any) -> None:
    line = ask(make_entry, {STUDENT: [0.1, 0.1], "kd": [0.5, 0.6], "at": [0.6, 0.5], "rkd": [0.2, 0.2]})
    assert "kd is best" in line
    assert ", tied with at;" in line
    assert "runner-up" not in line


def test_several_blocks_are_averaged_per_seed(make_entry: Any) -> None:
    values = {
        "a": {STUDENT: [0.5, 0.5], "kd": [0.6, 0.4], "at": [0.5, 0.5]},
        "b": {STUDENT: [0.7, 0.7], "kd": [0.7, 0.9], "at": [0.72, 0.7]},
    }
    entries = [
        make_entry(label, seed, value, dataset=dataset)
        for dataset, rows in values.items()
        for label, row in rows.items()
        for seed, value in enumerate(row)
    ]
    line = answer(tabulate(entries, "accuracy"), ASKED)
    # kd - student by seed: (10 + 0) / 2 = 5 and (-10 + 20) / 2 = 5; kd - at: (10 - 2) / 2 = 4 and 5
    assert "Answer (accuracy, average over 2 blocks): kd is best, +5.0 points over student alone (won 2 of 2" in line
    assert "+4.5 points over the runner-up at (won 2 of 2 seeds, p = 0.5)" in line


def test_a_seed_whose_blocks_cancel_is_not_won(make_entry: Any) -> None:
    entries = [
        make_entry(label, seed, value, dataset=dataset)
        for label, seed, value, dataset in (
            *((STUDENT, seed, value, dataset) for seed in (0, 1) for value, dataset in ((0.50, "a"), (0.57, "b"))),
            *(("kd", 0, 0.51, "a"), ("kd", 0, 0.56, "b"), ("kd", 1, 0.9, "a"), ("kd", 1, 0.9, "b")),
        )
    ]
    assert (0.51 - 0.50) + (0.56 - 0.57) > 0  # by rounding alone
    assert "won 1 of 2 seeds" in answer(tabulate(entries, "accuracy"), ASKED)


def test_a_lower_calibration_error_wins(make_entry: Any) -> None:
    entries = [
        make_entry(label, seed, 0.5, record={"metrics": {"student": {"calibration_error": value}}})
        for label, value in ((STUDENT, 0.3), ("kd", 0.1), ("at", 0.4))
        for seed in (0, 1)
    ]
    line = answer(tabulate(entries, "calibration_error"), ASKED)
    assert "lower is better" in line
    assert "kd is best, +20.0 points over student alone (won 2 of 2 seeds" in line
    assert "+30.0 points over the runner-up at" in line


def test_stale_results_and_the_recipes_note_are_said(make_entry: Any) -> None:
    asked = Asked("p", "quick", "not for publication")
    fresh = ask(make_entry, {STUDENT: [0.5], "kd": [0.6]}, asked=asked)
    stale = ask(make_entry, {STUDENT: [0.5], "kd": [0.6]}, asked=asked, freshness=Freshness.STALE)
    assert fresh.startswith("Answer (accuracy, not for publication)")
    assert "stale" not in fresh
    assert stale.endswith("some of these results are stale.")


@pytest.mark.parametrize(("label", "told"), [(STUDENT, True), ("kd", True), ("at", True), ("rkd", False)])
def test_stale_results_are_said_where_the_answer_rests_on_them(make_entry: Any, label: str, told: bool) -> None:
    values = {STUDENT: 0.5, "kd": 0.9, "at": 0.8, "rkd": 0.7}
    entries = [
        make_entry(row, 0, value, freshness=Freshness.STALE if row == label else Freshness.FRESH)
        for row, value in values.items()
    ]
    assert ("stale" in answer(tabulate(entries, "accuracy"), ASKED)) == told


def test_more_seeds_than_can_be_flipped_exactly_are_sampled_and_said(make_entry: Any) -> None:
    noise = random.Random(0)
    line = ask(make_entry, {STUDENT: [0.5] * 17, "kd": [0.5 + noise.uniform(0.01, 0.1) for _ in range(17)]})
    assert "won 17 of 17 seeds" in line
    assert "with 17 seeds a two-sided, sampled sign-flip test" in line


@pytest.mark.parametrize("first", ["kd", "at"])
def test_the_answer_does_not_depend_on_the_order_of_rows(make_entry: Any, first: str) -> None:
    rows: Values = {"kd": [0.6, 0.6], "at": [0.7, 0.7]}
    ordered = {first: rows[first], **rows, STUDENT: [0.5, 0.5]}
    assert "at is best, +20.0 points" in ask(make_entry, ordered)
