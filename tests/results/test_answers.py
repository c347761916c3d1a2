"""The answer says what the numbers allow, and no more."""

import random
from typing import Any

import pytest

from kdbench.results import Asked, Freshness
from kdbench.results.tables.scores import tabulate
from kdbench.results.words.answers import answer
from kdbench.results.words.numbers import certainty, points

STUDENT = "student alone"
Values = dict[str, list[float | None]]


ASKED = Asked("subject-v1", "har")


def ask(make: Any, values: Values, metric: str = "accuracy", asked: Asked = ASKED, **changes: Any) -> str:
    entries = [make(label, seed, value, **changes) for label, row in values.items() for seed, value in enumerate(row)]
    line = answer(tabulate(entries, metric), asked)
    assert "\n" not in line
    return line


def test_the_method_in_front_comes_with_margins_wins_and_p(make_entry: Any) -> None:
    line = ask(make_entry, {STUDENT: [0.50, 0.52, 0.54], "kd": [0.53, 0.53, 0.55], "at": [0.55, 0.54, 0.53]})
    # at - student: 5, 2, -1, mean 2; of the 8 sign vectors, sums of 6 or more in size: +-(5+2-1), +-(5+2+1): p = 4/8
    # at - kd: 2, 1, -2, mean 0.333; sums of size 1, 5, 3, 1 twice each, observed 1: p = 1
    assert line == (
        "Answer (accuracy): at is highest, +2.0 points over student alone (won 2 of 3 seeds, p = 0.5), not told apart "
        "from the runner-up kd: +0.3 points (won 2 of 3 seeds, p = 1); with 3 seeds an exact two-sided sign-flip test "
        "cannot go below p = 0.25; p is not corrected for picking the best of 2 methods on the same seeds."
    )


def test_six_won_seeds_reach_the_smallest_p(make_entry: Any) -> None:
    line = ask(make_entry, {STUDENT: [0.5] * 6, "kd": [0.51, 0.52, 0.53, 0.54, 0.55, 0.56]})
    assert "won 6 of 6 seeds, p = 0.032)" in line  # 1/32, never rounded down
    assert "with 6 seeds an exact two-sided sign-flip test cannot go below p = 0.032" in line
    assert "kd, the only complete method, is +3.5 points" in line
    assert "not corrected" not in line


def test_one_seed_names_no_winner(make_entry: Any) -> None:
    assert ask(make_entry, {STUDENT: [0.5], "kd": [0.6], "at": [0.55]}) == (
        "Answer (accuracy): kd is highest here, +10.0 points over student alone and +5.0 points over the runner-up at; "
        "one seed supports no statement."
    )


def test_a_best_that_does_not_beat_student_alone_is_said_plainly(make_entry: Any) -> None:
    line = ask(make_entry, {STUDENT: [0.5, 0.6], "kd": [0.4, 0.59], "at": [0.1, 0.1]})
    assert (
        "no method beats student alone; the highest, kd, is -5.5 points against it (won 0 of 2 seeds, p = 0.5)" in line
    )
    assert "kd is best" not in line


def test_a_best_that_is_level_does_not_beat_student_alone(make_entry: Any) -> None:
    line = ask(make_entry, {STUDENT: [0.5, 0.6], "kd": [0.6, 0.5]})
    assert (
        "no method beats student alone; kd, the only complete method, is level with it (won 1 of 2 seeds, p = 1)"
        in line
    )


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
    assert "at, the only complete method, is" in line
    assert line.endswith("2 incomplete methods left out.")


def test_tied_methods_are_called_tied(make_entry: Any) -> None:
    line = ask(make_entry, {STUDENT: [0.1, 0.1], "kd": [0.5, 0.6], "at": [0.6, 0.5], "rkd": [0.2, 0.2]})
    assert "kd is highest, " in line
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
    assert "Answer (accuracy, average over 2 blocks): kd is highest, +5.0 points over student alone (won 2 of 2" in line
    assert ", not told apart from the runner-up at: +4.5 points (won 2 of 2 seeds, p = 0.5)" in line


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
    assert "kd is lowest, +20.0 points over student alone (won 2 of 2 seeds" in line
    assert "not told apart from the runner-up at: +30.0 points" in line


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
    assert "at is highest, +20.0 points" in ask(make_entry, ordered)


NARROW = {STUDENT: [0.5] * 6, "kd": [0.61, 0.62, 0.63, 0.64, 0.65, 0.66], "at": [0.55] * 6}


def test_best_is_what_is_shown_to_be_better_than_the_runner_up_and_student_alone(make_entry: Any) -> None:
    line = ask(make_entry, NARROW)
    assert "kd is best, +13.5 points over student alone (won 6 of 6 seeds, p = 0.032) and +8.5 points over the" in line


@pytest.mark.parametrize(
    "values",
    [
        {**NARROW, "at": [0.55] * 5 + [0.67]},  # one seed lost: p = 4/64
        {**NARROW, STUDENT: [0.5] * 4 + [0.71, 0.71], "at": [0.55] * 6},  # over the runner-up, not over student alone
        {label: row[:3] for label, row in NARROW.items()},  # three seeds show nothing
        {label: row[:1] for label, row in NARROW.items()},
        {STUDENT: [0.5, 0.5, 0.5], "kd": [0.5001, 0.5001, 0.4999], "at": [0.4, 0.4, 0.4]},
        {STUDENT: [0.5, 0.5, 0.5], "hmkd": [0.52, 0.49, 0.49], "kd": [0.49, 0.5, 0.5]},
        {STUDENT: [0.5, 0.5], "kd": [0.6, 0.6], "at": [0.6, 0.6]},
        {STUDENT: [0.5, 0.5], "kd": [0.6, 0.6]},
    ],
)
def test_what_is_not_shown_is_never_called_best(make_entry: Any, values: Values) -> None:
    line = ask(make_entry, values)
    assert "best" not in line.replace("picking the best of", "")
    assert "-0.0" not in line
    assert "+0.0" not in line


@pytest.mark.parametrize(
    ("p", "shown"),
    [
        (1.0, "p = 1"),
        (0.5, "p = 0.5"),
        (0.25, "p = 0.25"),
        (0.125, "p = 0.13"),
        (0.03125, "p = 0.032"),
        (0.0501, "p = 0.051"),
        (0.996, "p = 1"),
        (0.0019, "p = 0.0019"),
        (0.001, "p = 0.001"),
        (0.000999, "p < 0.001"),
    ],
)
def test_p_is_never_rounded_down(p: float, shown: str) -> None:
    assert certainty(p) == shown


@pytest.mark.parametrize(
    ("difference", "shown"),
    [(0.0, "0.0"), (-0.0, "0.0"), (-0.0004, "0.0"), (0.0004, "0.0"), (0.0006, "+0.1"), (-0.0006, "-0.1")],
)
def test_nothing_is_neither_above_nor_below(difference: float, shown: str) -> None:
    assert points(difference) == shown
