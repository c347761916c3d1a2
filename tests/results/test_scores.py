"""Tables against arithmetic by hand."""

import statistics
import time
from dataclasses import replace
from typing import Any

import pytest

from kdbench.kinds import KINDS
from kdbench.results import Freshness, RowRole
from kdbench.results.tables.model import Block, Row, Table
from kdbench.results.tables.scores import tabulate

STUDENT = "student alone"


def row(table: Table, label: str) -> Row:
    return next(found for found in table.rows if found.label == label)


def seeds(make: Any, label: str, values: list[float | None], **changes: Any) -> list[Any]:
    return [make(label, seed, value, **changes) for seed, value in enumerate(values)]


def test_a_score_has_mean_std_and_seed_matched_gain(make_entry: Any) -> None:
    entries = seeds(make_entry, STUDENT, [0.80, 0.84, 0.79]) + seeds(make_entry, "kd", [0.83, 0.85, 0.84])
    score = row(tabulate(entries, "accuracy"), "kd").scores[0]
    assert score.values == {0: 0.83, 1: 0.85, 2: 0.84}
    assert score.mean == pytest.approx(0.84)
    assert score.std == pytest.approx(statistics.stdev([0.83, 0.85, 0.84]))
    assert score.gain == pytest.approx((0.03 + 0.01 + 0.05) / 3)
    assert (score.n, score.wanted, score.state, score.worse_than_student) == (3, 3, None, False)


def test_one_seed_has_no_std(make_entry: Any) -> None:
    table = tabulate([make_entry(STUDENT, 4, 0.7), make_entry("kd", 4, 0.8)], "accuracy")
    score = row(table, "kd").scores[0]
    assert (score.mean, score.std, table.seeds) == (0.8, None, (4,))


def test_a_gain_counts_only_seeds_that_both_have(make_entry: Any) -> None:
    entries = seeds(make_entry, STUDENT, [0.5, None, 0.6]) + seeds(make_entry, "kd", [0.6, 0.9, 0.6])
    score = row(tabulate(entries, "accuracy"), "kd").scores[0]
    assert score.differences == pytest.approx({0: 0.1, 2: 0.0})
    assert score.gain == pytest.approx(0.05)


def test_student_alone_has_no_gain_and_the_teacher_has_one(make_entry: Any) -> None:
    table = tabulate([make_entry(STUDENT, 0, 0.5), make_entry("teacher", 0, 0.75)], "accuracy")
    assert row(table, STUDENT).scores[0].gain is None
    assert row(table, "teacher").scores[0].gain == 0.25


def test_without_student_alone_there_are_no_gains(make_entry: Any) -> None:
    table = tabulate([make_entry("kd", 0, 0.5)], "accuracy")
    assert table.student is None
    assert row(table, "kd").scores[0].gain is None


def test_rows_stand_by_role_then_kind_then_appearance(make_entry: Any) -> None:
    kinds = {
        "hmkd": "ours",
        "odd": "wavelet",
        "own": "self",
        "dml": "mutual",
        "crd": "contrastive",
        "rkd": "relation",
        "fitnet": "feature",
        "kd": "logit",
        "strange": "prompt",
        "at": "feature",
        "odder": "wavelet",
    }
    entries = [make_entry(label, 0, 0.5, kind=kind) for label, kind in kinds.items()]
    entries += [make_entry(STUDENT, 0, 0.5), make_entry("teacher", 0, 0.5)]
    wanted = f"teacher,{STUDENT},kd,fitnet,at,rkd,crd,dml,own,odd,odder,strange,hmkd"
    assert ",".join(found.label for found in tabulate(entries, "accuracy").rows) == wanted


def test_methods_stand_in_the_order_of_kinds(make_entry: Any) -> None:
    kinds = [kind for kind in KINDS if kind != "reference"]
    table = tabulate([make_entry(f"of {kind}", 0, 0.5, kind=kind) for kind in reversed(kinds)], "accuracy")
    assert [found.kind for found in table.rows] == kinds


def test_blocks_stand_in_order_of_appearance(make_entry: Any) -> None:
    places = [("wisdm", "b:s"), ("hapt", "b:s"), ("wisdm", "a:s")]
    entries = [make_entry("kd", 0, 0.5, dataset=dataset, pair=pair) for dataset, pair in places]
    assert tabulate(entries, "accuracy").blocks == tuple(Block(*place) for place in places)


def test_best_and_second_are_marked_among_methods_only(make_entry: Any) -> None:
    values = {"teacher": 0.99, STUDENT: 0.55, "kd": 0.6, "at": 0.8, "rkd": 0.7}
    table = tabulate([make_entry(label, 0, value) for label, value in values.items()], "accuracy")
    places = {found.label: found.scores[0].standing for found in table.rows}
    assert places == {"teacher": None, STUDENT: None, "kd": None, "at": "best", "rkd": "second"}


def test_what_is_worse_than_student_alone_takes_no_place(make_entry: Any) -> None:
    values = {STUDENT: 0.7, "kd": 0.6, "at": 0.7, "rkd": 0.65}
    table = tabulate([make_entry(label, 0, value) for label, value in values.items()], "accuracy")
    assert {found.label: found.scores[0].standing for found in table.rows} == {
        STUDENT: None, "kd": None, "at": "best", "rkd": None,
    }  # fmt: skip
    entries = [make_entry(label, 0, value, dataset=d) for label, value in values.items() for d in "ab"]
    averages = {found.label: found.average for found in tabulate(entries, "accuracy").rows}
    assert {label: average and average.standing for label, average in averages.items()} == {
        STUDENT: None, "kd": None, "at": "best", "rkd": None,
    }  # fmt: skip


def test_equal_means_share_a_place_whatever_the_order_of_seeds(make_entry: Any) -> None:
    one, other = [0.1, 0.7, 0.4], [0.7, 0.4, 0.1]
    assert sum(one) != sum(other)  # naive sums would part them
    entries = seeds(make_entry, "kd", one) + seeds(make_entry, "at", other) + seeds(make_entry, "rkd", [0.1, 0.1, 0.1])
    table = tabulate(entries, "accuracy")
    assert [found.scores[0].standing for found in table.rows] == ["best", "best", "second"]


def test_an_incomplete_method_takes_no_place(make_entry: Any) -> None:
    entries = seeds(make_entry, "kd", [0.9, None]) + seeds(make_entry, "at", [0.5, 0.5])
    table = tabulate(entries, "accuracy")
    assert [(found.label, found.scores[0].standing) for found in table.rows] == [("kd", None), ("at", "best")]


def test_worse_than_student_is_told_from_matched_seeds(make_entry: Any) -> None:
    entries = seeds(make_entry, STUDENT, [0.5, 0.9]) + seeds(make_entry, "kd", [0.45, None])
    entries += seeds(make_entry, "at", [0.5, 0.9])
    table = tabulate(entries, "accuracy")
    assert row(table, "kd").scores[0].worse_than_student
    assert not row(table, "at").scores[0].worse_than_student


@pytest.mark.parametrize(
    ("statuses", "state"),
    [
        ("mmm", "not run"),
        ("dmd", "2 of 3 seeds"),
        ("dfd", "failed 1 of 3"),
        ("fff", "failed 3 of 3"),
        ("dfm", "failed 1 of 3, 1 not run"),
        ("nnn", "n/a: wants a teacher"),
        ("ddd", None),
        ("d", "1 of 3 seeds"),
        ("f", "failed 1 of 3, 2 not run"),
        ("", "not run"),
    ],
)
def test_what_is_missing_is_said_in_words(make_entry: Any, statuses: str, state: str | None) -> None:
    entries = [*seeds(make_entry, "at", [0.5, 0.5, 0.5]), make_entry("kd", 0, 0.5, dataset="other")]
    for seed, letter in enumerate(statuses):
        status = {"m": "missing", "d": "done", "f": "failed", "n": "n/a"}[letter]
        reason = {"f": "broke", "n": "wants a teacher"}.get(letter)
        entries.append(make_entry("kd", seed, 0.5 if letter == "d" else None, status=status, reason=reason))
    assert row(tabulate(entries, "accuracy"), "kd").scores[0].state == state


def test_a_done_run_without_the_metric_is_said_in_words(make_entry: Any) -> None:
    without = {"metrics": {"student": {"accuracy": 0.5, "agreement": None}}}
    table = tabulate([make_entry("kd", 0, 0.5, record=without)], "agreement")
    assert table.rows[0].scores[0].state == "not recorded"


def test_a_score_is_stale_where_a_run_it_counts_is(make_entry: Any) -> None:
    entries = [
        make_entry("kd", 0, 0.5),
        make_entry("kd", 1, 0.5, freshness=Freshness.STALE),
        *seeds(make_entry, "at", [0.5, 0.5]),
    ]
    table = tabulate(entries, "accuracy")
    assert [found.scores[0].stale for found in table.rows] == [True, False]


@pytest.mark.parametrize(
    ("runs", "whole"), [("ff", "fresh"), ("fu", "unknown"), ("uu", "unknown"), ("us", "stale"), ("fs", "stale")]
)
def test_a_score_is_as_old_as_the_worst_run_it_counts(make_entry: Any, runs: str, whole: str) -> None:
    found = {"f": Freshness.FRESH, "u": Freshness.UNKNOWN, "s": Freshness.STALE}
    entries = [make_entry("kd", seed, 0.5, freshness=found[letter]) for seed, letter in enumerate(runs)]
    score = tabulate(entries, "accuracy").rows[0].scores[0]
    assert (score.freshness, score.stale) == (whole, whole == "stale")


def test_averages_count_blocks_the_same_and_rank_methods(make_entry: Any) -> None:
    entries = []
    for dataset, student, kd, at in (("a", 0.5, 0.7, 0.6), ("b", 0.8, 0.7, 0.9)):
        for label, value in ((STUDENT, student), ("kd", kd), ("at", at)):
            entries.append(make_entry(label, 0, value, dataset=dataset))
    table = tabulate(entries, "accuracy")
    averages = {found.label: found.average for found in table.rows}
    assert all(averages.values())
    assert {label: average.mean for label, average in averages.items() if average} == pytest.approx(
        {STUDENT: 0.65, "kd": 0.7, "at": 0.75}
    )
    assert [average and average.standing for average in averages.values()] == [None, "second", "best"]
    assert averages[STUDENT] is not None
    assert averages[STUDENT].gain is None
    assert averages["kd"] is not None
    assert averages["kd"].gain == pytest.approx((0.2 - 0.1) / 2)


def test_an_average_wants_every_block_complete(make_entry: Any) -> None:
    entries = [make_entry(label, 0, 0.5, dataset=dataset) for label in (STUDENT, "kd") for dataset in "ab"]
    entries.append(make_entry("at", 0, 0.9, dataset="a"))
    table = tabulate(entries, "accuracy")
    assert row(table, "at").average is None
    kd = row(table, "kd").average
    assert kd is not None
    assert kd.standing == "best"


def test_an_average_gain_wants_student_alone_complete(make_entry: Any) -> None:
    entries = [make_entry("kd", 0, 0.5, dataset=dataset) for dataset in "ab"] + [
        make_entry(STUDENT, 0, 0.4, dataset="a")
    ]
    average = row(tabulate(entries, "accuracy"), "kd").average
    assert average is not None
    assert (average.mean, average.gain) == (0.5, None)


def test_a_lower_calibration_error_is_better(make_entry: Any) -> None:
    values = {STUDENT: 0.3, "kd": 0.1, "at": 0.4}
    entries = [
        make_entry(label, 0, 0.5, record={"metrics": {"student": {"calibration_error": value}}})
        for label, value in values.items()
    ]
    table = tabulate(entries, "calibration_error")
    kd, at = row(table, "kd").scores[0], row(table, "at").scores[0]
    assert (kd.standing, at.standing) == ("best", None)
    assert (kd.gain, at.gain) == (pytest.approx(0.2), pytest.approx(-0.1))
    assert (kd.worse_than_student, at.worse_than_student) == (False, True)


def test_any_scalar_of_a_record_is_a_metric(make_entry: Any) -> None:
    entry = make_entry("kd", 0, 0.5, record={"metrics": {"student": {"top2": 0.9, "class_f1": [0.1]}}})
    assert tabulate([entry], "top2").rows[0].scores[0].mean == 0.9
    with pytest.raises(ValueError, match="no 'class_f1' in metrics"):
        tabulate([entry], "class_f1")


def test_an_unknown_metric_names_near_ones(make_entry: Any) -> None:
    with pytest.raises(ValueError, match=r"no 'macro-f1' in metrics \(did you mean 'macro_f1'.*known: accuracy, "):
        tabulate([make_entry("kd", 0, 0.5)], "macro-f1")


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (
            {"cell": {"protocol": "subject-v1", "recipe": {"name": "cpu", "epochs": 40, "warmup": 1}}},
            r"recipes: two came, differing in \['epochs', 'warmup'\]",
        ),
        ({"cell": {"protocol": "subject-v1", "recipe": {"epochs": 9}}}, r"recipes: two came, .* \['epochs'\]"),
        ({"cell": {"protocol": "subject-v1", "recipe": {}}}, r"recipes: two came, .* \['epochs'\]"),
        (
            {"cell": {"protocol": "random-leaky-v1", "recipe": {"name": "har", "epochs": 120}}},
            "protocols: 'subject-v1'",
        ),
        ({"side": "validation"}, "splits: 'test' and 'validation'"),
        ({"cell": {"protocol": "subject-v1"}}, "record .*kd-1: its cell lacks a recipe"),
        ({"cell": {"recipe": {"name": "har"}}}, "or a protocol"),
    ],
)
def test_runs_that_do_not_compare_are_refused(make_entry: Any, record: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tabulate([make_entry("kd", 0, 0.5), make_entry("kd", 1, 0.5, record=record)], "accuracy")


def test_one_place_takes_one_entry(make_entry: Any) -> None:
    with pytest.raises(ValueError, match="'kd' came twice for uci_har, big:small, seed 0"):
        tabulate([make_entry("kd", 0, 0.5), make_entry("kd", 0, 0.6)], "accuracy")


def test_a_row_has_one_kind(make_entry: Any) -> None:
    with pytest.raises(ValueError, match="row 'kd' came as"):
        tabulate([make_entry("kd", 0, 0.5), make_entry("kd", 1, 0.5, kind="feature")], "accuracy")


def test_student_alone_is_one_row(make_entry: Any) -> None:
    other = make_entry("baseline", 0, 0.5, role=RowRole.STUDENT)
    with pytest.raises(ValueError, match="one row is wanted"):
        tabulate([make_entry(STUDENT, 0, 0.5), other], "accuracy")


def test_no_entries_are_refused() -> None:
    with pytest.raises(ValueError, match="no entries"):
        tabulate([], "accuracy")


def test_what_a_recipe_is_called_says_nothing_about_the_numbers(make_entry: Any) -> None:
    recipes = [{"epochs": 9}, {"name": "har", "epochs": 9}, {"name": "quick", "note": "by hand", "epochs": 9}]
    cells = [{"protocol": "subject-v1", "recipe": recipe} for recipe in recipes]
    entries = [make_entry("kd", seed, 0.5, record={"cell": cell}) for seed, cell in enumerate(cells)]
    assert tabulate(entries, "accuracy").rows[0].scores[0].complete


def test_a_tables_split_is_that_of_its_records(make_entry: Any) -> None:
    entries = [make_entry("at", 0, None), make_entry("kd", 0, 0.5, record={"side": "validation"})]
    assert tabulate(entries, "accuracy").side == "validation"
    assert tabulate(entries[:1], "accuracy").side is None


def test_a_done_entry_wants_a_done_record(make_entry: Any, make_record: Any) -> None:
    entry = make_entry("kd", 0, 0.5)
    with pytest.raises(ValueError, match="done wants a done record, none came"):
        replace(entry, record=None)
    with pytest.raises(ValueError, match="status 'failed' came"):
        replace(entry, record=make_record(status="failed", reason="broke"))


def test_an_entry_that_does_not_apply_wants_a_reason(make_entry: Any) -> None:
    with pytest.raises(ValueError, match="n/a wants a reason"):
        make_entry("kd", 0, None, status="n/a")


def folds(make: Any, label: str, values: list[list[float | None]], **changes: Any) -> list[Any]:
    """Entries of a row: a list for each seed, in it a value for each fold."""
    return [
        make(label, seed, value, fold=fold, **changes)
        for seed, by_fold in enumerate(values)
        for fold, value in enumerate(by_fold)
    ]


def test_a_seeds_value_is_the_mean_over_its_folds(make_entry: Any) -> None:
    entries = folds(make_entry, STUDENT, [[0.2, 0.4, 0.9], [0.5, 0.5, 0.5]])
    entries += folds(make_entry, "kd", [[0.3, 0.6, 0.9], [0.6, 0.4, 0.8]])
    table = tabulate(entries, "accuracy")
    assert (table.seeds, table.folds) == ((0, 1), (3,))
    score = row(table, "kd").scores[0]
    assert score.values == pytest.approx({0: 0.6, 1: 0.6})
    assert score.differences == pytest.approx({0: 0.1, 1: 0.1})
    assert (score.n, score.wanted, score.std, score.state) == (2, 2, pytest.approx(0), None)


def test_a_seed_that_lacks_a_fold_has_no_value(make_entry: Any) -> None:
    entries = folds(make_entry, STUDENT, [[0.5, 0.5], [0.5, 0.5]]) + folds(make_entry, "kd", [[0.6, None], [0.7, 0.9]])
    score = row(tabulate(entries, "accuracy"), "kd").scores[0]
    assert score.values == pytest.approx({1: 0.8})
    assert score.gain == pytest.approx(0.3)
    assert (score.state, score.standing) == ("3 of 4 runs", None)


def test_a_fold_that_no_entry_of_the_row_has_is_missed(make_entry: Any) -> None:
    entries = [*folds(make_entry, STUDENT, [[0.5, 0.5, 0.5]]), make_entry("kd", 0, 0.9)]
    kd = row(tabulate(entries, "accuracy"), "kd")
    assert (kd.scores[0].values, kd.scores[0].state, kd.average) == ({}, "1 of 3 folds", None)


@pytest.mark.parametrize(
    ("statuses", "state"),
    [
        ("mmm", "not run"),
        ("dmd", "2 of 3 folds"),
        ("dfd", "failed 1 of 3"),
        ("dfm", "failed 1 of 3, 1 not run"),
        ("nnn", "n/a: wants a teacher"),
        ("ddd", None),
        ("f", "failed 1 of 3, 2 not run"),
    ],
)
def test_what_is_missing_of_folds_is_said_in_words(make_entry: Any, statuses: str, state: str | None) -> None:
    entries = folds(make_entry, "at", [[0.5, 0.5, 0.5]])
    for fold, letter in enumerate(statuses):
        status = {"m": "missing", "d": "done", "f": "failed", "n": "n/a"}[letter]
        reason = {"f": "broke", "n": "wants a teacher"}.get(letter)
        value = 0.5 if letter == "d" else None
        entries.append(make_entry("kd", 0, value, fold=fold, status=status, reason=reason))
    assert row(tabulate(entries, "accuracy"), "kd").scores[0].state == state


def test_each_block_has_its_own_number_of_folds(make_entry: Any) -> None:
    entries = folds(make_entry, "kd", [[0.5, 0.7]], dataset="a") + folds(
        make_entry, "kd", [[0.1, 0.2, 0.3]], dataset="b"
    )
    table = tabulate(entries, "accuracy")
    assert table.folds == (2, 3)
    assert [score.mean for score in table.rows[0].scores] == [pytest.approx(0.6), pytest.approx(0.2)]


def test_a_stale_fold_makes_the_score_stale(make_entry: Any) -> None:
    entries = [make_entry("kd", 0, 0.5), make_entry("kd", 0, 0.5, fold=1, freshness=Freshness.STALE)]
    assert tabulate(entries, "accuracy").rows[0].scores[0].stale


def test_one_fold_takes_one_entry(make_entry: Any) -> None:
    with pytest.raises(ValueError, match="'kd' came twice for uci_har, big:small, seed 0, fold 2"):
        tabulate([make_entry("kd", 0, 0.5, fold=2), make_entry("kd", 0, 0.6, fold=2)], "accuracy")


def test_ten_thousand_entries_take_well_under_a_second(make_entry: Any) -> None:
    entries = [
        make_entry(label, seed, 0.5, dataset=dataset)
        for label in (STUDENT, *(f"m{i}" for i in range(49)))
        for dataset in map(str, range(20))
        for seed in range(10)
    ]
    start = time.process_time()
    table = tabulate(entries, "accuracy")
    assert time.process_time() - start < 1
    assert (len(entries), len(table.rows), len(table.blocks)) == (10_000, 50, 20)
