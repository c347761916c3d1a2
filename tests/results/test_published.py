"""Every published page is what the records beside it give, byte for byte."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import pytest

from kdbench.commands.publish import differing

PUBLISHED = Path(__file__).resolve().parents[2] / "results" / "published"
FOLDERS = sorted(path.parents[1].name for path in PUBLISHED.glob("*/records/cells.jsonl.xz"))


SMALL = ("micro", "networks-gpu", "quick")
"""Looked at by the fast tests too, since they take seconds; between them they have nearly every kind of page."""


@pytest.mark.parametrize(
    "name", [each if each in SMALL else pytest.param(each, marks=pytest.mark.slow) for each in FOLDERS]
)
def test_a_published_folder_is_what_its_records_give(name: str) -> None:
    folder = PUBLISHED / name
    drawn_here = all(
        f"Matplotlib version{matplotlib.__version__}".encode() in path.read_bytes() for path in folder.glob("*.png")
    )
    differ = [page for page in differing(folder) if drawn_here or not page.endswith((".png", ".html"))]
    assert differ == [], "`kdbench publish FOLDER --again` writes them"


def test_the_readme_shows_the_table_that_is_published() -> None:
    shown = (PUBLISHED.parents[1] / "README.md").read_text(encoding="utf-8")
    shown = shown.partition("## What comes out")[2].partition("\n##")[0]
    printed = (PUBLISHED / "quick" / "table.md").read_text(encoding="utf-8").splitlines()
    claims = [line for line in shown.splitlines() if line.startswith(("|", "Macro-F1 in percent", "Answer"))]
    assert len(claims) == 8
    assert [line for line in claims if line not in printed] == []


def test_the_readme_shows_the_summary_of_the_tuned_table() -> None:
    shown = (PUBLISHED.parents[1] / "README.md").read_text(encoding="utf-8")
    lines = [line for line in shown.partition("## Results we stand by")[2].splitlines() if line.startswith("|")]
    printed = (PUBLISHED / "tuned-cpu" / "table.md").read_text(encoding="utf-8").partition("## Macro-F1 on")[0]
    assert lines == [line for line in printed.splitlines() if line.startswith("|")]


def test_something_is_published_and_all_of_it_is_small() -> None:
    assert FOLDERS
    assert sum(path.stat().st_size for path in PUBLISHED.rglob("*") if path.is_file()) < 40_000_000
