"""Every published page is what the records beside it give, byte for byte."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import pytest

from kdbench.commands.publish import differing

PUBLISHED = Path(__file__).resolve().parents[2] / "results" / "published"
FOLDERS = sorted(path.parents[1].name for path in PUBLISHED.glob("*/records/cells.jsonl"))


@pytest.mark.parametrize("name", FOLDERS)
def test_a_published_folder_is_what_its_records_give(name: str) -> None:
    folder = PUBLISHED / name
    drawn_here = all(
        f"Matplotlib version{matplotlib.__version__}".encode() in path.read_bytes() for path in folder.glob("*.png")
    )
    differ = [page for page in differing(folder) if drawn_here or not page.endswith((".png", ".html"))]
    assert differ == [], "`kdbench publish FOLDER --again` writes them"


def test_something_is_published_and_all_of_it_is_small() -> None:
    assert FOLDERS
    assert sum(path.stat().st_size for path in PUBLISHED.rglob("*") if path.is_file()) < 40_000_000
