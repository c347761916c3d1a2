"""Tiny jobs, and ways to run them: in this process, or in real ones that can be killed, starved of disk or blinded."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kdbench.cli import main
from kdbench.machine import Runtime
from kdbench.session import Session, runtime
from kdbench.spec.selection import Selection
from kdbench.store.artefacts import read_weights
from kdbench.store.records import Store

DATASET = "synthetic(people=4, windows=2, length=32)"
PAIR = "resnet_lstman(width=0.05):mlp(hidden=16)"
EPOCHS = 4
SIZES = ("-d", DATASET, "-p", PAIR, "-S", f"recipe.epochs={EPOCHS}", "-S", "recipe.batch_size=16")
JOB = (*SIZES, "-m", "kd", "-m", "hmkd")
"""Four cells, a second or two of training."""


@dataclass(frozen=True)
class Ended:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line that it complained with."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("error: "), self.err
        return lines[0].removeprefix("error: ")


@dataclass
class Process:
    """A process of the fork server."""

    pid: int
    log: Path
    forks: Forks

    def wait(self) -> Ended:
        code = self.forks.ask({"wait": self.pid})
        self.forks.running.discard(self.pid)
        return Ended(code, self.log.with_suffix(".out").read_text(), self.log.with_suffix(".err").read_text())

    def kill(self, number: int) -> None:
        os.kill(self.pid, number)

    def children(self) -> list[int]:
        """Numbers of the processes that it started, the youngest last."""
        path = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return list(map(int, path.read_text().split()))


@dataclass
class Forks:
    """The server of ``_forks.py``."""

    server: subprocess.Popen[str]
    logs: Path
    env: dict[str, str]
    numbers: Iterator[int] = field(default_factory=count)
    running: set[int] = field(default_factory=set)

    def ask(self, request: dict[str, Any]) -> Any:
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.write(json.dumps(request) + "\n")
        self.server.stdin.flush()
        return json.loads(self.server.stdout.readline())

    def start(
        self, code: str, *, env: dict[str, str] | None = None, path: Sequence[Path] = (), inside: int | None = None
    ) -> Process:
        """Begin a process that runs Python code."""
        log = self.logs / str(next(self.numbers))
        paths = list(map(str, path))
        environment = {**self.env, "PYTHONPATH": os.pathsep.join(paths), **(env or {})}
        pid = self.ask({"code": code, "env": environment, "path": paths, "log": str(log), "inside": inside})
        self.running.add(pid)
        return Process(pid, log, self)

    def begin(self, *args: str | Path, **where: Any) -> Process:
        """Begin a process that runs the command line."""
        given = list(map(str, args))
        return self.start(f"import kdbench.cli, sys; sys.argv[1:] = {given!r}; kdbench.cli.main()", **where)

    def __call__(self, *args: str | Path, **where: Any) -> Ended:
        """Run the command line in a process of its own, to its end."""
        return self.begin(*args, **where).wait()


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder of parsed data for all tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[Forks]:
    """One fork server for all tests."""
    command = [sys.executable, str(Path(__file__).with_name("_forks.py"))]
    environment = {**os.environ, "KDBENCH_CACHE": str(cache), "NO_PROXY": "127.0.0.1"}
    environment.pop("KDBENCH_DATA", None)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as python:
        yield Forks(python, tmp_path_factory.mktemp("logs"), {})
        assert python.stdin is not None
        python.stdin.close()


@pytest.fixture
def forks(server: Forks, store: Path) -> Iterator[Forks]:
    """Starts processes whose store is this test's; what a failing test leaves running is killed."""
    forks = replace(server, env={"KDBENCH_STORE": str(store)}, running=set())
    yield forks
    for pid in list(forks.running):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 9)
        forks.ask({"wait": pid})


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def where(store: Path, cache: Path) -> Runtime:
    """The place of this test's runs, which writes a checkpoint after every epoch."""
    return replace(runtime(store=store, cache=cache, device="cpu"), checkpoint_seconds=0)


@pytest.fixture
def call(store: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """Runs the command line in this process."""
    monkeypatch.setenv("KDBENCH_CACHE", str(cache))
    monkeypatch.setenv("KDBENCH_STORE", str(store))
    monkeypatch.delenv("KDBENCH_DATA", raising=False)
    monkeypatch.setenv("KDBENCH_NO_TRACK", "1")  # tests of it have processes of their own

    def run(*args: str | Path) -> Ended:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as end:
            main.main(args=list(map(str, args)), prog_name="kdbench")
        return Ended(int(end.value.code or 0), out.getvalue(), err.getvalue())

    return run


@pytest.fixture(scope="session")
def job() -> tuple[str, ...]:
    """Options of the tiny job: a teacher, a student, a method with a frozen teacher and one with a peer."""
    return JOB


@pytest.fixture(scope="session")
def sizes() -> tuple[str, ...]:
    """Options of the tiny job without its methods."""
    return SIZES


@pytest.fixture(scope="session")
def selection() -> Selection:
    """The tiny job, for Python."""
    settings = (f"recipe.epochs={EPOCHS}", "recipe.batch_size=16")
    return Selection(datasets=(DATASET,), pairs=(PAIR,), methods=("kd", "hmkd"), settings=settings)


@pytest.fixture(scope="session")
def done(tmp_path_factory: pytest.TempPathFactory, cache: Path, selection: Selection) -> Path:
    """A store in which the tiny job ran unbroken, in one process. Not to be written."""
    root = tmp_path_factory.mktemp("done") / "runs"
    with contextlib.redirect_stdout(io.StringIO()):
        session = Session(selection, runtime(store=root, cache=cache, device="cpu"), say=lambda line: None)
        assert session.run(jobs=1, track=False).exit_code == 0
    return root


@pytest.fixture
def copy(done: Path, store: Path) -> Path:
    """A copy of that store, to be written."""
    shutil.copytree(done, store)
    return store


@pytest.fixture
def same(done: Path, cache: Path, selection: Selection) -> Callable[[Path], None]:
    """Asserts that a store holds, bit for bit, what the unbroken run gave, and nothing that is half written."""

    def compare(root: Path) -> None:
        def table(store: Path) -> str:
            return Session(selection, runtime(store=store, cache=cache, device="cpu")).table("csv", ("macro_f1",))

        assert table(root) == table(done)
        for folder in cells(done):
            digest = folder.name
            assert {path.name for path in folder.iterdir()} == {path.name for path in (root / digest).iterdir()}
            one, other = Store(done), Store(root)
            record, again = one.record(digest), other.record(digest)
            assert record is not None
            assert again is not None
            assert (again.metrics, again.facts) == (record.metrics, record.facts)
            assert other.curve(digest) == one.curve(digest)
            arrays, others = one.predictions(digest), other.predictions(digest)
            assert arrays.keys() == others.keys()
            for name, array in arrays.items():
                np.testing.assert_array_equal(others[name], array, strict=True)
            weights, others_ = (read_weights(s, digest, torch.device("cpu")) for s in (one, other))
            assert weights.keys() == others_.keys()
            assert all(torch.equal(others_[key], tensor) for key, tensor in weights.items())

    return compare


def cells(root: Path) -> list[Path]:
    """Folders of a store's cells."""
    return sorted(path for path in root.iterdir() if path.is_dir() and len(path.name) == 20)


@pytest.fixture(name="cells")
def _cells() -> Callable[[Path], list[Path]]:
    return cells


@pytest.fixture(scope="session")
def until() -> Callable[..., None]:
    """Waits for something to become true, and fails where it does not."""

    def wait(condition: Callable[[], object], what: str, seconds: float = 180) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"waited {seconds} s in vain: {what}"
            time.sleep(0.002)

    return wait


@dataclass(frozen=True)
class Mount:
    """A mount that only the processes in a namespace see.

    Args:
        pid: the process that holds the namespace.
        inside: the folder, for processes in the namespace.
    """

    pid: int
    inside: Path

    @property
    def outside(self) -> Path:
        """The same folder for everybody else."""
        return Path(f"/proc/{self.pid}/root{self.inside}")


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[str], Mount]]:
    """Mounts something with a shell command, in which ``$here`` is an empty folder."""
    holders: list[subprocess.Popen[str]] = []

    def mount(command: str) -> Mount:
        if shutil.which("unshare") is None:
            pytest.skip("no unshare here to mount in a namespace of its own")
        here = tmp_path / f"mount{len(holders)}"
        here.mkdir()
        holder = subprocess.Popen(
            ["unshare", "-rm", "sh", "-ec", f"{command}; echo ready; exec sleep 1000"],
            env={**os.environ, "here": str(here)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        holders.append(holder)
        assert holder.stdout is not None
        if holder.stdout.readline() != "ready\n":
            pytest.skip(f"mounting is not permitted here: {holder.communicate()[1].strip()}")
        return Mount(holder.pid, here)

    yield mount
    for holder in holders:
        holder.kill()
        holder.communicate()


@pytest.fixture
def plug(tmp_path: Path) -> Callable[..., Path]:
    """Writes an outside package as pip would install it, and returns the folder to put on the path."""

    def write(name: str, source: str, *points: str) -> Path:
        folder = tmp_path / f"site-{name}"
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.py").write_text(source)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        groups: dict[str, list[str]] = {}
        for point in points:
            group, _, rest = point.partition(": ")
            groups.setdefault(group, []).append(rest)
        lines = [line for group, rest in groups.items() for line in (f"[{group}]", *rest)]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
        return folder

    return write


def program(name: str) -> str:
    """A program of PostgreSQL, which Debian keeps off the path."""
    found = [*filter(None, [shutil.which(name)]), *map(str, sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}")))]
    return found[-1] if found else pytest.skip("no PostgreSQL here")


@pytest.fixture(scope="session")
def databases() -> Iterator[str]:
    """URL of a server on loopback, without the name of a database."""
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
                yield f"postgresql://kd@127.0.0.1:{port}/"
            finally:
                server.send_signal(signal.SIGINT)  # "fast": clients are sent away


@pytest.fixture
def empty(databases: str) -> Callable[[], str]:
    """Makes databases with nothing in them; gives the URL of each."""
    import psycopg

    numbers = count(time.time_ns())

    def make() -> str:
        name = f"made{next(numbers)}"
        with psycopg.connect(f"{databases}postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return databases + name

    return make


@pytest.fixture
def database(empty: Callable[[], str]) -> str:
    """URL of a database with nothing in it."""
    return empty()


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


@pytest.fixture
def answers() -> Callable[[int], bool]:
    """Whether MLflow's server answers at a port of this machine."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(port: int) -> bool:
        try:
            with opener.open(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    return ask
