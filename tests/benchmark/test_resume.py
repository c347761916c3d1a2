from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from kdbench.machine import Runtime
from kdbench.plan.model import Plan
from kdbench.schedule.jobs import job_of
from kdbench.session import Session
from kdbench.spec.selection import Selection
from kdbench.store.artefacts import read_checkpoint, write_checkpoint
from kdbench.store.records import Store
from kdbench.worker import run_job

RUN = """
import sys
from dataclasses import replace
from kdbench import Session, runtime
from kdbench.spec.selection import Selection

where = replace(runtime(store={store!r}, cache={cache!r}, device="cpu"), checkpoint_seconds=0)
session = Session({selection!r}, where, say=lambda line: print(line, file=sys.stderr))
sys.exit(session.run(jobs={jobs}, track=False).exit_code)
"""


@pytest.fixture
def code(store: Path, cache: Path, selection: Selection) -> Callable[[int], str]:
    """Python code that runs the tiny job with a checkpoint after every epoch."""
    return lambda jobs: RUN.format(store=str(store), cache=str(cache), selection=selection, jobs=jobs)


@pytest.fixture
def digest(where: Runtime, selection: Selection) -> Callable[[str], str]:
    """Digest of a row's cell."""

    def find(row: str) -> str:
        places = Session(selection, where).plan().places
        return str(next(planned.digest for planned in places if planned.place.row == row))

    return find


def begun(store: Path, digest: str) -> bool:
    """Whether a cell has a checkpoint and epochs to go."""
    return (Store(store).epoch(digest) or 0) >= 2 and (store / digest / "checkpoint.pt").exists()


def sweep(store: Path) -> None:
    """Remove the temporary file that a kill in the middle of writing leaves; nothing ever reads it."""
    for path in store.glob("*/.*"):
        path.unlink()


def workers(process: Any) -> list[int]:
    """The processes that train for a process."""
    return [pid for pid in process.children() if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_killed_run_goes_on_from_its_checkpoint_to_the_same_bits(
    forks: Any, code: Any, digest: Any, until: Any, where: Runtime, selection: Selection, call: Any, job: Any, same: Any
) -> None:
    hmkd = digest("hmkd")
    process = forks.start(code(1))
    until(lambda: begun(where.store, hmkd), "two epochs of hmkd")
    process.kill(signal.SIGKILL)
    assert process.wait().code == -signal.SIGKILL
    store, plan = Store(where.store), Session(selection, where).plan()
    cell = plan.cells[hmkd]
    assert store.record(hmkd) is None
    checkpoint = read_checkpoint(store, hmkd, torch.device("cpu"))
    assert checkpoint is not None
    assert 0 < checkpoint["training"]["epoch"] < cell.recipe.epochs
    epochs: list[int] = []
    run_job(job_of(plan, hmkd), where, lambda: epochs.append(1))
    assert len(epochs) == cell.recipe.epochs - checkpoint["training"]["epoch"]
    sweep(where.store)
    assert call("run", *job, "--no-track", "-j", 1).code == 0
    same(where.store)


def test_a_checkpoint_is_not_used_where_the_source_has_changed_since(
    where: Runtime, selection: Selection, digest: Any, copy: Path
) -> None:
    kd = digest("kd")
    plan: Plan = Session(selection, where).plan()
    store = Store(where.store)
    store.forget(kd)

    def stop_in_the_middle() -> None:
        if store.epoch(kd) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_job(job_of(plan, kd), where, stop_in_the_middle)
    checkpoint = read_checkpoint(store, kd, torch.device("cpu"))
    assert checkpoint is not None
    write_checkpoint(store, kd, {**checkpoint, "sources": {**checkpoint["sources"], "method": "another"}})
    epochs: list[int] = []
    run_job(job_of(plan, kd), where, lambda: epochs.append(1))
    assert len(epochs) == plan.cells[kd].recipe.epochs


def test_an_unreadable_checkpoint_is_no_checkpoint(
    where: Runtime, selection: Selection, digest: Any, copy: Path, same: Any
) -> None:
    kd = digest("kd")
    store = Store(where.store)
    store.forget(kd)
    (store.folder(kd) / "checkpoint.pt").write_bytes(b"PK\x03\x04 torn")
    run_job(job_of(Session(selection, where).plan(), kd), where)
    same(where.store)


MORTAL = """
import multiprocessing, os, pathlib, signal
from kdbench.methods import Method

class Mortal(Method):
    \"\"\"Cross-entropy whose process dies once, in epoch 3, or always, before the first.\"\"\"

    kind = "logit"

    def __init__(self, setup):
        super().__init__(setup)
        if os.environ["DIES"] == "always" and multiprocessing.parent_process() is not None:
            os.kill(os.getpid(), signal.SIGKILL)

    def start_epoch(self, epoch, epochs):
        grave = pathlib.Path(os.environ["GRAVE"])
        if epoch == 2 and not grave.exists():
            grave.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def losses(self, batch, student, teacher):
        from torch.nn.functional import cross_entropy
        return {"hard": cross_entropy(student.logits, batch.y)}
"""


def test_two_workers_of_which_one_dies_give_the_same_bits_as_one_process(
    forks: Any, plug: Any, job: Any, same: Any, store: Path, tmp_path: Path
) -> None:
    outside = {
        "path": [plug("mortal", MORTAL, "kdbench.methods: mortal = mortal:Mortal")],
        "env": {"GRAVE": str(tmp_path / "grave"), "DIES": "once"},
    }
    ended = forks("run", *job, "-m", "mortal", "--no-track", "-j", 2, **outside)
    assert ended.code == 0, ended.err
    assert (tmp_path / "grave").exists()
    sweep(store)
    same(store)
    one = ("run", *job, "-m", "mortal", "--no-track", "-j", 1, "--store", tmp_path / "one")
    assert forks(*one, **outside).code == 0
    table = ("table", "--format", "csv")
    assert forks(*table, **outside).out == forks(*table, "--store", tmp_path / "one", **outside).out


def test_a_cell_whose_worker_dies_again_and_again_ends_the_run_in_one_line(
    forks: Any, plug: Any, sizes: Any, copy: Path, cells: Any, tmp_path: Path
) -> None:
    outside = {
        "path": [plug("mortal", MORTAL, "kdbench.methods: mortal = mortal:Mortal")],
        "env": {"GRAVE": str(tmp_path / "grave"), "DIES": "always"},
    }
    before = [(path / "record.json").read_bytes() for path in cells(copy)]
    ended = forks("run", *sizes, "-m", "mortal", "--no-track", "-j", 2, **outside)
    assert ended.code == 1
    line = ended.err.splitlines()[-1]
    assert line.startswith("error: synthetic")
    assert " mortal seed 0: its worker process ended with" in line
    assert "2 times; is there enough memory for -j 1?" in line
    assert "Traceback" not in ended.err
    records = [path / "record.json" for path in cells(copy)]
    assert [path.read_bytes() for path in records if path.exists()] == before


def test_workers_whose_parent_is_killed_leave_and_the_run_can_go_on(
    forks: Any, code: Any, digest: Any, until: Any, where: Runtime, call: Any, job: Any, same: Any
) -> None:
    teacher = digest("teacher alone")
    process = forks.start(code(2))
    until(lambda: begun(where.store, teacher), "two epochs of the teacher")
    orphans = workers(process)
    assert len(orphans) == 2
    process.kill(signal.SIGKILL)
    process.wait()
    until(lambda: all(map(gone, orphans)), "the workers' end")
    assert Store(where.store).record(teacher) is None
    sweep(where.store)
    assert call("run", *job, "--no-track", "-j", 1).code == 0
    same(where.store)


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_ends_with_130_leaves_no_process_and_the_run_can_go_on(
    jobs: int, forks: Any, job: Any, until: Any, digest: Any, store: Path, call: Any, same: Any
) -> None:
    hmkd = digest("hmkd")
    process = forks.begin("run", *job, "--no-track", "-j", jobs)
    until(lambda: Store(store).epoch(hmkd), "an epoch of hmkd")
    trained_by = workers(process)
    assert len(trained_by) == (0 if jobs == 1 else 2)
    process.kill(signal.SIGINT)
    ended = process.wait()
    assert ended.code == 130
    assert (
        ended.err.splitlines()[-1]
        == "stopped; finished cells and checkpoints are kept, run the same command again to go on"
    )
    assert "Traceback" not in ended.err
    assert all(map(gone, trained_by))
    sweep(store)
    assert call("run", *job, "--no-track", "-j", 1).code == 0
    same(store)
