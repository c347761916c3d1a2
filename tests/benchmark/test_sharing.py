"""Several runs in one store: each cell is trained once, by whoever holds it, and taken up by the others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from filelock import FileLock

from kdbench.machine import Runtime
from kdbench.session import Session
from kdbench.spec.selection import Selection
from kdbench.store.claims import Elsewhere, claimed, held
from kdbench.store.locks import is_held
from kdbench.store.records import Store
from kdbench.store.sweep import sharing

DRIVER = """
import json, sys
from dataclasses import replace
from kdbench import Session, runtime
from kdbench.spec.selection import Selection

where = runtime(store={store!r}, cache={cache!r}, device="cpu")
session = Session({selection!r}, where, say=lambda line: print(line, file=sys.stderr))
ran = session.run(jobs={jobs}, track=False)
print(json.dumps([ran.outcome.trained, ran.outcome.elsewhere, ran.exit_code]))
"""


@pytest.fixture
def driver(where: Runtime) -> Callable[..., subprocess.Popen[str]]:
    """Starts a run of a selection in the tests' store."""

    def start(selection: Selection, jobs: int = 1) -> subprocess.Popen[str]:
        code = DRIVER.format(store=str(where.store), cache=str(where.cache), selection=selection, jobs=jobs)
        return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start


def ended(process: subprocess.Popen[str]) -> tuple[list[str], list[str], int]:
    out, errors = process.communicate(timeout=300)
    assert out, errors
    trained, elsewhere, code = json.loads(out.splitlines()[-1])
    return trained, elsewhere, code


@pytest.mark.slow
def test_three_runs_of_overlapping_matrices_train_each_cell_exactly_once(
    driver: Callable[..., subprocess.Popen[str]], selection: Selection, where: Runtime
) -> None:
    wide = Selection(**{**vars(selection), "methods": ("kd", "sp", "pkt"), "seeds": "0,1"})
    narrow = Selection(**{**vars(selection), "methods": ("pkt", "dkd"), "seeds": "1,2"})
    runs = [driver(wide, 2), driver(wide), driver(narrow)]
    results = [ended(each) for each in runs]
    assert [code for _, _, code in results] == [0, 0, 0]
    everything = {*Session(wide, where).plan().cells, *Session(narrow, where).plan().cells}
    trained = [digest for each, _, _ in results for digest in each]
    assert sorted(trained) == sorted(everything), "each once"
    for (mine, others, _), selected in zip(results, (wide, wide, narrow), strict=True):
        assert {*mine, *others} == set(Session(selected, where).plan().cells)
    assert not list(where.store.glob("claims/*"))


@pytest.mark.slow
def test_a_cell_held_elsewhere_is_waited_for_and_run_here_when_it_is_let_go_of(
    driver: Callable[..., subprocess.Popen[str]], selection: Selection, where: Runtime
) -> None:
    plan, store = Session(selection, where).plan(), Store(where.store)
    (where.store / "claims").mkdir(parents=True)
    locks = [FileLock(where.store / "claims" / f"{digest}.lock") for digest in plan.cells]
    with sharing(store), ExitStack() as held_here:
        for lock in locks:
            held_here.enter_context(lock)
        run = driver(selection)
        while not list((where.store / "matrices").glob("*.json")):
            time.sleep(0.2)
        time.sleep(3)
        assert run.poll() is None, "it waits"
        assert not store.digests()
    trained, elsewhere, code = ended(run)
    assert (sorted(trained), elsewhere, code) == (sorted(plan.cells), [], 0)


@pytest.mark.slow
def test_what_a_killed_run_held_is_taken_over(
    driver: Callable[..., subprocess.Popen[str]], selection: Selection, where: Runtime
) -> None:
    longer = Selection(**{**vars(selection), "settings": (*selection.settings, "recipe.epochs=400")})
    first = driver(longer, 2)
    while not list((where.store / "claims").glob("*.lock")):
        time.sleep(0.2)
        assert first.poll() is None, first.communicate()
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    second = driver(selection)
    trained, _, code = ended(second)
    assert code == 0
    assert sorted(trained) == sorted(Session(selection, where).plan().cells)


def test_a_record_that_another_run_replaced_is_not_replaced_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (tmp_path / "cell").mkdir()
    record = tmp_path / "cell" / "record.json"
    record.write_text("old")
    old = store.mark("cell")
    with claimed(store, "cell", replaces=old):
        assert not record.exists(), "dropped by whoever holds the cell, and not before"
        assert held(store, "cell")
        with pytest.raises(Elsewhere), claimed(store, "cell", replaces=old):
            pass
        record.write_text("new")
    assert not held(store, "cell")
    with pytest.raises(Elsewhere), claimed(store, "cell", replaces=old):
        pass
    assert record.read_text() == "new"
    assert not list(store.root.glob("claims/*")), "whoever only found a record leaves nothing"


def test_asking_for_a_lock_that_is_removed_meanwhile_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "cell.lock"

    def late(path: Path, timeout: float) -> FileLock:
        lock.unlink()  # as its holder does when the record is there, just before we ask
        return FileLock(path, timeout=timeout)

    monkeypatch.setattr("kdbench.store.locks.FileLock", late)
    lock.touch()
    assert is_held(lock) is False
    assert not lock.exists()
    assert is_held(lock) is False, "and where there is none, none is made"
    assert not lock.exists()


def test_asking_for_a_lock_keeps_the_file_that_was_there(tmp_path: Path) -> None:
    lock = tmp_path / "cell.lock"
    lock.touch()
    assert is_held(lock) is False
    assert lock.exists()
    with FileLock(lock):
        assert is_held(lock) is True
