"""A tracking server on PostgreSQL has what the own database has; one that fails costs nothing but its runs."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kdbench.track.target import GRACE


def free_port() -> int:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return int(chosen.getsockname()[1])


@pytest.fixture
def server_at(
    database: str, tmp_path: Path, until: Callable[..., None], answers: Callable[[int], bool]
) -> Iterator[Callable[[int], Any]]:
    """Starts MLflow's server on PostgreSQL at a port."""
    started: list[subprocess.Popen[bytes]] = []

    def start(port: int) -> subprocess.Popen[bytes]:
        url = database.replace("postgresql://", "postgresql+psycopg://")
        command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
        command += ["--backend-store-uri", url, "--artifacts-destination", str(tmp_path / "artifacts")]
        quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        process = subprocess.Popen(
            command, env={**os.environ, **quiet}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        started.append(process)

        until(lambda: answers(port), "MLflow's server")
        return process

    yield start
    for process in started:
        process.terminate()
        process.wait()


def seen(uri: str) -> dict[str, Any]:
    """What MLflow's own client reads of each run, by experiment and name, without numbers that it gives out."""
    from mlflow import MlflowClient

    client, found = MlflowClient(tracking_uri=uri), dict[str, Any]()
    experiments = {each.experiment_id: each.name.partition(" (")[0] for each in client.search_experiments()}
    experiments = {number: name for number, name in experiments.items() if name.startswith("kdbench ")}
    runs = client.search_runs(list(experiments), max_results=1000)
    names = {run.info.run_id: run.info.run_name for run in runs}
    for run in runs:
        tags = dict(run.data.tags)
        tags["mlflow.parentRunId"] = names.get(tags.get("mlflow.parentRunId", ""), "")
        tags["mlflow.note.content"] = re.sub(r"\d+/models/m-\w+", "", tags.get("mlflow.note.content", ""))
        key = f"{experiments[run.info.experiment_id]}: {run.info.run_name}"
        assert key not in found, f"{key} stands twice"
        found[key] = {
            "status": run.info.status,
            "times": (run.info.start_time, run.info.end_time),
            "params": run.data.params,
            "metrics": {
                name: [(m.value, m.timestamp, m.step) for m in client.get_metric_history(run.info.run_id, name)]
                for name in run.data.metrics
            },
            "tags": {name: value for name, value in tags.items() if name not in ("mlflow.runName", "mlflow.user")},
            "files": sorted(each.path for each in client.list_artifacts(run.info.run_id)),
            "inputs": [(each.dataset.name, each.dataset.digest) for each in run.inputs.dataset_inputs],
            "models": len(run.outputs.model_outputs) if run.outputs else 0,
        }
    return found


def tracked_at(uri: str, forks: Any, *job: str) -> None:
    """Run cells that are tracked on a server."""
    ended = forks("run", *job, "-j", 1, "--tracking-uri", uri)
    assert ended.code == 0, ended.err
    if "too long" in ended.err:  # the machine is busy, and the end of a run does not wait
        assert forks("track", "sync", "--tracking-uri", uri).code == 0
    else:
        assert "not tracked" not in ended.err


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_a_server_on_postgresql_has_what_the_own_database_has_also_after_it_was_down(
    forks: Any, sizes: Any, job: Any, copy: Path, server_at: Callable[[int], Any]
) -> None:
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    running = server_at(port)
    tracked_at(uri, forks, *job)
    assert not (copy / "mlflow.db").exists()
    assert forks("run", *job, "-j", 1).code == 0
    own = f"sqlite:///{copy / 'mlflow.db'}"
    assert len(seen(own)) == 5
    assert seen(uri) == seen(own)

    running.terminate()
    running.wait()
    assert forks("run", *sizes, "-m", "sp", "-j", 1, "--tracking-uri", uri).code == 0  # which it does not learn of
    assert forks("run", *sizes, "-m", "sp", "-j", 1).code == 0
    server_at(port)
    assert len(seen(uri)) == 5
    tracked_at(uri, forks, *job)  # another matrix
    assert len(seen(own)) == 5 + 4
    assert seen(uri) == seen(own)
    assert forks("track", "rebuild", "--tracking-uri", uri).code == 0
    assert seen(uri) == seen(own)


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(100)
        yield server.getsockname()[1]


def test_a_server_that_is_down_or_silent_costs_a_line_and_a_moment(
    forks: Any, job: Any, copy: Path, silent: int
) -> None:
    own = time.monotonic()
    assert forks("run", *job, "-j", 1, "--no-track").code == 0
    own = time.monotonic() - own
    for port in (free_port(), silent):
        began = time.monotonic()
        ended = forks("run", *job, "-j", 1, "--tracking-uri", f"http://127.0.0.1:{port}")
        assert time.monotonic() - began < own + GRACE + 10  # a process that is started beside others
        assert ended.code == 0, ended.err
        assert "| hmkd " in ended.out
        [said] = [line for line in ended.err.splitlines() if line.startswith("not tracked: ")]
        assert said.startswith(f"not tracked: the tracking server http://127.0.0.1:{port} ")
        assert said.endswith("the next run writes what is missing, and so does `kdbench track sync`")
    known = json.loads((copy / ".mlflow-servers.json").read_text())
    assert all(len(behind) == 1 for behind in known["behind"].values())
    assert len(known["behind"]) == 2
    assert not (copy / "mlflow.db").exists()


@pytest.mark.parametrize(
    "uri", ["sqlite:///a.db", "postgresql://host/base", "localhost:5000", "http://", "http://host:port", "file:///x"]
)
def test_what_is_no_address_of_a_tracking_server_is_refused_in_a_line(uri: str, call: Any, job: Any) -> None:
    for command in (("run", *job), ("track", "sync"), ("track", "rebuild")):
        ended = call(*command, "--tracking-uri", uri)
        assert ended.code == 2
        assert ended.error.startswith(f"--tracking-uri {uri!r}, wanted http://HOST:PORT")


@pytest.mark.parametrize("uri", ["http://me:secret@127.0.0.1:1", "postgresql://me:secret@host/base"])
def test_a_password_in_the_address_is_refused_and_not_shown(uri: str, call: Any, job: Any) -> None:
    ended = call("run", *job, "--tracking-uri", uri)
    assert ended.code == 2
    assert "MLFLOW_TRACKING_PASSWORD" in ended.error
    assert "secret" not in ended.error


MANY = """
import json
from pathlib import Path
from kdbench.track.process import WritingProcess
from kdbench.track.target import Target

writing = WritingProcess(Target(Path({root!r})), {identity!r})
for digest in {digests!r}:
    writing.add(digest)
writing.end("finish")
print(json.dumps(writing.faults()))
"""


@pytest.mark.slow
def test_four_processes_that_finish_200_cells_at_once_leave_200_finished_runs(
    forks: Any, store: Path, done: Path, selection: Any, where: Any
) -> None:
    from contextlib import closing
    from dataclasses import replace
    from sqlite3 import connect

    from kdbench.session import Session
    from kdbench.store.memory import remember
    from kdbench.store.records import Store

    old, new = Store(done), Store(store)
    store.mkdir()
    records = [record for digest in old.digests() if (record := old.record(digest)) is not None]
    processes = []
    for number in range(4):
        seeds = ",".join(map(str, range(10 * number, 10 * number + 10)))
        matrix = replace(selection, seeds=seeds, methods=("kd", "hmkd", "hmkd(role=tuned)"), name=f"matrix{number}")
        plan = Session(matrix, where).plan()
        assert len(plan.cells) == 50
        identity = remember(new, plan)
        for digest, cell in plan.cells.items():
            named = cell.method.name, cell.student.name
            like = next(r for r in records if (r.cell["method"]["name"], r.cell["student"]["name"]) == named)
            new.folder(digest).mkdir()
            for name in ("curve.csv", "student.pt"):
                shutil.copyfile(old.folder(like.digest) / name, new.folder(digest) / name)
            record = replace(like, digest=digest, cell=cell.plain)
            (new.folder(digest) / "record.json").write_text(record.to_json())
        processes.append((identity, list(plan.cells)))
    began = [forks.start(MANY.format(root=str(store), identity=i, digests=cells)) for i, cells in processes]
    for process in began:
        ended = process.wait()
        assert ended.code == 0, ended.err
        assert ended.out == "[]\n"  # no fault: no "database is locked"
    with closing(connect(store / "mlflow.db")) as base:
        asked = "SELECT value, status, count(*) FROM runs JOIN tags USING (run_uuid) WHERE key = 'kdbench.level' "
        found = base.execute(f"{asked} AND lifecycle_stage = 'active' GROUP BY 1, 2").fetchall()
        assert sorted(found) == [("child", "FINISHED", 200), ("parent", "FINISHED", 4)]
        assert base.execute("SELECT count(*) FROM runs").fetchone() == (204,)  # nothing was written twice
        assert base.execute("SELECT count(DISTINCT value) FROM tags WHERE key = 'kdbench.cell'").fetchone() == (200,)
        assert base.execute("SELECT count(*) FROM logged_models WHERE status = 2").fetchone() == (200,)
