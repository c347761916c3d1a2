from __future__ import annotations

import os
import signal
import time
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


def below(pid: int) -> list[int]:
    """Numbers of all processes that a process started, and that those did."""
    children = [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [each for child in children for each in (child, *below(child))]


def workers(process: Any) -> list[int]:
    """The processes that train for a process."""
    return [pid for pid in below(process.pid) if b"executors._child" in Path(f"/proc/{pid}/cmdline").read_bytes()]


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
import os, pathlib, signal
from kdbench.methods import Method

class Mortal(Method):
    \"\"\"Cross-entropy whose process dies once, in epoch 3, or always, in the first.\"\"\"

    kind = "logit"

    def start_epoch(self, epoch, epochs):
        if os.environ["DIES"] == "always":
            os.kill(os.getpid(), signal.SIGKILL)
        grave = pathlib.Path(os.environ["GRAVE"])
        if epoch == 2 and not grave.exists():
            grave.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def losses(self, batch, student, teacher):
        from torch.nn.functional import cross_entropy
        return {"hard": cross_entropy(student.logits, batch.y)}
"""


@pytest.mark.slow
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
    same(store)
    one = ("run", *job, "-m", "mortal", "--no-track", "-j", 1, "--store", tmp_path / "one")
    assert forks(*one, **outside).code == 0
    table = ("table", "--format", "csv")
    assert forks(*table, **outside).out == forks(*table, "--store", tmp_path / "one", **outside).out


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_cell_whose_process_dies_again_and_again_fails_alone(
    jobs: int, forks: Any, plug: Any, sizes: Any, copy: Path, cells: Any, tmp_path: Path
) -> None:
    outside = {
        "path": [plug("mortal", MORTAL, "kdbench.methods: mortal = mortal:Mortal")],
        "env": {"GRAVE": str(tmp_path / "grave"), "DIES": "always"},
    }
    before = {path: (path / "record.json").read_bytes() for path in cells(copy)}
    ended = forks("run", *sizes, "-m", "mortal", "-m", "kd(temperature=2.5)", "--no-track", "-j", jobs, **outside)
    assert ended.code == 1
    assert " mortal seed 0: FAILED: its process was killed by SIGKILL, 2 times, the last" in ended.err
    assert " kd(temperature=2.5) seed 0: accuracy" in ended.err
    assert "Traceback" not in ended.err
    after = {path: (path / "record.json").read_bytes() for path in cells(copy)}
    assert len(after) == len(before) + 2
    assert after.items() >= before.items()


@pytest.mark.slow
def test_a_worker_that_is_killed_while_it_starts_is_replaced(forks: Any, job: Any, until: Any) -> None:
    process = forks.begin("run", *job, "--no-track", "-j", 2)

    def starting() -> list[int]:
        return [p for p in process.children() if b"executors._child" in Path(f"/proc/{p}/cmdline").read_bytes()]

    until(starting, "a worker that starts")
    os.kill(starting()[0], signal.SIGKILL)
    ended = process.wait()
    assert ended.code == 0, ended.err
    assert "; 4 cells trained;" in ended.out


@pytest.mark.slow
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
    assert call("run", *job, "--no-track", "-j", 1).code == 0
    same(where.store)


STOPPED = "stopped; finished cells and checkpoints are kept, run the same command again to go on"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "jobs", "code"),
    [
        (signal.SIGINT, 1, 130),
        (signal.SIGINT, 2, 130),
        (signal.SIGTERM, 1, 143),
        (signal.SIGTERM, 2, 143),
        (signal.SIGHUP, 1, 129),
    ],
)
def test_a_signal_ends_the_run_says_how_to_go_on_and_leaves_no_process(
    number: signal.Signals, jobs: int, code: int, forks: Any, job: Any, until: Any, digest: Any, store: Path, call: Any,
    same: Any,
) -> None:  # fmt: skip
    teacher = digest("teacher alone")
    process = forks.begin(
        "run", *job, "--seeds", 20, "--no-track", "-j", jobs
    )  # far from its end when the signal comes
    until(lambda: Store(store).epoch(teacher), "an epoch of the teacher")
    trained_by = workers(process)
    assert len(trained_by) == (0 if jobs == 1 else 2)
    process.kill(number)
    ended = process.wait()
    assert ended.code == code
    assert ended.err.splitlines()[-1] == STOPPED
    assert "Traceback" not in ended.err
    assert all(map(gone, trained_by))
    assert call("run", *job, "--no-track", "-j", 1).code == 0
    same(store)


SLOW = """
import time
from kdbench.methods import Method, cross_entropy

class Slow(Method):
    \"\"\"Cross-entropy whose epochs last for minutes.\"\"\"

    kind = "logit"

    def start_epoch(self, epoch, epochs):
        time.sleep(300)

    def losses(self, batch, student, teacher):
        return {"hard": cross_entropy(student.logits, batch.y)}
"""


@pytest.fixture
def slow(forks: Any, plug: Any, sizes: Any, until: Any, copy: Path) -> Callable[[int], Any]:
    """Begins a run that is in the middle of a long epoch, and gives it with the processes that work for it."""
    outside = {"path": [plug("slow", SLOW, "kdbench.methods: slow = slow:Slow")]}
    before = set(copy.iterdir())

    def begin(jobs: int) -> Any:
        process = forks.begin("run", *sizes, "-m", "slow", "--no-track", "-j", jobs, **outside)
        until(lambda: any((path / "epoch").exists() for path in set(copy.iterdir()) - before), "the cell's beginning")
        return process, workers(process)

    return begin


@pytest.mark.parametrize("jobs", [1, 2])
def test_processes_of_a_killed_run_leave_in_the_middle_of_an_epoch(jobs: int, slow: Any, until: Any) -> None:
    process, trained_by = slow(jobs)
    assert len(trained_by) >= 2  # a worker and its copy
    process.kill(signal.SIGKILL)
    process.wait()
    until(lambda: all(map(gone, trained_by)), "the workers' end", seconds=5)


def test_workers_that_are_stopped_do_not_keep_a_run_from_ending(slow: Any, until: Any) -> None:
    process, trained_by = slow(1)
    for pid in trained_by:
        os.kill(pid, signal.SIGSTOP)
    process.kill(signal.SIGTERM)
    assert process.wait().code == 143
    until(lambda: all(map(gone, trained_by)), "the workers' end", seconds=5)


@pytest.mark.slow
def test_ctrl_c_pressed_thirty_times_is_no_traceback(slow: Any, until: Any) -> None:
    process, trained_by = slow(1)
    for _ in range(30):
        process.kill(signal.SIGINT)
        time.sleep(0.01)
    ended = process.wait()
    assert ended.code == 130
    assert ended.err.splitlines()[-1] == STOPPED
    assert "Traceback" not in ended.err
    until(lambda: all(map(gone, trained_by)), "the workers' end", seconds=5)
