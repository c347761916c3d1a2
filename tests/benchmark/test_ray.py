"""Cells on a cluster: two nodes on loopback that share no folder of kdbench's, lost workers and nodes, clear ends."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from kdbench.store.merge import difference
from kdbench.store.records import Store

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install 'kdbench[ray]'")
slow = pytest.mark.slow

SLEEPING = '''
"""A method in a file that takes its time."""

import time

from kdbench.methods import Method, cross_entropy


class Sleeping(Method):
    """Cross-entropy, with pauses."""

    kind = "logit"

    def losses(self, batch, student, teacher):
        return {"hard": cross_entropy(student.logits, batch.y)}

    def start_epoch(self, epoch, epochs):
        print(f"epoch {epoch}", flush=True)
        time.sleep(PAUSE)
'''


class Cluster:
    """A head and nodes, each a process group of its own."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="kdr-"))  # sockets want a short path
        with socket.socket() as chosen:
            chosen.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{chosen.getsockname()[1]}"
        self.env = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0"}
        self.env |= {"RAY_health_check_period_ms": "1000", "RAY_health_check_timeout_ms": "5000"}
        self.nodes: dict[str, subprocess.Popen[bytes]] = {}

    def begin(self, name: str, *options: str) -> None:
        command = [sys.executable, "-c", "from ray.scripts.scripts import main; main()", "start", "--block", *options]
        command += ["--node-ip-address=127.0.0.1", "--num-cpus=1", "--num-gpus=0", "--disable-usage-stats"]
        command += ["--object-store-memory=100000000", f"--temp-dir={self.folder / name}"]
        with (self.folder / f"{name}.log").open("wb") as log:
            self.nodes[name] = subprocess.Popen(
                command, env={**os.environ, **self.env}, stdout=log, stderr=log, start_new_session=True
            )

    def up(self, name: str) -> bool:
        assert self.nodes[name].poll() is None, (self.folder / f"{name}.log").read_text()
        return "Ray runtime started" in (self.folder / f"{name}.log").read_text()

    def end(self, name: str) -> None:
        """End a node without a word, as by a power cut."""
        node = self.nodes.pop(name)
        for pid in [node.pid, *grouped(node.pid)]:
            if Path(f"/proc/{pid}").exists():
                os.kill(pid, signal.SIGKILL)
        node.wait()


def grouped(leader: int) -> list[int]:
    """Processes of the session that a process leads."""
    told = subprocess.run(["ps", "-o", "pid=", "-s", str(leader)], capture_output=True, text=True, check=False)
    return [int(each) for each in told.stdout.split()]


@pytest.fixture(scope="module")
def cluster(until: Any) -> Iterator[Cluster]:
    """Two nodes with one core each."""
    cluster = Cluster()
    try:
        cluster.begin("head", "--head", f"--port={cluster.address.rpartition(':')[2]}", "--include-dashboard=false")
        until(lambda: cluster.up("head"), "the head starts")
        cluster.begin("node", f"--address={cluster.address}")
        until(lambda: cluster.up("node"), "the second node starts")
        yield cluster
    finally:
        for name in list(cluster.nodes):
            cluster.end(name)
        shutil.rmtree(cluster.folder)


def left_over() -> set[str]:
    """Temporary folders of the executor."""
    return {path.name for path in Path(tempfile.gettempdir()).glob("kdbench-ray-*")}


@pytest.fixture
def sleeping(tmp_path: Path) -> Callable[[float], Path]:
    """Writes a method that waits so many seconds in each epoch."""

    def write(seconds: float) -> Path:
        path = tmp_path / "sleeping.py"
        path.write_text(SLEEPING.replace("PAUSE", str(seconds)))
        return path

    return write


@slow
@needs_ray
def test_two_nodes_give_what_one_process_gives_and_leave_nothing(
    cluster: Cluster, forks: Any, job: Any, same: Callable[[Path], None], done: Path, store: Path, sleeping: Any
) -> None:
    before = left_over()
    how = ("--executor", "ray", "--address", cluster.address, "--no-track", "--device", "cpu")
    ended = forks("run", *job, *how, env=cluster.env)
    assert ended.code == 0, ended.err
    assert ", 2 at a time" in ended.err, "a core on each node"
    same(store)
    for digest in Store(done).digests():
        one, other = Store(done).record(digest), Store(store).record(digest)
        assert one is not None
        assert other is not None
        assert not difference(one, other)
        assert (one.files, one.sources) == (other.files, other.sources)
    ended = forks("run", *job, "-m", sleeping(0), *how, env=cluster.env)
    assert ended.code == 0, ended.err
    assert "5 cells, 4 done before; 1 to run" in ended.err
    assert "epoch 3" in "".join(path.read_text() for path in store.glob("*/log.txt"))
    assert not left_over() - before


@slow
@needs_ray
def test_a_worker_and_a_node_that_are_lost_cost_one_retry(
    cluster: Cluster, forks: Any, sizes: Any, store: Path, sleeping: Any, until: Any
) -> None:
    how = ("--executor", "ray", "--address", cluster.address, "--no-track", "--device", "cpu")
    before = left_over()
    run = forks.begin("run", *sizes, "-m", sleeping(1), "--seeds", "2", *how, env=cluster.env)
    until(lambda: len(list(store.glob("*/log.txt"))) == 2, "both seeds print")
    cluster.end("node")
    ended = run.wait()
    assert ended.code == 0, ended.err
    records = [Store(store).record(digest) for digest in Store(store).digests()]
    assert all(record is not None and record.status == "done" for record in records)
    assert not list(store.glob("*/epoch"))
    assert not list(store.glob("*/checkpoint.pt"))
    for name in left_over() - before:  # the next run would, after a minute
        shutil.rmtree(Path(tempfile.gettempdir()) / name)


@slow
@needs_ray
def test_a_process_that_ends_twice_is_a_failed_cell(forks: Any, sizes: Any, store: Path, tmp_path: Path) -> None:
    """On a cluster of the run's own."""
    path = tmp_path / "ending.py"
    path.write_text(SLEEPING.replace("time.sleep(PAUSE)", "__import__('os')._exit(7)"))
    before = left_over()
    ended = forks("run", *sizes, "-m", path, "--executor", "ray", "-j", "2", "--no-track", "--device", "cpu")
    assert ended.code == 1, ended.err
    [failed] = [
        record for digest in Store(store).digests() if (record := Store(store).record(digest)) and record.reason
    ]
    assert failed.failure == "killed"
    assert failed.reason == ("its process ended with exit code 7, 2 times, the last time with no other beside it")
    assert not left_over() - before


@slow
@needs_ray
def test_an_interrupted_run_leaves_no_process_and_no_folder_and_goes_on(
    forks: Any, sizes: Any, store: Path, sleeping: Any, until: Any
) -> None:
    before = left_over()
    how = ("--executor", "ray", "-j", "1", "--no-track", "--device", "cpu")
    run = forks.begin("run", *sizes, "-m", sleeping(3), *how)
    until(lambda: list(store.glob("*/log.txt")), "the method prints")
    [folder] = [name for name in left_over() if name not in before and name.count("-") == 2]
    run.kill(signal.SIGINT)
    ended = run.wait()
    assert ended.code == 130, ended.err
    assert "stopped; finished cells" in ended.err
    assert not left_over() - before
    until(lambda: not naming(folder), "all processes of the cluster end", 10)


@slow
@needs_ray
def test_a_run_on_a_cluster_is_paused_resumed_and_given_other_jobs_and_stopped(
    forks: Any, call: Any, sizes: Any, store: Path, sleeping: Any, until: Any
) -> None:
    """On a cluster of the run's own, which has room for as many as it was begun with."""
    before = left_over()
    how = ("--executor", "ray", "-j", "2", "--no-track", "--device", "cpu")
    run = forks.begin("run", *sizes, "-m", sleeping(0.1), "--seeds", "0-59", *how)

    def done() -> int:
        return len(Store(store).digests())

    def working() -> int:
        return len(list(store.glob("*/epoch")))

    until(lambda: done() and list(store.glob("drivers/*.sock")), "a run that is under way")
    assert call("ctl", "pause").out == f"process {run.pid}: paused: what runs is finished, nothing more begins\n"
    until(lambda: not working(), "the end of what runs")
    time.sleep(2)  # records come a moment later
    paused = done()
    time.sleep(2)
    assert done() == paused
    assert call("ctl", "resume").out == f"process {run.pid}: resumed\n"
    until(lambda: done() > paused, "cells after a pause")
    assert "1 at a time from the next cell on; what" in call("ctl", "jobs", 1).out
    until(lambda: ", 1 at a time, " in call("status").out, "a sign that says so")
    assert (
        "5 at a time from the next cell on, as far as the cluster has room, which is 2 now;"
        in call("ctl", "jobs", 5).out
    )
    until(lambda: ", 2 at a time, " in call("status").out, "a sign that says how many there are")
    again = done()
    until(lambda: done() > again + 3, "cells of both workers")
    assert "stopping" in call("ctl", "stop").out
    assert run.wait().code == 128 + signal.SIGTERM
    assert not left_over() - before


def naming(word: str) -> list[str]:
    """Processes whose command line has a word."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += [path.parent.name] if word.encode() in path.read_bytes() else []
        except OSError:
            continue
    return found


def test_without_ray_the_executor_says_what_to_install(forks: Any, job: Any) -> None:
    given = ["run", *job, "--executor", "ray", "--no-track", "--device", "cpu"]
    code = f"import sys; sys.modules['ray'] = None; import kdbench.cli; sys.argv[1:] = {given!r}; kdbench.cli.main()"
    ended = forks.start(code).wait()
    assert ended.code == 2
    assert ended.error == "--executor ray needs Ray, which is not installed: pip install 'kdbench[ray]'"


def test_an_address_without_its_executor_is_refused(call: Any, job: Any) -> None:
    ended = call("run", *job, "--address", "127.0.0.1:1", "--device", "cpu")
    assert ended.code == 2
    assert ended.error == "--address 127.0.0.1:1 is of a Ray cluster; wanted --executor ray with it"


@needs_ray
@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:1", "no Ray cluster answers at 127.0.0.1:1: Connection refused; `ray start --head` begins one"),
        ("ray://there", "--address ray://there: wanted HOST:PORT of a Ray cluster's head, or auto"),
    ],
)
def test_an_address_at_which_nobody_answers_is_one_line_at_once(forks: Any, job: Any, address: str, said: str) -> None:
    begun = time.monotonic()
    ended = forks("run", *job, "--executor", "ray", "--address", address, "--no-track", "--device", "cpu")
    assert ended.code == 2
    assert ended.error.startswith(said)
    assert time.monotonic() - begun < 60
