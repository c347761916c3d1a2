"""Every network alone: each once, by its work, with those marked that no cheaper one matches."""

from typing import Any

import pytest

from kdbench.results import Asked
from kdbench.results.pages import costs_page
from kdbench.results.render import page_text
from kdbench.results.tables.alone import tabulate_networks


@pytest.fixture
def alone(make_entry: Any) -> Any:
    """``alone(pair, teacher=(work, value), student=(work, value))``: both networks of a pair, trained alone."""

    def make(pair: str, seed: int = 0, *, teacher: Any, student: Any, **changes: Any) -> list[Any]:
        return [
            make_entry(row, seed, value, pair=pair, record={"costs": {"multiply_adds": work}}, **changes)
            for row, (work, value) in (("teacher", teacher), ("student alone", student))
        ]

    return make


def test_networks_are_ordered_by_work_and_those_marked_that_no_cheaper_one_matches(alone: Any) -> None:
    entries = [
        *alone("big:small", teacher=(900.0, 0.8), student=(10.0, 0.7)),
        *alone("worse:twin", teacher=(500.0, 0.6), student=(10.0, 0.65)),
        *alone("equal:tiny", teacher=(901.0, 0.8), student=(1.0, 0.2)),
        *alone("same:worse", teacher=(900.0, 0.8), student=(500.0, 0.6)),
    ]
    rows = tabulate_networks(entries, ["macro_f1"])
    assert [row.network for row in rows] == ["tiny", "small", "twin", "worse", "big", "same", "equal"]
    assert [row.network for row in rows if row.front] == ["tiny", "small", "big", "same"]


def test_where_less_is_better_the_front_is_the_other_way_round(alone: Any) -> None:
    entries = alone("big:small", teacher=(900.0, 0.2), student=(10.0, 0.1))
    for entry in entries:
        entry.record.metrics["student"]["calibration_error"] = entry.record.metrics["student"]["accuracy"]
    assert [row.front for row in tabulate_networks(entries, ["calibration_error"])] == [True, False]
    assert [row.front for row in tabulate_networks(entries, ["accuracy"])] == [True, True]


def test_a_network_of_several_pairs_and_roles_stands_once_a_dataset(alone: Any) -> None:
    entries = [
        entry
        for dataset in ("a", "b")
        for seed, value in enumerate((0.6, 0.8))
        for pair in ("big:small", "small:big")
        for entry in alone(pair, seed, teacher=(5.0, value), student=(5.0, value), dataset=dataset)
    ]
    rows = tabulate_networks(entries, ["macro_f1", "accuracy"])
    assert [(row.dataset, row.network) for row in rows] == [("a", "big"), ("a", "small"), ("b", "big"), ("b", "small")]
    assert {(score.n, score.mean) for row in rows for score in row.scores} == {(2, 0.7)}


def test_what_is_missing_is_said_and_comes_last(alone: Any, make_entry: Any, asked: Asked) -> None:
    entries = [
        *alone("big:small", teacher=(1.0, 0.5), student=(2.0, 0.6)),
        *alone("odd:late", teacher=(0.0, None), student=(9.0, 0.1)),
        make_entry("student alone", 0, None, pair="big:never", status="n/a", reason="windows too short"),
    ]
    rows = tabulate_networks(entries, ["macro_f1"])
    assert [row.network for row in rows] == ["big", "small", "late", "odd", "never"]
    assert [row.scores[0].state for row in rows[3:]] == ["not run", "n/a: windows too short"]
    assert [(row.point, row.front) for row in rows[3:]] == [(None, False)] * 2
    assert "n/a, never: windows too short." in page_text(costs_page(entries, asked=asked, version="1"))


def test_the_page_says_how_well_each_network_does_beside_what_it_costs(alone: Any, asked: Asked) -> None:
    entries = [
        *alone("big:small", 0, teacher=(900.0, 0.8), student=(10.0, 0.7)),
        *alone("big:small", 1, teacher=(900.0, 0.9), student=(10.0, 0.75)),
    ]
    page = page_text(costs_page(entries, ["macro_f1", "accuracy"], asked=asked, version="1.2.3"))
    lines = [[cell.strip() for cell in line[1:-1].split(" | ")] for line in page.splitlines() if line.startswith("|")]
    assert lines[0][:5] == ["network", "macro-F1", "accuracy", "parameters", "multiply-adds"]
    assert lines[2][:5] == ["**small**", "72.5 ± 3.5", "72.5 ± 3.5", "–", "10"]
    assert lines[3][:5] == ["**big**", "85.0 ± 7.1", "85.0 ± 7.1", "–", "900"]
    assert len(lines) == 4  # no method, so no table of a pair
    assert page.startswith("# kdbench: costs\n\n## Networks alone on uci_har\n\n| network ")
    assert "\n\nMacro-F1 and accuracy in percent on uci_har; test split; protocol subject-v1; " in page
    assert "Bold: none does better in macro-F1 with as many multiply-adds, or as well with fewer." in page
    assert "training adds" not in page


def test_a_page_wants_a_metric_that_there_is(alone: Any, asked: Asked) -> None:
    entries = alone("big:small", teacher=(900.0, 0.8), student=(10.0, 0.7))
    with pytest.raises(ValueError, match="no metrics came"):
        costs_page(entries, [], asked=asked, version="1")
    with pytest.raises(ValueError, match="no 'f1' in metrics"):
        costs_page(entries, ["f1"], asked=asked, version="1")
