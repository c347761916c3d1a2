"""Cells that take too long, that are killed, that are run again: each told by its kind; and parts of a matrix."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kdbench.machine import Runtime
from kdbench.plan.gate import Gate
from kdbench.results.record import FAILURES
from kdbench.schedule.order import by_critical_path, part_of
from kdbench.schedule.runner import unfinished
from kdbench.session import Session
from kdbench.spec.selection import Selection
from kdbench.store.records import Store

TROUBLE = '''
import os, signal, sys, time

import torch

from kdbench.methods import Method


class Trouble(Method):
    """Cross-entropy that is slow, killed, or talkative, as the environment says."""

    kind = "logit"

    def losses(self, batch, student, teacher):
        print("a word of the method", file=sys.stderr)
        os.write(1, b"and one past Python\\n")
        match os.environ["TROUBLE"]:
            case "slow":
                time.sleep(60)
            case "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case "crash":
                import ctypes
                ctypes.string_at(0)
            case "talks":
                os.write(2, b"x" * 3_000_000)
        return {"hard": torch.nn.functional.cross_entropy(student.logits, batch.y)}
'''


BREAKS = '''
from kdbench.methods import Method


class Breaks(Method):
    """Fails."""

    kind = "logit"

    def losses(self, batch, student, teacher):
        raise RuntimeError("no")
'''


@pytest.fixture
def trouble(plug: Any) -> Any:
    path = plug("trouble", TROUBLE, "kdbench.methods: trouble = trouble:Trouble")
    return lambda kind: {"path": [path], "env": {"TROUBLE": kind}}


@pytest.fixture
def run(sizes: Any) -> tuple[str, ...]:
    return ("run", *sizes, "-m", "trouble", "-m", "kd", "--no-track")


def failed(store: Path) -> Any:
    records = [Store(store).record(digest) for digest in Store(store).digests()]
    (record,) = (record for record in records if record and record.status == "failed")
    return record


@pytest.mark.parametrize(
    ("kind", "failure", "reason"),
    [
        ("slow", "timed-out", r"timed out after 0:00:03$"),
        ("killed", "killed", r"its process was killed by SIGKILL, 2 times, the last time with no other beside it$"),
        ("crash", "killed", r"its process was killed by SIGSEGV, 2 times"),
    ],
)
def test_a_cell_fails_alone_and_is_known_by_how_it_failed(
    forks: Any, trouble: Any, run: Any, copy: Path, kind: str, failure: str, reason: str
) -> None:
    ended = forks(*run, "-j", "2", "--timeout", "3s" if kind == "slow" else "5m", **trouble(kind))
    assert ended.code == 1, ended
    assert "| kd " in ended.out
    record = failed(copy)
    assert record.failure == failure
    assert re.search(reason, record.reason)
    log = (copy / record.digest / "log.txt").read_text()
    assert "a word of the method" in log
    assert "and one past Python" in log
    assert kind != "crash" or "Segmentation fault" in log
    status = forks("status", **trouble("none")).out
    assert f"trouble: 1 {failure}" in status
    assert re.search(rf"\n{failure}: \w{{20}} .* trouble seed 0: ", status)
    others = [each for each in FAILURES if each != failure]
    kept = forks(*run, "-j", "1", "--retry", ",".join(others), **trouble("none"))
    assert kept.code == 1, "another kind is not tried again"
    again = forks(*run, "-j", "1", "--retry", f"{failure},{others[0]}", **trouble("none"))
    assert again.code == 0, again


@pytest.mark.slow
def test_a_method_that_never_stops_printing_does_not_fill_the_disk(
    forks: Any, trouble: Any, run: Any, copy: Path
) -> None:
    assert forks(*run, "-j", "1", **trouble("talks")).code == 0
    (log,) = copy.glob("*/log.txt")
    assert 1_000_000 <= log.stat().st_size < 1_000_100
    assert log.read_text().endswith("[cut: more was printed than is kept]\n")


@pytest.mark.slow
def test_fail_fast_begins_nothing_more_and_a_later_run_does(forks: Any, plug: Any, sizes: Any, copy: Path) -> None:
    path = plug("breaks", BREAKS, "kdbench.methods: breaks = breaks:Breaks")
    run = ("run", *sizes, "-m", "breaks", "-m", "kd", "-m", "sp", "--seeds", "3", "--no-track", "-j", "1")
    ended = forks(*run, "--fail-fast", path=[path])
    assert ended.code == 1
    found = re.search(r"\n(\d+) cells not begun, since one had failed\n", ended.err)
    assert found
    done = 16 - int(found[1])  # one of the store's is not of this matrix
    assert len(Store(copy).digests()) == done
    assert forks(*run, path=[path]).code == 1
    assert len(Store(copy).digests()) == 16


def test_forced_cells_are_each_replaced_when_their_turn_comes(call: Callable[..., Any], sizes: Any, copy: Path) -> None:
    run = ("run", *sizes, "-m", "kd", "--no-track", "-j", "1")
    assert call(*run).code == 0
    store = Store(copy)
    before = {digest: (store.mark(digest), store.weights_hash(digest)) for digest in store.digests()}
    ended = call(*run, "--force")
    assert ended.code == 0
    plan = [digest for digest in store.digests() if store.mark(digest) != before[digest][0]]
    assert len(plan) == 3, "of those of the matrix"
    assert all(store.weights_hash(digest) == before[digest][1] for digest in plan), "to the same weights"


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 40])
def test_parts_of_a_matrix_are_all_of_it_with_the_teachers_that_each_needs(
    selection: Selection, where: Runtime, parts: int
) -> None:
    wide = Selection(**{**vars(selection), "methods": ("kd", "sp", "dml"), "seeds": "4"})
    plan = Session(wide, where).plan()
    todo = unfinished(plan, Store(where.store))
    shares = [part_of(todo, part, parts, Gate(plan).needs) for part in range(1, parts + 1)]
    assert {digest for share in shares for digest in share} == set(todo)
    teachers = {job.cell.teacher_cell for job in todo.values()}
    for digest in set(todo) - teachers:
        assert sum(digest in share for share in shares) == 1
    for share in shares:
        assert {job.cell.teacher_cell for job in share.values()} - {None} <= share.keys()


def test_the_job_on_which_the_longest_chain_hangs_begins_first(selection: Selection, where: Runtime) -> None:
    wide = Selection(**{**vars(selection), "methods": ("kd", "sp", "dml"), "seeds": "1"})
    todo = unfinished(Session(wide, where).plan(), Store(where.store))
    by_name = {f"{job.cell.method.name} {job.cell.student.name}": digest for digest, job in todo.items()}
    cost = {"supervised resnet_lstman": 5.0, "supervised mlp": 1.0, "kd mlp": 2.0, "sp mlp": 3.0, "dml mlp": 7.0}
    names = {digest: name for name, digest in by_name.items()}
    order = [names[job.digest] for job in by_critical_path(todo, lambda job: cost[names[job.digest]])]
    assert order == ["supervised resnet_lstman", "dml mlp", "sp mlp", "kd mlp", "supervised mlp"]


@pytest.mark.parametrize(
    ("option", "value", "wanted"),
    [
        ("--timeout", "soon", "'soon' is no duration; wanted one as 90s, 10m, 1.5h or 2d"),
        ("--timeout", "0", "no duration"),
        ("--shard", "0/3", "'0/3' is no part; wanted one as 1/8"),
        ("--shard", "4/3", "no part"),
        ("--retry", "kiled", "kinds of failure"),
    ],
)
def test_what_is_no_duration_part_or_kind_is_refused(
    call: Callable[..., Any], option: str, value: str, wanted: str
) -> None:
    ended = call("run", option, value)
    assert ended.code == 2
    assert wanted in ended.err
