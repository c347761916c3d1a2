"""How far a run is: counted once and alike everywhere, told only of what runs, and not foolish after a resume."""

from __future__ import annotations

import json
import re
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kdbench.machine import Runtime
from kdbench.observers import Progress, Watched
from kdbench.observers._told import result_text
from kdbench.plan.model import Plan
from kdbench.results import Record
from kdbench.schedule.jobs import Job
from kdbench.schedule.pace import Pace
from kdbench.schedule.runner import unfinished
from kdbench.session import Session
from kdbench.spec.selection import Selection
from kdbench.store.drivers import Sign, drivers, sweep_signs
from kdbench.store.memory import identity_of, remember
from kdbench.store.records import Store

SHARED = ("-d", "synthetic(people=4, windows=1, length=16)", "-p", "mlp(hidden=8):mlp(hidden=4)")
SHARED += ("-p", "mlp(hidden=8):mlp(hidden=2)", "-m", "kd", "-S", "recipe.epochs=1")
"""Two students of one teacher: six places, five cells."""


def test_plan_run_status_and_table_count_cells_and_each_once(call: Callable[..., Any]) -> None:
    planned = call("plan", *SHARED).out
    assert planned.startswith("quick: 5 cells, 0 done, 5 to run\n")
    assert "\nrows have 6 places, filled by 5 cells: one that stands in several rows" in planned
    ended = call("run", *SHARED, "--no-track", "-j", 1)
    assert "quick: 5 cells, 0 done before; 5 to run;" in ended.err
    assert "; 5 cells trained;" in ended.out
    assert " 5 cells: 5 done (100 %)\n" in call("status").out
    assert "; 5 cells trained;" in call("table").out
    more = ("--seeds", 2)
    assert call("plan", *SHARED, *more).out.startswith("quick: 10 cells, 5 done, 5 to run\n")
    assert " 10 cells: 5 done, 5 missing (50 %)\n" in call("status", *SHARED, *more).out
    assert "; 5 of 10 cells trained;" in call("table", *SHARED, *more).out


@pytest.mark.slow
def test_the_plan_says_how_long_once_something_is_finished(call: Callable[..., Any]) -> None:
    assert "\nhow long: not known yet, " in call("plan", *SHARED).out
    assert call("run", *SHARED, "--no-track", "-j", 1).code == 0
    assert "how long" not in call("plan", *SHARED).out
    assert re.search(r"\nhow long: about \d:\d\d:\d\d, \d+ at a time\n", call("plan", *SHARED, "--seeds", 3).out)


def test_rows_without_anything_are_named_in_a_line(call: Callable[..., Any], copy: Path, job: Any) -> None:
    status = call("status", *job, "-m", "dkd", "-m", "sp").out
    assert "  not begun: dkd, sp\n" in status
    assert status.count("dkd") == 1


@pytest.fixture
def watched(where: Runtime, selection: Selection) -> Callable[..., Watched]:
    plan = Session(selection, where).plan()

    def make(at_once: int = 1) -> Watched:
        store = Store(where.store)
        identity = remember(store, plan)
        todo = unfinished(plan, store)
        return Watched(
            plan, identity, todo, store, at_once, Pace(lambda cell, dataset: 100.0), lambda line: None, False
        )

    return make


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def record_of(done: Path, job: Job) -> Record:
    found = Store(done).record(job.digest)
    assert found is not None
    return found


@pytest.mark.parametrize("checkpoint", [0, 1, 3])
def test_the_time_left_after_a_resume_counts_what_this_run_did(
    watched: Callable[..., Watched], done: Path, checkpoint: int
) -> None:
    run, clock = watched(), Clock()
    first, *others = run.todo.values()
    run.store.write_epoch(first.digest, 3)  # of 4, when it was killed: beyond its checkpoint perhaps
    progress = Progress(run, clock)
    progress.started(first)
    assert progress.seconds_left() is None
    clock.now = 5.0  # the worker starts
    for epoch in range(checkpoint, 5):
        run.store.write_epoch(first.digest, epoch, checkpoint)
        clock.now += 10.0
        left = progress.seconds_left()
        if epoch > checkpoint:
            assert left is not None
            pace = clock.now / (epoch - checkpoint)  # seconds an epoch, this run
            assert left == pytest.approx(pace * (4 - epoch + 4 * len(others)))
    run.store.clear_epoch(first.digest)  # as a finished cell does
    progress.finished(first, replace(record_of(done, first), seconds=clock.now))
    assert progress.seconds_left() == pytest.approx(clock.now / (4 - checkpoint) * 4 * len(others))


def test_the_time_left_is_shared_by_those_that_run_at_once(watched: Callable[..., Watched], done: Path) -> None:
    run, clock = watched(2), Clock()
    one, two, *_ = run.todo.values()
    progress = Progress(run, clock)
    for job in (one, two):
        progress.started(job)
    clock.now = 40.0
    progress.finished(one, replace(record_of(done, one), seconds=40.0))
    run.store.write_epoch(two.digest, 2)
    # two is half done and goes on as it began: 40 s; the others are expected to take what one took: 40 s each
    assert progress.seconds_left() == pytest.approx((40 + 2 * 40) / 2)


def test_the_time_left_follows_how_many_are_to_run_at_once(watched: Callable[..., Watched], done: Path) -> None:
    run, clock = watched(1), Clock()
    progress = Progress(run, clock)
    one, *others = run.todo.values()
    progress.started(one)
    clock.now = 40.0
    progress.finished(one, replace(record_of(done, one), seconds=40.0))
    assert progress.seconds_left() == pytest.approx(40 * len(others))
    progress.resized(len(others))
    assert progress.seconds_left() == pytest.approx(40)


def test_status_shows_as_at_work_only_what_a_living_process_does(
    forks: Any, store: Path, until: Any, call: Any, sizes: Any, tmp_path: Path
) -> None:
    slow = (*sizes, "-m", "kd", "-S", "recipe.epochs=100000", "--no-track", "-j", "1")
    process = forks.begin("run", *slow)
    until(lambda: "running: " in call("status").out and "epoch 0/" not in call("status").out, "a sign of life")
    status = call("status").out
    assert re.search(rf"\nrunning since [\d: -]+: process {process.pid} on \S+, 1 at a time, 0\.\d of 3 cells", status)
    assert re.search(r"3 cells: 1 running, 2 missing \(0 %\)\n", status)
    assert re.search(r"\nrunning: \w{20} .* teacher alone seed 0: epoch \d+/100000(\n|$)", status)

    shutil.copytree(store, tmp_path / "copied", ignore=shutil.ignore_patterns("*.sock"))  # no file to it
    assert "running" not in call("status", "--store", tmp_path / "copied").out  # nobody runs in the copy

    process.kill(signal.SIGKILL)
    process.wait()
    status = call("status").out
    assert "running" not in status
    assert re.search(rf"\nstopped without a word: process {process.pid} on \S+, begun [\d: -]+, seen last ", status)
    assert re.search(r"3 cells: 1 stopped, 2 missing \(0 %\)\n", status)
    assert re.search(r"\nstopped: \w{20} .* teacher alone seed 0: epoch \d+/100000(\n|$)", status)


@pytest.mark.slow
def test_a_run_that_ends_or_is_stopped_leaves_no_sign(watched: Callable[..., Watched], call: Any, job: Any) -> None:
    assert call("run", *job, "--no-track", "-j", 1).code == 0
    run = watched()
    assert not (run.store.root / "drivers").exists()
    sign = Sign(run.store, run.identity)
    sign.write(1, (), 0.0, 1, None)
    ((driver, alive),) = drivers(run.store)
    assert (driver.identity, alive) == (identity_of(run.plan.matrix), True)
    (part,) = (path.with_suffix(".part") for path in run.store.root.glob("drivers/*.json"))
    part.touch()  # a signal cut a write short
    sign.remove()
    assert not (run.store.root / "drivers").exists()


def test_progress_says_of_how_many_classes_there_were_windows(done: Path) -> None:
    kept = Store(done)
    record = kept.record(kept.digests()[0])
    assert record is not None
    assert re.fullmatch(r"accuracy \S+, macro-F1 \S+ \(\d+ s\)", result_text(record))
    student = record.metrics["student"]
    few = {**student, "confusion": [[0] * len(row) if at == 0 else row for at, row in enumerate(student["confusion"])]}
    classes = len(student["confusion"])
    told = f"(windows of {classes - 1} of {classes} classes)"
    assert told in result_text(replace(record, metrics={**record.metrics, "student": few}))


def test_signs_of_the_dead_are_swept_and_broken_ones_are_passed_over(watched: Callable[..., Watched]) -> None:
    run = watched()
    folder = run.store.root / "drivers"
    folder.mkdir()
    for number, content in enumerate(["", "[]", "{}", "[" * 100_000, json.dumps({"locked": True, "running": 3})]):
        (folder / f"{number}.json").write_text(content)
        (folder / f"{number}.lock").touch()
    assert drivers(run.store) == []
    sign = Sign(run.store, run.identity)
    sign.write(1, (), 0.0, 1, 12.0)
    sweep_signs(run.store)
    assert len(list(folder.iterdir())) == 2
    sign.remove()
    assert not folder.exists()


def test_a_run_with_nothing_to_do_sweeps_the_signs_of_the_dead(call: Callable[..., Any], copy: Path, job: Any) -> None:
    (copy / "drivers").mkdir()
    for name in ("1-0.json", "1-0.lock"):
        (copy / "drivers" / name).touch()
    assert call("run", *job, "--no-track", "-j", 1).code == 0
    assert not (copy / "drivers").exists()


def test_a_plan_without_cells_is_no_trouble(where: Runtime, selection: Selection) -> None:
    from kdbench.commands.status import status_text

    plan = Plan(Session(selection, where).matrix)
    assert status_text(plan, Store(where.store)).endswith(": 0 cells: ")


def test_cells_are_listed_by_state_and_as_json(call: Callable[..., Any], copy: Path, job: Any) -> None:
    listed = call("status", *job, "-m", "dkd", "--state", "missing").out
    assert re.fullmatch(r"missing: \w{20} synthetic\S* .* dkd seed 0\n1 cell\n", listed)
    found = json.loads(call("status", "--json").out)
    assert [each["state"] for each in found] == ["done"] * 4
    assert {each["digest"] for each in found} == set(Store(copy).digests())
    teacher = next(each for each in found if each["name"].endswith("teacher alone seed 0"))
    assert teacher["digest"] in {each["teacher"] for each in found}
    refused = call("status", "--state", "don")
    assert refused.code == 2
    assert "done" in refused.err


@pytest.mark.slow
def test_a_status_that_is_watched_ends_when_nothing_runs(forks: Any, call: Any, sizes: Any, until: Any) -> None:
    run = forks.begin("run", *sizes, "-m", "kd", "-S", "recipe.epochs=60", "--no-track", "-j", "1")
    until(lambda: "\nrunning" in call("status").out, "a sign of life")
    watched = forks("status", "--watch").out
    run.wait()
    assert watched.count(" cells: ") > 1
    assert "3 cells: 3 done (100 %)" in watched[watched.rindex("quick in ") :]
