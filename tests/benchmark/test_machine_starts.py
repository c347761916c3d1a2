"""A machine on which no worker can start, or that has too little memory: one line, exit code 1."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from kdbench.executors import _pool
from kdbench.machine import Runtime
from kdbench.session import Session

STARTS = {
    "import sys; sys.exit(3)": "it ended with exit code 3",
    "import os; os._exit(0)": "it ended with exit code 0",
    "import os, signal; os.kill(os.getpid(), signal.SIGKILL)": "it was killed by SIGKILL",
    "raise SystemExit('no')": "it ended with exit code 1",
    "import sys; sys.stdout.buffer.write(b'no answer')": "it ended with exit code 0",
}


@pytest.mark.parametrize("code", STARTS)
def test_a_run_whose_workers_cannot_start_ends_in_a_line_and_leaves_its_cells_unfinished(
    code: str, call: Any, job: Any, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_pool, "CODE", code)
    ended = call("run", *job, "--no-track", "-j", 2)
    assert ended.code == 1
    said = ended.err.splitlines()[-1]
    assert said == f"error: no worker process could start: {STARTS[code]}; is there enough memory for -j 2?"
    assert "Traceback" not in ended.err
    assert not list(store.glob("*/record.json"))


def test_a_worker_that_died_before_it_read_its_job_leaves_no_open_file(
    where: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_pool, "CODE", "raise SystemExit(3)")
    worker = _pool.Worker(where, apart=False, messages=Queue())
    worker.process.wait(60)
    worker._say("a job")
    assert worker.end() == "ended with exit code 3"
    streams = (worker.process.stdin, worker.process.stdout, worker.process.stderr)
    assert [stream is not None and stream.closed for stream in streams] == [True] * 3


def test_a_thread_that_cannot_be_started_is_one_line(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*args: object, **settings: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Session, "plan_text", refused)
    ended = call("plan")
    assert (ended.code, ended.error) == (1, "no further thread can be started; is there enough memory?")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not keep to such a limit")
@pytest.mark.parametrize("megabytes", [150, 300])  # with more it depends on the machine what is refused, and when
def test_too_little_memory_is_one_line(megabytes: int, store: Path, cache: Path, job: Any) -> None:
    limited = f'ulimit -v {1024 * megabytes} && exec "$@"'
    command = ["sh", "-c", limited, "sh", sys.executable, "-m", "kdbench", "run", *map(str, job), "--no-track"]
    env = {**os.environ, "KDBENCH_STORE": str(store), "KDBENCH_CACHE": str(cache)}
    ended = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert "Traceback" not in ended.stderr
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("error: ")
    assert "not installed" not in ended.stderr
