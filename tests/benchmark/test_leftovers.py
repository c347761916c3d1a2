"""What a kill leaves behind is gone after the next run, unless somebody else is at work in the store."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path
from typing import Any

from filelock import FileLock

from kdbench.store.sweep import sweep_outputs

LEFT = (".writable-4711", "matrices/.quick-0123.json-a1b2", "plans/.quick-0123.json-a1b2", "CELL/.student.pt-a1_b2c3d")
LEFT += ("CELL/.predictions.npz-a1b2", "CELL/.record.json-a1b2", "CELL/.curve.csv-a1b2", "CELL/.checkpoint.pt-a1b2")
LEFT += (
    "CELL/.epoch-4711",
    "CELL/.traceback.txt-a1b2",
    "CELL/epoch",
    "CELL/checkpoint.pt",
    "0" * 20 + "/.student.pt-x",
)
KEPT = (".gitignore", "CELL/.note-of-mine", "0" * 20 + "/checkpoint.pt", "0" * 20 + "/epoch")


def put(root: Path, cell: Path, names: tuple[str, ...]) -> list[Path]:
    paths = [root / name.replace("CELL", cell.name) for name in names]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_text("1")
    return paths


def test_what_a_kill_left_is_swept_and_nothing_else(copy: Path, cells: Any, call: Any, job: Any) -> None:
    cell = cells(copy)[0]
    before = {path for path in copy.rglob("*") if path.is_file()}
    left, kept = put(copy, cell, LEFT), put(copy, cell, KEPT)
    assert call("run", *job, "--no-track").code == 0
    assert {path for path in copy.rglob("*") if path.is_file()} == before | {*kept}
    assert not any(path.exists() for path in left)


def test_nothing_is_swept_while_another_run_is_in_the_store(copy: Path, cells: Any, call: Any, job: Any) -> None:
    left = put(copy, cells(copy)[0], LEFT)
    other = os.open(copy, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_SH)
    assert call("run", *job, "--no-track").code == 0
    assert all(path.exists() for path in left)
    os.close(other)
    assert call("run", *job, "--no-track").code == 0
    assert not any(path.exists() for path in left)


def test_half_made_outputs_of_a_teacher_are_swept_unless_they_are_being_made(
    done: Path, cache: Path, tmp_path: Path
) -> None:
    shutil.copytree(cache, tmp_path / "cache")
    folder = next((tmp_path / "cache" / "teachers").iterdir())
    for name in (".small-a1b2", ".stage3-a1b2"):
        (folder / name).mkdir()
        (folder / name / "logits.npy").touch()
    with FileLock(folder / "stage3.lock"):
        sweep_outputs(tmp_path / "cache")
    assert not (folder / ".small-a1b2").exists()
    assert (folder / ".stage3-a1b2").exists()
    sweep_outputs(tmp_path / "cache")
    assert not (folder / ".stage3-a1b2").exists()
    assert (folder / "small").exists()
