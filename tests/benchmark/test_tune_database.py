"""A search that several machines share: on a PostgreSQL of its own, which the tests start and stop."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kdbench.commands.studies import kept_studies

TRIALS = 6
TUNE = ("tune", "-d", "synthetic(people=3, windows=2, length=32)", "-p", "resnet_lstman(width=0.05):mlp(hidden=16)")
TUNE += ("-m", "student_aux", "--no-teacher", "-S", "recipe.epochs=1", "-S", "recipe.batch_size=16")
TUNE += ("--trials", str(TRIALS), "-j", "1")


def program(name: str) -> str:
    """A program of PostgreSQL, which Debian keeps off the path."""
    found = [*filter(None, [shutil.which(name)]), *map(str, sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}")))]
    return found[-1] if found else pytest.skip("no PostgreSQL here")


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """URL of a server on loopback, with nothing in it."""
    pytest.importorskip("psycopg")
    initdb, postgres = program("initdb"), program("postgres")
    with tempfile.TemporaryDirectory() as name, socket.socket() as chosen:
        folder = Path(name)
        who: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        if os.geteuid() == 0:  # the server refuses to run as root
            nobody = pwd.getpwnam("nobody").pw_uid
            os.chown(folder, nobody, -1)
            who["user"] = nobody
        chosen.bind(("127.0.0.1", 0))
        port = chosen.getsockname()[1]
        chosen.close()
        data = folder / "data"
        subprocess.run([initdb, "-D", data, "-A", "trust", "-U", "kd", "--no-sync"], check=True, **who)
        command = [postgres, "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", folder, "-F"]
        with subprocess.Popen(command, **who) as server:
            try:
                wait_for(port)
                yield f"postgresql://kd@127.0.0.1:{port}/postgres"
            finally:
                server.send_signal(signal.SIGINT)  # "fast": clients are sent away


def wait_for(port: int) -> None:
    import psycopg

    end = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(f"postgresql://kd@127.0.0.1:{port}/postgres", connect_timeout=5).close()
            return
        except psycopg.OperationalError:
            assert time.monotonic() < end, "the server did not start"
            time.sleep(0.1)


def trials_of(store: Path, storage: str | None) -> dict[str, list[tuple[Any, ...]]]:
    with kept_studies(store, storage) as studies:
        return {study.name: [(t.number, t.settings, t.state, t.value) for t in study.trials()] for study in studies}


def test_two_machines_share_a_search_and_one_of_them_dies(
    database: str, forks: Any, call: Any, store: Path, tmp_path: Path
) -> None:
    """Machines are processes with stores of their own; a third one is killed in the middle of a trial."""
    assert call(*TUNE, "-o", tmp_path / "serial.toml").code == 0
    shared = (*TUNE, "--storage", database)
    stores = [tmp_path / name for name in ("one", "two", "three")]
    presets = [tmp_path / f"{path.name}.toml" for path in stores]
    machines = [
        forks.begin(*shared, "--store", path, "-o", preset) for path, preset in zip(stores, presets, strict=True)
    ]
    dying = machines.pop()
    time.sleep(1.5)
    dying.kill(signal.SIGKILL)
    dying.wait()
    ended = [machine.wait() for machine in machines]
    assert [each.code for each in ended] == [0, 0], [each.err for each in ended]
    assert trials_of(store, database) == trials_of(store, None)
    told = Counter(line for each in ended for line in each.err.splitlines() if ": trial " in line)
    assert set(told.values()) == {1}, "a trial was told twice"
    assert presets[0].read_text() == presets[1].read_text() == (tmp_path / "serial.toml").read_text()
    status = call("tune", "status", "--storage", database).out
    assert status.count(f"{TRIALS}/{TRIALS} trials, best") == 2


def test_a_server_that_is_not_there_is_one_line(call: Any) -> None:
    pytest.importorskip("psycopg")
    ended = call(*TUNE, "--storage", "postgresql://kd@127.0.0.1:1/postgres")
    assert ended.code == 2
    assert ended.error.startswith("--storage: ")
    assert "127.0.0.1" in ended.error
