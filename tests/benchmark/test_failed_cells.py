"""A cell that fails fails alone, says why, and is run again only where that is asked for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from kdbench.store.records import Store

FRAGILE = '''
import os

import torch

from kdbench.methods import Method


class Fragile(Method):
    """Cross-entropy that breaks in the second epoch's third batch."""

    kind = "logit"

    def start_epoch(self, epoch, epochs):
        self.epoch, self.batch = epoch + 1, 0

    def losses(self, batch, student, teacher):
        self.batch += 1
        loss = torch.nn.functional.cross_entropy(student.logits, batch.y)
        if (self.epoch, self.batch) == (2, 3):
            if os.environ["BREAKS"] == "nan":
                loss = loss * float("nan")
            elif os.environ["BREAKS"] == "error":
                raise RuntimeError("the third batch\\nis too much")
        return {"hard": loss}
'''


@pytest.fixture
def fragile(plug: Any) -> Any:
    path = plug("fragile", FRAGILE, "kdbench.methods: fragile = fragile:Fragile")
    return lambda breaks: {"path": [path], "env": {"BREAKS": breaks}}


@pytest.fixture
def run(sizes: Any) -> tuple[str, ...]:
    return ("run", *sizes, "-m", "fragile", "-m", "kd", "--no-track", "-j", "1")


def test_a_loss_that_is_not_finite_fails_its_cell_alone(
    forks: Any, fragile: Any, run: Any, copy: Path, cells: Any
) -> None:
    ended = forks(*run, **fragile("nan"))
    assert ended.code == 1
    assert "| fragile " in ended.out
    row = next(line for line in ended.out.splitlines() if line.startswith("| fragile "))
    assert "failed" in row
    assert "| kd " in ended.out
    status = forks("status", **fragile("nan")).out
    assert "fragile: 1 failed" in status
    reason = "loss 'hard' is nan in epoch 2, batch 3"
    assert re.search(rf"failed: \w{{20}} synthetic.+ fragile seed 0: {reason}\n", status)
    (folder,) = (path for path in cells(copy) if (r := Store(copy).record(path.name)) and r.status == "failed")
    assert sorted(path.name for path in folder.iterdir()) == ["curve.csv", "record.json"]
    assert len((folder / "curve.csv").read_text().splitlines()) == 2  # the header and the epoch before


def test_a_method_that_raises_leaves_a_reason_and_a_traceback_until_it_is_retried(
    forks: Any, fragile: Any, run: Any, copy: Path, cells: Any
) -> None:
    ended = forks(*run, **fragile("error"))
    assert ended.code == 1
    assert "fragile seed 0: FAILED: RuntimeError: the third batch (fragile.py, line 24)" in ended.err
    assert "Traceback" not in ended.err
    (folder,) = (path for path in cells(copy) if (path / "traceback.txt").exists())
    assert "is too much" in (folder / "traceback.txt").read_text()
    first = (folder / "record.json").read_bytes()

    again = forks(*run, **fragile("no"))  # a plain run takes a failure as a result
    assert again.code == 1
    assert " 4 cells, 3 done, 1 failed before; 0 to run;" in again.err
    assert (folder / "record.json").read_bytes() == first

    retried = forks(*run, "--retry-failed", **fragile("no"))
    assert retried.code == 0, retried.err
    assert " 3 done before; 1 to run;" in retried.err
    record = Store(copy).record(folder.name)
    assert record is not None
    assert record.status == "done"
    assert not (folder / "traceback.txt").exists()


@pytest.mark.slow
def test_a_retry_that_fails_leaves_nothing_of_an_earlier_success(
    forks: Any, fragile: Any, run: Any, copy: Path, cells: Any
) -> None:
    assert forks(*run, **fragile("no")).code == 0
    (folder,) = (p for p in cells(copy) if (r := Store(copy).record(p.name)) and r.cell["method"]["name"] == "fragile")
    assert (folder / "student.pt").exists()
    record = folder / "record.json"
    record.write_text(record.read_text().replace('"method": "', '"method": "old'))
    ended = forks(*run, "--stale", **fragile("nan"))
    assert ended.code == 1
    assert sorted(path.name for path in folder.iterdir()) == ["curve.csv", "record.json"]
