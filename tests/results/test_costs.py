"""The cost table: medians over runs, ratios to the teacher, numbers as people read them."""

import csv
import io
from typing import Any

import pytest

from kdbench.results import Asked
from kdbench.results.pages import costs_page, costs_sheet
from kdbench.results.render import csv_text, page_text
from kdbench.results.tables.costs import tabulate_costs
from kdbench.results.words.costs import ratio, shown


def entries_of(make: Any) -> list[Any]:
    def costed(row: str, seed: int, value: float | None, costs: dict[str, float], **changes: Any) -> Any:
        return make(row, seed, value, record={"costs": costs}, **changes)

    return [
        costed("teacher", 0, 0.9, {"parameters": 3000.0, "latency_ms": 8.0, "method_parameters": 0.0}),
        costed("student alone", 0, 0.5, {"parameters": 1000.0, "latency_ms": 1.0, "method_parameters": 0.0}),
        costed("student alone", 1, 0.5, {"parameters": 1000.0, "latency_ms": 2.0, "method_parameters": 0.0}),
        costed("student alone", 2, 0.5, {"parameters": 1000.0, "latency_ms": 40.0, "method_parameters": 0.0}),
        costed("kd", 0, 0.6, {"parameters": 1000.0, "method_parameters": 70.0}),
        make("at", 0, None),
    ]


def test_a_row_is_the_median_over_its_runs_and_is_compared_with_the_teacher(make_entry: Any) -> None:
    rows = {row.label: row for row in tabulate_costs(entries_of(make_entry))}
    assert rows["student alone"].costs["latency_ms"] == 2
    assert rows["student alone"].ratios == {"parameters": 3, "latency_ms": 4}
    assert rows["teacher"].ratios == {}
    assert rows["kd"].ratios == {"parameters": 3}
    assert rows["at"].costs == rows["at"].ratios == {}


def test_the_report_shows_what_is_there_and_a_dash_for_what_is_not(make_entry: Any, asked: Asked) -> None:
    text = page_text(costs_page(entries_of(make_entry), asked=asked, version="1.2.3"))
    networks, pairs = text.split("\n## uci_har, big:small\n\n")
    assert networks.startswith("# kdbench: costs\n\n## Networks alone on uci_har\n\n| network ")
    lines = [[cell.strip() for cell in line[1:-1].split(" | ")] for line in pairs.splitlines() if line.startswith("|")]
    assert lines[0] == ["method", "parameters", "multiply-adds", "activations", "file", "latency", "training adds"]
    assert lines[3] == ["student alone", "1,000 (3×)", "–", "–", "–", "2 ms (4×)", "0"]
    assert lines[4] == ["kd", "1,000 (3×)", "–", "–", "–", "–", "70"]
    assert lines[5] == ["at", "not run", *["–"] * 5]
    assert text.endswith("kdbench 1.2.3.\n")


def test_each_pair_has_a_table_and_a_teacher_of_its_own(make_entry: Any, asked: Asked) -> None:
    costs = {"parameters": 100.0}
    other = [
        make_entry("teacher", 0, 0.9, pair="tiny:small", record={"costs": costs}),
        make_entry("kd", 0, 0.9, pair="tiny:small", record={"costs": costs}),
    ]
    rows = tabulate_costs([*entries_of(make_entry), *other])
    assert [row.ratios["parameters"] for row in rows if row.label == "kd"] == [3, 1]
    page = costs_page([*entries_of(make_entry), *other], asked=asked, version="1")
    assert page_text(page).count("\n## uci_har, ") == 2


def test_csv_has_a_line_per_row_in_full_precision(make_entry: Any) -> None:
    entries = [make_entry("kd", 0, 0.5, record={"costs": {"latency_ms": 0.1 + 0.2}})]
    (line,) = csv.DictReader(io.StringIO(csv_text(costs_sheet(entries))))
    assert line["latency_ms"] == "0.30000000000000004"
    assert (line["dataset"], line["pair"], line["row"], line["role"]) == ("uci_har", "big:small", "kd", "method")
    assert line["parameters"] == line["parameters_ratio"] == ""
    assert (line["network"], line["macro_f1"], line["accuracy"]) == ("small", "0.5", "0.5")
    begun = [*entries, make_entry("kd", 1, None)]
    (line,) = csv.DictReader(io.StringIO(csv_text(costs_sheet(begun, ["accuracy"]))))
    assert (line["accuracy"], line["state"], "macro_f1" in line) == ("", "1 of 2 seeds", False)


def test_csv_says_which_networks_alone_are_on_the_front(make_entry: Any) -> None:
    entries = [
        make_entry(row, 0, value, record={"costs": {"multiply_adds": work}})
        for row, value, work in (("teacher", 0.4, 20.0), ("student alone", 0.5, 10.0), ("kd", 0.9, 10.0))
    ]
    lines = csv.DictReader(io.StringIO(csv_text(costs_sheet(entries))))
    assert [(line["row"], line["front"]) for line in lines] == [
        ("teacher", "False"),
        ("student alone", "True"),
        ("kd", ""),
    ]


def test_a_row_that_cannot_be_says_so_and_the_page_says_why(make_entry: Any, asked: Asked) -> None:
    entries = [*entries_of(make_entry), make_entry("nst", 0, None, status="n/a", reason="no time")]
    text = page_text(costs_page(entries, asked=asked, version="1"))
    (line,) = (line for line in text.splitlines() if line.startswith("| nst"))
    assert [cell.strip() for cell in line.split("|")[2:4]] == ["n/a", "–"]
    assert "n/a, nst: no time. kdbench 1.\n" in text


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("parameters", 2_975_622.0, "2,975,622"),
        ("teacher_parameters", 12.0, "12"),
        ("multiply_adds", 261_410_304.0, "261 M"),
        ("multiply_adds", 999.0, "999"),
        ("multiply_adds", 999_499.0, "999 k"),
        ("multiply_adds", 999_500.0, "1 M"),
        ("multiply_adds", 0.0, "0"),
        ("elementwise", 1.5e15, "1.5e+03 T"),
        ("file_size", 12.0, "12 B"),
        ("activation_memory", 6608.0, "6.61 kB"),
        ("latency_ms", 0.05551, "0.0555 ms"),
        ("latency_p95_ms", 12345.0, "12,345 ms"),
        ("throughput", 58.2, "58.2"),
        ("latency_ms", None, "–"),
    ],
)
def test_numbers_are_short(key: str, value: float | None, text: str) -> None:
    assert shown(key, value) == text


def test_ratios_are_short() -> None:
    assert [ratio(value) for value in (0.5, 2.7543, 146.2, 1234.5)] == ["0.5×", "2.75×", "146×", "1,234×"]
