"""One sheet, several formats: the same numbers in all of them, and LaTeX that compiles whatever a label has in it."""

import csv
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from kdbench.results import Asked
from kdbench.results.pages import data_sheet, scores_page
from kdbench.results.pages.blocks import WIDEST
from kdbench.results.render import all_formats, csv_text, page_formats, page_text
from kdbench.results.render.latex import SIGNS, escaped
from kdbench.results.sheet import Cell, Column, Page, Sheet

STUDENT = "student alone"
ASKED = Asked("subject-v1", "har")
NASTY = r"a_b $x$ 5% #1 {k} ~^\ <i>&amp; [1] ± ↓"
HALF = "half α ≥ é „Ж“"
NUMBER = re.compile(r"[+-]?\d+\.\d+")


@pytest.fixture
def entries(make_run: Any) -> list[Any]:
    """Two datasets with two pairs, three methods of odd names, one of them incomplete."""
    rows = {"teacher": 0.7, STUDENT: 0.5, NASTY: 0.62, "kd(t=2)": 0.61, HALF: 0.4}
    return [
        make_run(row, seed, [value + 0.01 * seed + 0.003 * n for n in range(9)], dataset=dataset, pair=f"big:{student}")
        for row, value in rows.items()
        for dataset in ("uci_har", "b")
        for student in ("small", "tiny(w=1)")
        for seed in range(3)
        if (row, dataset, seed) != (HALF, "b", 2)
    ]


class Tables(HTMLParser):
    """The texts of all cells, by table and line."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.inside = False

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self.inside = True

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.tables[-1][-1][-1] += data


def numbers(cells: list[str]) -> list[str]:
    """The numbers of a line, without its label."""
    return [number for cell in cells[1:] for number in NUMBER.findall(cell)]


def of_markdown(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ") and "---" not in line]
    return [numbers(line[2:-2].split(" | ")) for line in lines]


def of_latex(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.endswith(r"\\")]
    return [numbers(re.split(r"(?<!\\)&", line.replace("$\\pm$", "±").replace("$", ""))) for line in lines]


def of_html(text: str) -> list[list[str]]:
    reader = Tables()
    reader.feed(text)
    return [numbers(line) for table in reader.tables for line in table]


def of_json(text: str) -> list[list[str]]:
    found = []
    for part in json.loads(text)["parts"]:
        if isinstance(part, dict):
            found.append(numbers(list(part["columns"].values())))
            found += [numbers(list(line.values())) for line in part["shown"]]
    return found


def test_all_formats_show_the_same_numbers(entries: list[Any]) -> None:
    page = scores_page(entries, asked=ASKED, version="1")
    wanted = of_markdown(page_text(page, "markdown"))
    assert sum(map(len, wanted)) > 100
    assert of_latex(page_text(page, "latex")) == wanted
    assert of_latex(page_text(page, "latex-input")) == wanted
    assert of_html(page_text(page, "html")) == wanted
    assert of_json(page_text(page, "json")) == wanted


def test_csv_has_the_numbers_of_the_tables_in_full(entries: list[Any]) -> None:
    lines = list(csv.DictReader(io.StringIO(csv_text(data_sheet("csv-summary", entries, ["accuracy"])))))
    (wide,) = [
        line
        for line in csv.DictReader(io.StringIO(csv_text(data_sheet("csv-wide", entries, ["accuracy"]))))
        if line["row"] == NASTY
    ]
    runs = list(csv.DictReader(io.StringIO(csv_text(data_sheet("csv", entries, ["accuracy"])))))
    assert len(lines) == 5 * 4
    page = json.loads(page_text(scores_page(entries, ["accuracy"], asked=ASKED, version="1"), "json"))
    for line in lines:
        sheet = next(part for part in page["parts"][1:] if part["title"] == f"Accuracy on {line['dataset']}")
        number = [shown["method"] for shown in sheet["shown"]].index(line["row"])
        key = f"{line['dataset']} {line['pair']}"
        value = sheet["rows"][number][f"{key} mean"]
        assert float(line["mean"]) == value
        assert sheet["shown"][number][f"{key} mean"].startswith(f"{100 * float(line['mean']):.1f}")
        if line["row"] == NASTY:
            assert wide[f"{key} mean"] == line["mean"]
            assert wide[f"{key} place"] == "tier"
            low, high = 100 * float(line["interval_low"]), 100 * float(line["interval_high"])
            assert sheet["shown"][number][f"{key} interval"] == f"{low:+.1f} to {high:+.1f}"
            mine = [run for run in runs if all(run[part] == line[part] for part in ("dataset", "pair", "row"))]
            assert sum(float(run["accuracy"]) for run in mine) / 3 == pytest.approx(value, abs=1e-15)
            assert sheet["runs"][number][f"{key} mean"] == [run["digest"] for run in mine]
            assert line["tier"] == "True"
            assert float(line["p_adjusted"]) <= 0.05


def test_no_line_is_too_wide_to_read_and_many_pairs_stand_below_each_other(make_run: Any) -> None:
    pairs = [f"resnet_lstman(width=0.25):mlp(hidden={2**n}, layers=3)" for n in range(6)]
    entries = [
        make_run(row, seed, [0.5 + 0.01 * seed] * 8, pair=pair)
        for row in (STUDENT, "kd", "a method with a long name(and=settings)")
        for pair in pairs
        for seed in (0, 1)
    ]
    text = page_text(scores_page(entries, asked=ASKED, version="1"))
    assert max(len(line) for line in text.splitlines() if line.startswith("|")) <= WIDEST
    assert "Teacher resnet_lstman(width=0.25), each heading or line a student." in text
    assert "| mlp(hidden=32, layers=3) | kd " in text


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("kind", [NASTY, "kd(t=2)", HALF]),
        ("value", [NASTY, "kd(t=2)", HALF]),
        ("rank", [NASTY, "kd(t=2)", HALF]),
        ("name", [NASTY, HALF, "kd(t=2)"]),
    ],
)
def test_methods_stand_in_the_order_asked_for_after_the_references(
    entries: list[Any], sort: str, order: list[str]
) -> None:
    page = scores_page(entries, ["accuracy"], asked=ASKED, version="1", sort=sort)
    for sheet in (part for part in page.parts if isinstance(part, Sheet)):
        assert [line[0].value for line in sheet.rows] == ["teacher", STUDENT, *order]
    with pytest.raises(ValueError, match="sort='size' came, one of kind, value, rank, name is wanted"):
        scores_page(entries, asked=ASKED, version="1", sort="size")


def test_every_sign_of_a_label_is_escaped() -> None:
    assert escaped("a_b & 5%") == r"a\_b \& 5\%"
    assert escaped("Ж") == r"\texttt{[U+0416]}"
    for sign in map(chr, range(32, 127)):
        assert escaped(sign) == SIGNS.get(sign, sign)


def test_html_escapes_what_a_label_has() -> None:
    sheet = Sheet((Column("<b>", numeric=False),), ((Cell("<script>&"),),), "t<", "c & <p>")
    text = page_text(Page("<x>", (sheet, "a < b")), "html")
    assert "<script>" not in text
    assert "&lt;script&gt;&amp;" in text
    assert "a &lt; b" in text


def test_formats_are_named_in_one_place() -> None:
    assert page_formats() == ["html", "json", "latex", "latex-input", "markdown"]
    assert all_formats() == [*page_formats(), "csv", "csv-wide", "csv-summary"]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("form", ["latex", "latex-input"])
def test_latex_compiles_whatever_a_label_has_in_it(form: str, entries: list[Any], tmp_path: Path) -> None:
    text = page_text(scores_page(entries, asked=ASKED, version="1"), form)
    if form == "latex-input":
        (tmp_path / "part.tex").write_text(text, encoding="utf-8")
        preamble = "\n".join(line[2:] for line in text.splitlines() if line.startswith(("% \\use", "% \\If")))
        text = "\\documentclass{article}\n" + preamble + "\n\\begin{document}\n\\input{part}\n\\end{document}\n"
    (tmp_path / "t.tex").write_text(text, encoding="utf-8")
    ran = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"], cwd=tmp_path, capture_output=True
    )
    assert ran.returncode == 0, ran.stdout.decode(errors="replace")[-2000:]
    assert (tmp_path / "t.pdf").stat().st_size > 5000
