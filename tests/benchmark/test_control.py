"""A run is told what to do from elsewhere: paused, resumed, given other jobs, stopped, and left to itself."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kdbench.store.drivers import Sign
from kdbench.store.records import Store
from kdbench.store.talk import ask, listening

pytestmark = pytest.mark.slow

MANY = ("--seeds", "0-59", "--no-track")
"""So many cells that no test sees the end of them."""


def done(root: Path) -> int:
    return len(Store(root).digests())


@pytest.fixture
def begun(forks: Any, job: Any, store: Path, until: Any) -> Callable[..., Any]:
    """Starts a run, and waits until it has trained something and can be spoken with."""

    def start(*more: str | int) -> Any:
        process = forks.begin("run", *job, *MANY, *more)
        until(lambda: done(store) and list(store.glob(f"drivers/{process.pid}@*.sock")), "a run that is under way")
        return process

    return start


def test_a_run_is_paused_resumed_and_stopped(
    begun: Callable[..., Any], call: Callable[..., Any], store: Path, until: Any
) -> None:
    process = begun("-j", 1)
    (place,) = store.glob("drivers/*.sock")
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    paused = call("ctl", "pause")
    assert paused.out == f"process {process.pid}: paused: what runs is finished, nothing more begins\n"
    time.sleep(1)  # the cell that runs
    before = done(store)
    time.sleep(1)
    assert done(store) == before
    assert call("ctl", "resume").out == f"process {process.pid}: resumed\n"
    until(lambda: done(store) > before, "cells after a pause")
    assert "this run works in one process; stop it" in call("ctl", "jobs", 2).error
    assert "error: process" in call("ctl", "jobs", "x").err
    assert "no 'halt' in what a run does" in call("ctl", "halt").error
    assert call("ctl", "jobs").code == call("ctl", "pause", 3).code == 2
    assert "stopping" in call("ctl", "stop").out
    ended = process.wait()
    assert ended.code == 128 + signal.SIGTERM
    assert "run the same command again to go on" in ended.err
    assert not (store / "drivers").exists()


def test_a_paused_run_is_stopped_too(begun: Callable[..., Any], call: Callable[..., Any]) -> None:
    process = begun("-j", 1)
    call("ctl", "pause")
    time.sleep(1)
    call("ctl", "stop")
    assert process.wait().code == 128 + signal.SIGTERM


def test_workers_become_fewer_and_more(
    begun: Callable[..., Any], call: Callable[..., Any], store: Path, until: Any
) -> None:
    process = begun("-j", 2)

    def working() -> int:
        return sum(b"executors._child" in Path(f"/proc/{pid}/cmdline").read_bytes() for pid in process.children())

    assert "1 at a time from the next cell on" in call("ctl", "jobs", 1).out
    until(lambda: working() == 1, "one worker left")
    until(lambda: ", 1 at a time, " in call("status").out, "a sign that says so")
    assert "2 at a time" in call("ctl", "jobs", 2).out
    until(lambda: working() == 2, "two workers again")
    call("ctl", "stop")
    process.wait()


def test_who_cannot_be_asked_is_said_and_what_the_dead_left_is_no_run(
    begun: Callable[..., Any], call: Callable[..., Any], store: Path
) -> None:
    assert f"no run in {store} can be spoken with" in call("ctl", "pause").error
    process = begun("-j", 1)
    process.kill(signal.SIGKILL)
    process.wait()
    assert list(store.glob("drivers/*.sock"))
    assert f"no run in {store} can be spoken with" in call("ctl", "pause").error
    first = begun("-j", 1)
    (only,) = store.glob("drivers/*.sock")  # a run sweeps what is stale
    assert only.stem == f"{first.pid}@{socket.gethostname()}"
    second = begun("-j", 1)
    several = call("ctl", "pause").error
    assert "several runs are in" in several
    assert {str(first.pid), str(second.pid)} <= set(re.findall(r"\d+", several))
    assert f"no run in {store} is process 1;" in call("ctl", "pause", "--pid", 1).error
    for process in (first, second):
        assert "stopping" in call("ctl", "stop", "--pid", process.pid).out
        process.wait()


def test_a_store_with_a_long_path_is_spoken_with(
    forks: Any, job: Any, call: Callable[..., Any], tmp_path: Path, until: Any
) -> None:
    store = tmp_path.joinpath(*["a folder with a long name ü"] * 5)
    process = forks.begin("run", *job, *MANY, "-j", 1, "--store", store)
    until(lambda: list(store.glob("drivers/*.sock")), "a socket")
    assert "paused" in call("ctl", "pause", "--store", store).out
    call("ctl", "stop", "--store", store)
    process.wait()


def test_a_client_that_says_nothing_does_not_keep_others_from_speaking(
    begun: Callable[..., Any], call: Callable[..., Any], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = begun("-j", 1)
    monkeypatch.chdir(store / "drivers")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
        silent.connect(f"{process.pid}@{socket.gethostname()}.sock")
        assert "paused" in call("ctl", "pause").out
        call("ctl", "stop")
    process.wait()


def test_a_socket_has_its_name_once_somebody_listens_and_no_other_run_takes_it_for_a_dead_one_before(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, listen, seen = Store(store), socket.socket.listen, []

    def late(server: socket.socket) -> None:
        with monkeypatch.context() as other:  # a run that begins in this very moment
            other.setattr(socket.socket, "listen", listen)
            other.setattr(os, "getpid", os.getppid)
            with listening(kept, str.upper):
                seen.extend(path.name for path in store.glob("drivers/*.sock"))
        listen(server)

    monkeypatch.setattr(socket.socket, "listen", late)
    with listening(kept, str.upper):
        assert seen == [f"{os.getppid()}@{socket.gethostname()}.sock"]
        assert ask(kept, "pause") == f"process {os.getpid()}: PAUSE"
    assert not (store / "drivers").exists()


def test_a_run_on_another_machine_keeps_its_socket_and_is_named(
    call: Callable[..., Any], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Store(store)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(socket, "gethostname", lambda: "elsewhere")
        there = listening(kept, str.upper)
        there.__enter__()
        sign = Sign(kept, "a matrix")
        sign.write(1, (), 0.0, 1, None)
    said = call("ctl", "pause").error
    assert f"from {socket.gethostname()}; a run is spoken with on its own machine: process {os.getpid()} on " in said
    with listening(kept, str.lower):  # sweeps what nobody listens to, which from here looks alike
        assert ask(kept, "Pause") == f"process {os.getpid()}: pause"
        assert len(list(store.glob("drivers/*.sock"))) == 2
    sign.remove()
    there.__exit__(None, None, None)
    assert not (store / "drivers").exists()


def test_what_a_run_leaves_that_dies_before_it_listens_goes_with_the_next(store: Path) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    (store / "drivers").mkdir(parents=True)
    for name in (f"{dead.pid}@{socket.gethostname()}.opening", f"{os.getpid()}@{socket.gethostname()}.opening"):
        (store / "drivers" / name).touch()  # the number of the second has come round again
    with listening(Store(store), str.upper):
        assert [path.suffix for path in (store / "drivers").iterdir()] == [".sock"]
    assert not (store / "drivers").exists()


@pytest.fixture
def detached(store: Path, call: Callable[..., Any]) -> Iterator[list[int]]:
    """Processes that a test left to themselves, for the end of it."""
    found: list[int] = []
    yield found
    for pid in found:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def test_a_detached_run_goes_on_and_the_same_command_with_more_seeds_trains_the_difference(
    forks: Any, job: Any, call: Callable[..., Any], store: Path, until: Any, detached: list[int]
) -> None:
    ended = forks("run", "--detach", *job, *MANY, "-j", 1)
    assert ended.code == 0, ended.err
    found = re.search(r"running as process (\d+); what it says is in (.+)\n", ended.err)
    assert found
    detached.append(int(found[1]))
    assert os.getsid(int(found[1])) == int(found[1])  # no terminal's
    until(lambda: done(store) >= 4, "four cells")
    assert f"process {found[1]}" in call("status").out
    call("ctl", "stop")
    until(lambda: "run the same command again to go on" in Path(found[2]).read_text(), "the end of the run")
    assert call("run", *job, "--seeds", 1, "--no-track", "-j", 1).code == 0
    before = {path: path.stat().st_mtime_ns for path in store.glob("*/record.json")}
    kept = call("status", *job, "--seeds", 2, "--state", "done").out.count("done: ")
    again = call("run", *job, "--seeds", 2, "--no-track", "-j", 1)
    assert f"; {8 - kept} to run;" in again.err  # 4 cells a seed
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_detached_run_that_cannot_begin_says_why(forks: Any, job: Any) -> None:
    ended = forks("run", "--detach", *job, "-m", "nothing", "--no-track")
    assert ended.code == 2
    assert "no 'nothing' in methods" in ended.err
