"""A sheet says everything once, without markup; every format is made from it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import kdbench.results
from kdbench.results import Asked, Freshness
from kdbench.results.pages import costs_page, score_sheets, scores_page
from kdbench.results.render import csv_text, markdown_text, page_text
from kdbench.results.sheet import Cell, Column, Mark, Page, Sheet, plain_sheet
from kdbench.results.tables.family import judge
from kdbench.results.tables.model import Standing
from kdbench.results.tables.scores import tabulate

STUDENT = "student alone"


@pytest.fixture
def sheet() -> Sheet:
    columns = (Column("method", numeric=False), Column("a, b", "a b mean"), Column("gain"))
    best = Cell(0.9161, "91.6", "0.8", standing=Standing.BEST, marks=(Mark.WORSE, Mark.STALE))
    rows = (
        (Cell("kd|**T**<u>4"), best, Cell(0.1, "+10.0", note="1 of 2 seeds")),
        (Cell("at"), Cell(0.5, "50.0", standing=Standing.SECOND), Cell(None, "–")),
    )
    return Sheet(columns, rows, "Accuracy", "A | caption.")


def test_one_sheet_is_read_by_people_and_by_programs(sheet: Sheet) -> None:
    assert markdown_text(sheet) == (
        "| method        |              a, b |                 gain |\n"
        "| :------------ | ----------------: | -------------------: |\n"
        "| kd\\|**T**<u>4 | **91.6 ± 0.8** ↓† | +10.0 (1 of 2 seeds) |\n"
        "| at            |       <u>50.0</u> |                    – |\n"
        "\n"
        "A | caption."
    )
    assert csv_text(sheet) == "method,a b mean,gain\nkd|**T**<u>4,0.9161,0.1\nat,0.5,\n"


def test_a_label_stays_as_written(make_entry: Any) -> None:
    label = "kd|**T**<u>4"
    entries = [make_entry(label, 0, 0.5)]
    (sheet,) = score_sheets(entries, judge(entries, tabulate(entries, "accuracy")), "")
    assert sheet.rows[0][0].body == label
    assert csv_text(sheet).splitlines()[1].startswith(f"{label},")
    assert "| kd\\|**T**<u>4 |" in markdown_text(sheet)


def test_a_sheet_of_scores_holds_numbers_and_what_is_to_be_said_of_them(make_entry: Any) -> None:
    values = {STUDENT: (0.5, 0.75), "kd": (0.25, 0.5), "at": (0.75, None)}
    entries = [
        make_entry(label, seed, value, freshness=Freshness.STALE if label == "kd" else Freshness.FRESH)
        for label, row in values.items()
        for seed, value in enumerate(row)
    ]
    (sheet,) = score_sheets(entries, judge(entries, tabulate(entries, "accuracy")), "")
    assert [column.name for column in sheet.columns] == ["method", "kind", "mean", "gain", "training"]
    _, kd, at = sheet.rows
    runs = ("uci_har-big:small-kd-0", "uci_har-big:small-kd-1")
    assert kd[2] == Cell(0.375, "37.5", "17.7", marks=(Mark.WORSE, Mark.STALE), runs=runs)
    assert kd[3:] == (Cell(-0.25, "-25.0"), Cell(1.5, "1.5 s"))
    assert at[2:4] == (Cell(0.75, "75.0", note="1 of 2 seeds", runs=("uci_har-big:small-at-0",)), Cell(None, "–"))


def test_no_two_columns_of_a_sheet_have_one_name(make_entry: Any, asked: Asked) -> None:
    entries = [make_entry(label, 0, 0.5, dataset=dataset) for dataset in "ab" for label in ("teacher", STUDENT, "kd")]
    pages = [page(entries, asked=asked, version="1") for page in (scores_page, costs_page)]
    for sheet in (part for page in pages for part in page.parts if isinstance(part, Sheet)):
        names = [column.name for column in sheet.columns]
        assert len(names) == len(set(names))


def test_a_page_has_its_sheets_under_their_titles(sheet: Sheet) -> None:
    text = page_text(Page("All of it", (sheet, "In *between*.", plain_sheet(["a"], [[1.0], [None], [True]]))))
    assert text.startswith("# All of it\n\n## Accuracy\n\n| method ")
    assert "A | caption.\n\nIn *between*.\n\n" in text
    assert text.endswith("|    a |\n| ---: |\n|  1.0 |\n|      |\n| True |\n")


def test_programs_read_numbers_in_full_precision() -> None:
    sheet = plain_sheet(["a", "b", "c"], [[0.1 + 0.2, 3, None], ['say "x", y', True, float("nan")]])
    assert csv_text(sheet) == 'a,b,c\n0.30000000000000004,3,\n"say ""x"", y",True,nan\n'


def test_a_row_has_a_cell_for_each_column() -> None:
    with pytest.raises(ValueError, match="a row of 1 cells came, 2 columns are wanted"):
        plain_sheet(["a", "b"], [[1]])


def test_markup_is_in_render_alone() -> None:
    root = Path(kdbench.results.__path__[0])
    sources = {path.relative_to(root): path.read_text(encoding="utf-8") for path in root.rglob("*.py")}
    assert {path.parent for path, text in sources.items() if "<u>" in text} == {Path("render")}
    assert not [path for path, text in sources.items() if path.parts[0] != "render" and '"**' in text]


@pytest.mark.parametrize("module", ["place", "entry", "record", "sheet", "render", "tables.model"])
def test_what_only_reads_loads_no_library(module: str) -> None:
    code = (
        f"import sys, kdbench.results.{module}\n"
        "print({'numpy', 'torch', 'pandas', 'seaborn', 'matplotlib'} & sys.modules.keys())"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
