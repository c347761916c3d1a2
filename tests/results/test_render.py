"""What readers see: Markdown, CSV, captions, reports."""

import csv
import io
import re
from dataclasses import replace
from typing import Any

import pytest

from kdbench.results import Asked, Freshness
from kdbench.results.pages import runs_sheet, score_sheets, scores_page, wide_sheet
from kdbench.results.render import csv_text, markdown_text, page_text
from kdbench.results.tables.family import Judged
from kdbench.results.tables.model import Table
from kdbench.results.tables.scores import tabulate
from kdbench.results.words.captions import caption

STUDENT = "student alone"
Values = dict[str, list[float | None]]


def entries_of(make: Any, values: Values, **changes: Any) -> list[Any]:
    return [make(label, seed, value, **changes) for label, row in values.items() for seed, value in enumerate(row)]


def cells(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line[1:-1].split(" | ")] for line in lines]


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


ASKED = Asked("subject-v1", "har")


def captioned(entries: list[Any], metric: str = "accuracy", asked: Asked = ASKED) -> str:
    return caption(entries, tabulate(entries, metric), asked, "1.2.3")


def markdown(table: Table, caption: str) -> str:
    """The sheets of a table of which nothing is judged."""
    judged = Judged(table, None, (None,) * len(table.blocks), "nobody asked")
    return "\n\n".join(map(markdown_text, score_sheets([], judged, caption)))


def csv_tidy(entries: list[Any], metrics: list[str]) -> str:
    return csv_text(runs_sheet(entries, metrics))


def csv_wide(tables: list[Table]) -> str:
    return csv_text(wide_sheet(tables))


def report(entries: list[Any], *metrics: list[str], warning: str = "", version: str) -> str:
    return page_text(scores_page(entries, *metrics, asked=replace(ASKED, warning=warning), version=version))


def test_a_table_reads_well_raw(make_entry: Any) -> None:
    values: Values = {STUDENT: [0.5, 0.6], "kd": [0.91, 0.922], "at": [0.4, 0.6], "rkd": [0.7, 0.7], "dkd": [0.7, None]}
    assert markdown(tabulate(entries_of(make_entry, values), "accuracy"), "Caption.") == (
        "| method        | kind      |            accuracy |  gain |\n"
        "| :------------ | :-------- | ------------------: | ----: |\n"
        "| student alone | reference |          55.0 ± 7.1 |     – |\n"
        "| kd            | logit     |      **91.6 ± 0.8** | +36.6 |\n"
        "| at            | logit     |       50.0 ± 14.1 ↓ |  -5.0 |\n"
        "| rkd           | logit     |   <u>70.0 ± 0.0</u> | +15.0 |\n"
        "| dkd           | logit     | 70.0 (1 of 2 seeds) |     – |\n"
        "\n"
        "Caption."
    )


def test_a_cell_says_n_a_and_the_caption_why_and_where(make_entry: Any) -> None:
    entries = entries_of(make_entry, {STUDENT: [0.5], "kd": [0.6]}) + entries_of(
        make_entry, {STUDENT: [0.5], "kd": [0.6]}, dataset="hapt"
    )
    refused = {"status": "n/a", "reason": "there is no time axis"}
    entries += [make_entry("at", 0, None, **refused), make_entry("at", 0, None, dataset="hapt", **refused)]
    entries += [make_entry("nst", 0, None, **refused), make_entry("nst", 0, 0.7, dataset="hapt")]
    text = markdown(tabulate(entries, "accuracy"), "")
    found = cells(text)
    assert [line[2] for line in found[:6]] == ["average", "-" * 9 + ":", "50.0", "**60.0**", "incomplete", "incomplete"]
    assert [line[2] for line in found[6:12]] == ["score", "-" * 7 + ":", "50.0", "**60.0**", "n/a", "n/a"]
    assert [line[2] for line in found[12:]] == ["score", "-" * 10 + ":", "50.0", "<u>60.0</u>", "n/a", "**70.0**"]
    assert "n/a, at; nst on uci_har big:small: there is no time axis." in captioned(entries)


def test_every_line_of_a_table_is_equally_long(make_entry: Any) -> None:
    values: Values = {STUDENT: [0.5, 0.6], "kd": [0.91, 0.922], "a method with a long name": [0.4, None]}
    lines = markdown(tabulate(entries_of(make_entry, values, freshness=Freshness.STALE), "accuracy"), "").splitlines()
    assert len({len(line) for line in lines if line}) == 1


def test_one_seed_shows_no_spread(make_entry: Any) -> None:
    table = tabulate(entries_of(make_entry, {STUDENT: [0.5], "kd": [0.912]}), "accuracy")
    assert cells(markdown(table, ""))[-1] == ["kd", "logit", "**91.2**", "+41.2"]


def test_stale_and_worse_scores_are_marked(make_entry: Any) -> None:
    entries = [make_entry(STUDENT, 0, 0.5), make_entry("kd", 0, 0.4, freshness=Freshness.STALE)]
    assert cells(markdown(tabulate(entries, "accuracy"), ""))[-1][2:] == ["40.0 ↓†", "-10.0"]


def test_an_incomplete_cell_shows_the_mean_of_what_is_there_and_what_is_missing(make_entry: Any) -> None:
    values: Values = {STUDENT: [0.5, 0.5], "kd": [0.9, None]}
    table = tabulate(entries_of(make_entry, values), "accuracy")
    assert cells(markdown(table, ""))[-1][2:] == ["90.0 (1 of 2 seeds)"]


def test_a_gain_over_fewer_seeds_says_so(make_entry: Any) -> None:
    table = tabulate(entries_of(make_entry, {STUDENT: [0.5, None], "kd": [0.6, 0.9]}), "accuracy")
    assert cells(markdown(table, ""))[-1][2:] == ["**75.0 ± 21.2**", "+10.0 (1 of 2 seeds)"]


def test_averages_come_with_a_second_block(make_entry: Any) -> None:
    entries = entries_of(make_entry, {STUDENT: [0.5], "kd": [0.6], "at": [0.4]}, dataset="a")
    entries += entries_of(make_entry, {STUDENT: [0.7], "kd": [0.6]}, dataset="b")
    found = cells(markdown(tabulate(entries, "accuracy"), ""))
    summary, a, b = found[:5], found[5:10], found[10:]
    assert summary[0] == ["method", "kind", "average", "gain"]
    assert summary[2][2:] == ["60.0", "–"]
    assert [sheet[3] for sheet in (summary, a, b)] == [
        ["kd", "logit", "**60.0**", "0.0"],
        ["kd", "logit", "**60.0**", "+10.0"],
        ["kd", "logit", "60.0 ↓", "-10.0"],
    ]
    assert summary[4][2:] == ["incomplete", "–"]
    assert b[4][2:] == ["not run", "–"]
    assert "average" not in markdown(tabulate(entries[:3], "accuracy"), "")


def test_a_pipe_in_a_label_does_not_break_the_table(make_entry: Any) -> None:
    table = tabulate([make_entry("kd|T=4", 0, 0.5)], "accuracy")
    assert markdown(table, "").splitlines()[2].startswith("| kd\\|T=4 | logit |")


def test_tidy_csv_has_one_line_per_entry_in_full_precision(make_entry: Any) -> None:
    value = 0.1 + 0.2
    entries = [
        make_entry("kd", 3, value),
        make_entry("at", 3, None, status="failed", reason='broke, "badly"\nat once'),
    ]
    done, failed = read(csv_tidy(entries, ["accuracy", "agreement"]))
    assert done == {
        "dataset": "uci_har",
        "pair": "big:small",
        "row": "kd",
        "kind": "logit",
        "role": "method",
        "seed": "3",
        "fold": "0",
        "judged": "",
        "status": "done",
        "reason": "",
        "stale": "False",
        "side": "test",
        "digest": "uci_har-big:small-kd-3",
        "accuracy": "0.30000000000000004",
        "agreement": "",
    }
    assert (failed["reason"], failed["accuracy"], failed["digest"]) == ('broke, "badly"\nat once', "", "")


def test_tidy_csv_refuses_an_unknown_metric(make_entry: Any) -> None:
    with pytest.raises(ValueError, match="did you mean 'accuracy'"):
        csv_tidy([make_entry("kd", 0, 0.5)], ["acuracy"])


def test_wide_csv_has_one_line_per_metric_and_row(make_entry: Any) -> None:
    entries = entries_of(make_entry, {STUDENT: [0.1, 0.2], "kd": [0.3, 0.6], "at": [0.3, None]})
    lines = read(csv_wide([tabulate(entries, metric) for metric in ("macro_f1", "accuracy")]))
    assert [(line["metric"], line["row"]) for line in lines] == [
        (metric, row) for metric in ("macro_f1", "accuracy") for row in (STUDENT, "kd", "at")
    ]
    block = "uci_har big:small"
    assert float(lines[1][f"{block} mean"]) == (0.3 + 0.6) / 2
    assert float(lines[1][f"{block} gain"]) == pytest.approx(0.3)
    assert float(lines[1][f"{block} std"]) == pytest.approx(0.3 / 2**0.5)
    assert (lines[1][f"{block} n"], lines[1][f"{block} place"], lines[1][f"{block} state"]) == ("2", "best", "complete")
    assert (lines[2][f"{block} n"], lines[2][f"{block} state"]) == ("1", "1 of 2 seeds")
    assert lines[1]["average mean"] == ""


def test_wide_csv_has_averages_over_several_blocks(make_entry: Any) -> None:
    entries = [make_entry("kd", 0, value, dataset=dataset) for dataset, value in (("a", 0.25), ("b", 0.5))]
    (line,) = read(csv_wide([tabulate(entries, "accuracy")]))
    assert (line["average mean"], line["average gain"]) == ("0.375", "")


def test_wide_csv_wants_tables_of_the_same_blocks(make_entry: Any) -> None:
    tables = [tabulate([make_entry("kd", 0, 0.5, dataset=dataset)], "accuracy") for dataset in "ab"]
    for wrong in (tables, []):
        with pytest.raises(ValueError, match="same blocks"):
            csv_wide(wrong)


def test_a_caption_states_the_conditions(make_entry: Any) -> None:
    entries = entries_of(make_entry, {STUDENT: [0.5, 0.5], "kd": [0.6, 0.7]})
    assert captioned(entries).startswith(
        "Accuracy in percent on uci_har, big:small; test split; protocol subject-v1; recipe har; seeds 0, 1; "
        "mean ± standard deviation over seeds (n - 1); hyper-parameters: defaults where a row does not say "
        "otherwise, no search; 4 cells trained; "
        "kdbench 1.2.3. Gain: mean seed-matched difference to student alone in points, above 0 is better; "
        "bold: highest value."
    )


def test_a_caption_states_the_recipes_note(make_entry: Any) -> None:
    asked = Asked("subject-v1", "quick", "not for publication")
    text = captioned([make_entry("kd", 0, 0.5, record={"side": "validation"})], asked=asked)
    assert "validation split; protocol subject-v1; recipe quick (not for publication); seed 0, so no spread;" in text


def test_a_caption_says_over_how_many_folds_a_mean_is(make_entry: Any) -> None:
    def entries(dataset: str, count: int) -> list[Any]:
        return [make_entry("kd", 0, 0.5, fold=fold, dataset=dataset) for fold in range(count)]

    assert "fold" not in captioned(entries("a", 1))
    assert "; recipe har; mean over 3 folds; seed 0, so no spread;" in captioned(entries("a", 3) + entries("b", 3))
    assert "; mean over folds (a: 3, b: 2);" in captioned(entries("a", 3) + entries("b", 2))


def test_what_is_said_against_the_protocol_stands_in_every_caption_and_the_answer(make_entry: Any) -> None:
    entries = entries_of(make_entry, {STUDENT: [0.5], "kd": [0.6]})
    assert "LEAKS" not in report(entries, version="1")
    text = report(entries, version="1", warning="LEAKS: by the window")
    assert text.count("; protocol subject-v1 (LEAKS: by the window); recipe har;") == 2
    assert "Answer (macro-F1, LEAKS: by the window): kd has the highest value" in text


def test_a_caption_counts_a_shared_run_once_and_failed_ones_apart(make_entry: Any, make_record: Any) -> None:
    shared = [make_entry(STUDENT, 0, 0.5, pair=pair, record={"digest": "same"}) for pair in ("a:s", "b:s")]
    broken = make_record(digest="other", status="failed", reason="broke")
    entries = [*shared, make_entry("kd", 0, None, pair="a:s", status="failed", reason="broke")]
    entries[-1] = replace(entries[-1], record=broken)
    assert "; 2 cells trained (1 failed);" in captioned(entries)


def test_a_caption_without_runs_says_so(make_entry: Any) -> None:
    text = captioned([make_entry("kd", 0, None)])
    assert "no runs yet" in text
    assert "0 cells trained" in text
    assert "Gain" not in text


@pytest.mark.parametrize(
    ("values", "stale", "used"),
    [
        ({STUDENT: [0.5], "kd": [0.6]}, False, {"bold"}),
        ({STUDENT: [0.5], "kd": [0.6], "at": [0.7]}, False, {"bold", "underlined"}),
        ({STUDENT: [0.5], "kd": [0.4]}, False, {"↓"}),
        ({STUDENT: [0.5], "kd": [0.6]}, True, {"bold", "†"}),
        ({STUDENT: [0.5, 0.5], "kd": [0.4, None]}, False, set()),
    ],
)
def test_the_legend_explains_the_marks_that_are_used(
    make_entry: Any, values: Values, stale: bool, used: set[str]
) -> None:
    freshness = Freshness.STALE if stale else Freshness.FRESH
    text = captioned(entries_of(make_entry, values, freshness=freshness))
    assert {mark for mark in ("bold", "underlined", "↓", "†") if mark in text} == used


@pytest.mark.parametrize(
    ("metric", "seeds", "said"),
    [
        ("accuracy", 2, "bold: highest value; underlined: the next"),
        ("accuracy", 1, "bold: highest value; underlined: the next"),
        ("calibration_error", 2, "bold: lowest value; underlined: the next"),
    ],
)
def test_the_legend_names_no_best_method(make_entry: Any, metric: str, seeds: int, said: str) -> None:
    entries = [
        make_entry(label, seed, 0.5, record={"metrics": {"student": {metric: value}}})
        for label, value in ((STUDENT, 0.5), ("kd", 0.6), ("at", 0.7), ("rkd", 0.4), ("sp", 0.3))
        for seed in range(seeds)
    ]
    text = caption(entries, tabulate(entries, metric), Asked("subject-v1", "har"), "1")
    assert said in text
    assert "best" not in text


def test_a_caption_says_of_how_many_runs_nobody_knows_whether_they_are_stale(make_entry: Any) -> None:
    known = [make_entry(STUDENT, seed, 0.5) for seed in (0, 1)]
    unknown = [make_entry("kd", seed, 0.6, freshness=Freshness.UNKNOWN) for seed in (0, 1)]
    half = make_entry("at", 0, 0.6, freshness=Freshness.UNKNOWN)
    said = "from an older kdbench: whether the source changed since is unknown."
    assert "older" not in captioned([*known, half])  # no number of it is shown
    assert f". 2 runs come {said}" in captioned([*known, *unknown, half])
    assert captioned([*known, unknown[0], replace(unknown[1], freshness=Freshness.FRESH)]).count(f"1 run comes {said}")
    again = [replace(entry, place=replace(entry.place, row="twin")) for entry in unknown]
    assert captioned([*known, *unknown, *again]).count(f"2 runs come {said}") == 1
    assert "†" not in report([*known, *unknown], version="1")
    assert report([*known, *unknown], version="1").count(f"2 runs come {said}") == 2  # once a table


def test_csv_says_where_nobody_knows_whether_a_run_is_stale(make_entry: Any) -> None:
    ages = {"a": Freshness.FRESH, "b": Freshness.STALE, "c": Freshness.UNKNOWN}
    entries = [make_entry(row, 0, 0.5, freshness=freshness) for row, freshness in ages.items()]
    wanted = ["False", "True", "unknown"]
    assert [line["stale"] for line in read(csv_tidy(entries, ["accuracy"]))] == wanted
    assert [line["uci_har big:small stale"] for line in read(csv_wide([tabulate(entries, "accuracy")]))] == wanted


def test_notes_of_rows_are_listed_once(make_entry: Any) -> None:
    entries = entries_of(make_entry, {"kd": [0.5, 0.5, 0.5]}, note="a reconstruction from the text")
    assert captioned(entries).count("kd: a reconstruction from the text.") == 1


def test_mixed_devices_and_torch_versions_are_warned_of(make_entry: Any) -> None:
    entries = [make_entry("kd", seed, 0.5, record={"digest": str(seed)}) for seed in range(3)]
    assert "Warning" not in captioned(entries)
    entries.append(make_entry("kd", 3, 0.5, record={"device": "cuda", "versions": {"torch": "2.11"}}))
    assert captioned(entries).endswith(
        "Warning: runs of several devices are mixed (cpu: 3, cuda: 1). "
        "Warning: runs of several torch versions are mixed (2.11: 1, 2.13: 3)."
    )


def test_a_caption_says_where_lower_is_better(make_entry: Any) -> None:
    metrics = {"student": {"calibration_error": 0.1}}
    text = captioned([make_entry("kd", 0, 0.5, record={"metrics": metrics})], "calibration_error")
    assert text.startswith("Calibration error (lower is better) in percent on uci_har, big:small;")


def test_a_report_has_a_table_per_metric_and_ends_with_the_answer(make_entry: Any) -> None:
    entries = entries_of(make_entry, {STUDENT: [0.5], "kd": [0.6]})
    text = report(entries, version="1.2.3")
    assert re.findall(r"^#+ .*", text, re.MULTILINE) == [
        "# kdbench: knowledge distillation on uci_har",
        "## Macro-F1",
        "## Accuracy",
    ]
    assert text.count("kdbench 1.2.3") == 2
    assert text.splitlines()[-1].startswith("Answer (macro-F1): kd has the highest value, +10.0 points")
    assert text.endswith(".\n")


def test_a_report_answers_for_its_first_metric(make_entry: Any) -> None:
    text = report([make_entry(STUDENT, 0, 0.5), make_entry("kd", 0, 0.6)], ["accuracy"], version="1")
    assert "macro" not in text
    assert text.splitlines()[-1].startswith("Answer (accuracy)")


def test_a_report_wants_metrics(make_entry: Any) -> None:
    with pytest.raises(ValueError, match="no metrics"):
        report([make_entry("kd", 0, 0.5)], [], version="1")
