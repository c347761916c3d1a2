"""The answer says what the numbers allow, and no more."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from kdbench.results import Asked, Freshness
from kdbench.results.tables.family import judge
from kdbench.results.tables.scores import tabulate
from kdbench.results.words.answers import answer

STUDENT = "student alone"
Values = dict[str, list[float | None]]


ASKED = Asked("subject-v1", "har")
UNKNOWN = "nothing is known of single people (student alone has no predictions kept), so no method is called better"
ONE_SEED = "one seed supports no statement on what another training would give, so no method is called better"


def said(entries: list[Any], metric: str = "accuracy", asked: Asked = ASKED) -> str:
    line = answer(judge(entries, tabulate(entries, metric)), asked)
    assert "\n" not in line
    return line


def ask(make: Any, values: Values, metric: str = "accuracy", asked: Asked = ASKED, **changes: Any) -> str:
    """Of runs that say nothing of single people."""
    return said(
        [make(label, seed, value, **changes) for label, row in values.items() for seed, value in enumerate(row)],
        metric,
        asked,
    )


def runs(
    make: Any, gains: dict[str, Sequence[float]], seeds: int = 2, jitter: float = 0.0, **changes: Any
) -> list[Any]:
    """Of student alone, who has 50 % on everyone, and of methods with these gains in points by person."""
    people = len(next(iter(gains.values())))
    noise = np.random.default_rng(0).normal(0, jitter, size=(len(gains) + 1, seeds, people))
    rows = {STUDENT: [0.0] * people, **gains}
    return [
        make(
            label,
            seed,
            [0.5 + gain / 100 + wobble for gain, wobble in zip(row, noise[number, seed], strict=True)],
            **changes,
        )
        for number, (label, row) in enumerate(rows.items())
        for seed in range(seeds)
    ]


SPREAD = np.array([-1.0, 1.0, -0.5, 0.5, -0.2, 0.2, -0.1, 0.1, 0.0])
"""Nine people who differ and cancel."""


def test_one_method_shown_better_than_all_others_is_best(make_run: Any) -> None:
    line = said(runs(make_run, {"kd": 4 + SPREAD, "at": 2 + SPREAD[::-1], "rkd": 1 + SPREAD / 2}))
    assert line.startswith(
        "Answer (accuracy): kd is best, shown better than each of the other 2 methods (adjusted p = 0.024 at most); "
        "kd gains 4.0 points over student alone (mean over people, 95 % interval "
    )
    assert "over 9 people and 2 seeds), shown to be a gain (adjusted p = 0.024)" in line
    assert "at single seeds kd is above student alone in 2 of 2;" in line


def test_a_method_that_does_not_beat_the_student_alone_is_not_called_best(make_run: Any) -> None:
    line = said(runs(make_run, {"kd": 0.1 + SPREAD, "at": -3 - SPREAD / 2, "rkd": -4 + SPREAD / 2}))
    assert "kd is shown better than each of the other 2 methods" in line
    assert ", and not than student alone; " in line
    assert "best" not in line


def test_a_loss_that_is_not_shown_is_not_called_a_gain(make_run: Any) -> None:
    assert "not shown to be a loss (adjusted p" in said(runs(make_run, {"kd": -0.2 + 3 * SPREAD}))


def test_methods_that_are_not_told_apart_are_a_tier_and_none_of_them_is_named_best(make_run: Any) -> None:
    line = said(runs(make_run, {"kd": 2.1 + SPREAD, "at": 2.0 - SPREAD, "rkd": -2 + SPREAD / 2}))
    assert "2 of 3 methods are in the top tier, not told apart: kd and at; shown worse: rkd;" in line
    assert "the tier gains 2.0 points over student alone" in line or "the tier gains 2.1 points" in line
    assert "shown for each of them (adjusted p = 0.024 at most)" in line
    assert "best" not in line


def test_methods_that_differ_by_nearly_nothing_are_called_practically_equal(make_run: Any) -> None:
    line = said(runs(make_run, {"kd": 2 + SPREAD, "at": 2 + SPREAD + SPREAD[::-1] / 10}))
    assert "no method is shown better than another: kd and at are practically equal (within ±0.5 points);" in line
    assert "their mean gains 2.0 points" in line


def test_a_gain_that_is_not_shown_is_said_not_to_be(make_run: Any) -> None:
    line = said(runs(make_run, {"kd": 0.2 + 3 * SPREAD, "at": 0.1 - 3 * SPREAD}))
    assert "shown for none of them" in line
    assert "kd and at are not told apart" in line


def test_a_loss_that_is_shown_is_said_plainly(make_run: Any) -> None:
    line = said(runs(make_run, {"kd": -4 + SPREAD}))
    assert "kd is the only complete method; kd loses 4.0 points against student alone (mean over people, " in line
    assert "shown to be a loss (adjusted p = 0.004)" in line
    assert "above student alone in 0 of 2" in line


def test_what_could_not_have_been_seen_and_what_would_help_are_said(make_run: Any) -> None:
    by_people = said(runs(make_run, {"kd": 1 + 4 * SPREAD}, seeds=3, jitter=0.001))
    assert "with these 9 people a true gain below " in by_people
    assert "more people would make it surer, more seeds hardly (seeds are 0 % of the variance" in by_people
    by_seeds = said(runs(make_run, {"kd": 1 + SPREAD}, seeds=3, jitter=0.05))
    assert "more seeds would make it surer" in by_seeds


def test_a_teacher_no_better_than_the_student_is_named(make_run: Any) -> None:
    entries = runs(make_run, {"kd": 2 + SPREAD})
    entries += [make_run("teacher", seed, [0.4] * 9) for seed in (0, 1)]
    assert "; the teacher is no better than student alone." in said(entries)
    other = runs(make_run, {"kd": 2 + SPREAD}, dataset="b")
    other += [make_run("teacher", seed, [0.9] * 9, dataset="b") for seed in (0, 1)]
    assert "; the teacher is no better than student alone on uci_har big:small." in said(entries + other)


def test_people_of_two_datasets_who_are_the_same_count_once(make_run: Any) -> None:
    def over(**changes: Any) -> str:
        return said(runs(make_run, {"kd": 2 + SPREAD}) + runs(make_run, {"kd": 3 + SPREAD}, dataset="b", **changes))

    assert "2.5 points over student alone" in over()
    assert "over 18 people" in over()
    assert "over 9 people" in over(people="uci_har")


@pytest.mark.parametrize(("people", "reason"), [(1, "with one person and 3 pairs"), (5, "with 5 people and 3 pairs")])
def test_so_few_people_show_nothing_and_it_is_said(make_run: Any, people: int, reason: str) -> None:
    line = said(runs(make_run, {"kd": [9.0] * people, "at": [1.0] * people}))
    assert line.startswith("Answer (accuracy): kd has the highest value, +9.0 points over student alone (2 of 2 seeds")
    assert f"{reason} no p-value over people can go below " in line
    assert "so no method is called better than another; kd gains 9.0 points over student alone by the mean" in line


def test_a_person_who_is_missing_from_one_run_is_left_out_of_all(make_run: Any) -> None:
    entries = runs(make_run, {"kd": 2 + np.append(SPREAD, 90)})
    del entries[0].record.metrics["student"]["by_person"]["10"]
    assert "kd gains 2.0 points over student alone" in said(entries)
    assert "over 9 people" in said(entries)


def test_one_run_without_people_is_named(make_run: Any) -> None:
    entries = runs(make_run, {"kd": 2 + SPREAD})
    del entries[-1].record.metrics["student"]["by_person"]
    assert "nothing is known of single people (kd has no predictions kept)" in said(entries)


def test_without_people_the_highest_comes_with_what_seeds_tell(make_entry: Any) -> None:
    line = ask(make_entry, {STUDENT: [0.50, 0.52, 0.54], "kd": [0.53, 0.53, 0.55], "at": [0.55, 0.54, 0.53]})
    # at - student: 5, 2, -1, mean 2; of the 8 sign vectors, sums of 6 or more in size: +-(5+2-1), +-(5+2+1): p = 4/8
    # at - kd: 2, 1, -2, mean 0.333; sums of size 1, 5, 3, 1 twice each, observed 1: p = 1
    assert line == (
        "Answer (accuracy): at has the highest value, +2.0 points over student alone (2 of 3 seeds, p = 0.5) and +0.3 "
        "points over the next, kd (2 of 3 seeds, p = 1); with 3 seeds no test over seeds can go below p = 0.25; "
        f"{UNKNOWN} than another."
    )


def test_six_seeds_reach_the_smallest_p_rounded_up(make_entry: Any) -> None:
    line = ask(make_entry, {STUDENT: [0.5] * 6, "kd": [0.51, 0.52, 0.53, 0.54, 0.55, 0.56]})
    assert "(6 of 6 seeds, p = 0.032), the only complete method; with 6 seeds" in line


def test_one_seed_supports_no_statement_whoever_was_asked(make_entry: Any, make_run: Any) -> None:
    wanted = (
        "Answer (accuracy): kd has the highest value, +10.0 points over student alone and +5.0 points over the next, "
        f"at; {ONE_SEED} than another."
    )
    assert ask(make_entry, {STUDENT: [0.5], "kd": [0.6], "at": [0.55]}) == wanted
    assert said(runs(make_run, {"kd": [10.0] * 9, "at": [5.0] * 9}, seeds=1)) == wanted


def test_a_highest_that_does_not_beat_student_alone_is_said_plainly(make_entry: Any) -> None:
    line = ask(make_entry, {STUDENT: [0.5, 0.6], "kd": [0.4, 0.59], "at": [0.1, 0.1]})
    assert "no method beats student alone; kd, the highest, is -5.5 points against it (0 of 2 seeds, p = 0.5)" in line


def test_a_highest_that_is_level_does_not_beat_student_alone(make_entry: Any) -> None:
    line = ask(make_entry, {STUDENT: [0.5, 0.6], "kd": [0.6, 0.5]})
    assert "no method beats student alone; kd, the highest, is level with it (1 of 2 seeds, p = 1)" in line


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
    assert "at has the highest value" in line
    assert line.endswith("2 incomplete methods left out.")


def test_tied_methods_are_called_tied(make_entry: Any) -> None:
    line = ask(make_entry, {STUDENT: [0.1, 0.1], "kd": [0.5, 0.6], "at": [0.6, 0.5], "rkd": [0.2, 0.2]})
    assert "kd has the highest value" in line
    assert ", tied with at;" in line
    assert "over the next" not in line


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
    line = said(entries)
    # kd - student by seed: (10 + 0) / 2 = 5 and (-10 + 20) / 2 = 5; kd - at: (10 - 2) / 2 = 4 and 5
    assert "Answer (accuracy, average over 2 blocks): kd has the highest value, +5.0 points over student" in line
    assert "+4.5 points over the next, at (2 of 2 seeds, p = 0.5)" in line


def test_a_seed_whose_blocks_cancel_is_not_won(make_entry: Any) -> None:
    entries = [
        make_entry(label, seed, value, dataset=dataset)
        for label, seed, value, dataset in (
            *((STUDENT, seed, value, dataset) for seed in (0, 1) for value, dataset in ((0.50, "a"), (0.57, "b"))),
            *(("kd", 0, 0.51, "a"), ("kd", 0, 0.56, "b"), ("kd", 1, 0.9, "a"), ("kd", 1, 0.9, "b")),
        )
    ]
    assert (0.51 - 0.50) + (0.56 - 0.57) > 0  # by rounding alone
    assert "(1 of 2 seeds" in said(entries)


def test_a_lower_calibration_error_wins(make_entry: Any) -> None:
    entries = [
        make_entry(label, seed, 0.5, record={"metrics": {"student": {"calibration_error": value}}})
        for label, value in ((STUDENT, 0.3), ("kd", 0.1), ("at", 0.4))
        for seed in (0, 1)
    ]
    line = said(entries, "calibration_error")
    assert "lower is better" in line
    assert "kd has the lowest value, +20.0 points over student alone (2 of 2 seeds" in line
    assert "+30.0 points over the next, at" in line
    assert "this metric is not one of single people" in line


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
    assert ("stale" in said(entries)) == told


@pytest.mark.parametrize("first", ["kd", "at"])
def test_the_answer_does_not_depend_on_the_order_of_rows(make_entry: Any, first: str) -> None:
    rows: Values = {"kd": [0.6, 0.6], "at": [0.7, 0.7]}
    ordered = {first: rows[first], **rows, STUDENT: [0.5, 0.5]}
    assert "at has the highest value, +20.0 points" in ask(make_entry, ordered)
