"""The MLflow database: what is in it, that it is written once, and that it can be written again from records."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kdbench.provenance.known import KNOWN
from kdbench.store.memory import matrices, remembered
from kdbench.store.records import Store
from kdbench.track import tracker as tracking
from kdbench.track.mirror import Mirror
from kdbench.track.target import Target


def read(root: Path) -> dict[str, dict[str, Any]]:
    """Runs of a database that are not deleted, by the digest of their cell; their parent's under "parent"."""
    with sqlite3.connect(f"file:{root / 'mlflow.db'}?mode=ro", uri=True) as base:

        def of(table: str, uuid: str, columns: str = "key, value") -> list[tuple[Any, ...]]:
            return base.execute(f"select {columns} from {table} where run_uuid = ?", (uuid,)).fetchall()

        runs = {}
        for uuid, status in base.execute(
            "select run_uuid, status from runs where lifecycle_stage = 'active'"
        ).fetchall():
            tags = dict(of("tags", uuid))
            name = tags.get("kdbench.cell", "parent")
            assert name not in runs, f"{name} stands twice"
            metrics = of("metrics", uuid, "key, value, step")
            assert len({(key, step) for key, _, step in metrics}) == len(metrics), f"a metric of {name} stands twice"
            runs[name] = {
                "uuid": uuid,
                "status": status,
                "tags": tags,
                "params": dict(of("params", uuid)),
                "metrics": {(key, step): value for key, value, step in metrics},
                "files": files(root / "mlartifacts" / uuid / "artifacts"),
                "models": [files(root / "mlartifacts/models" / model / "artifacts") for model in models(base, uuid)],
            }
    base.close()
    return runs


def models(base: sqlite3.Connection, uuid: str) -> list[str]:
    """Numbers of the models of a run that are whole."""
    asked = "select model_id from logged_models where source_run_id = ? and lifecycle_stage = 'active' and status = 2"
    return [model for (model,) in base.execute(asked, (uuid,)).fetchall()]


def files(folder: Path) -> dict[str, bytes]:
    """What a folder holds, without numbers that MLflow gives out."""
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    if "MLmodel" in found:
        plain = {key: value for key, value in json.loads(found["MLmodel"]).items() if key not in ("model_id", "run_id")}
        found["MLmodel"] = json.dumps(plain).encode()
    return found


def stable(runs: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What does not depend on when and under which number a run was written."""
    named = {run["uuid"]: name for name, run in runs.items()}
    return {
        name: {
            **{key: run[key] for key in ("status", "params", "metrics", "files", "models")},
            "tags": {
                **{key: value for key, value in run["tags"].items() if not key.startswith("mlflow.")},
                "parent": named.get(run["tags"].get("mlflow.parentRunId")),
            },
        }
        for name, run in runs.items()
    }


@pytest.fixture(scope="module")
def first(server: Any, done: Path, job: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A tracked run and its store. Not to be written."""
    root = tmp_path_factory.mktemp("tracked") / "runs"
    shutil.copytree(done, root)
    return server("run", *job, "-j", 1, "--store", root), root


@pytest.fixture
def tracked(first: tuple[Any, Path], store: Path) -> Path:
    """A copy of it, to be written."""
    shutil.copytree(first[1], store)
    return store


def test_the_database_holds_the_matrix_its_cells_their_settings_their_epochs_and_the_table(
    first: tuple[Any, Path], cells: Callable[[Path], list[Path]]
) -> None:
    ended, copy = first
    assert ended.code == 0, ended.err
    assert ended.err.count("\n") == 3, ended.err  # mlflow itself says nothing
    runs = read(copy)
    assert set(runs) == {"parent", *(path.name for path in cells(copy))}
    matrix = runs.pop("parent")
    assert matrix["status"] == "FINISHED"
    assert matrix["tags"]["kdbench.complete"] == "true"
    assert set(matrix["files"]) == {"table/table.md", "table/runs.csv", "table/table.csv"}
    assert b"| hmkd " in matrix["files"]["table/table.md"]
    for digest, run in runs.items():
        record = Store(copy).record(digest)
        assert record is not None
        assert run["status"] == "FINISHED"
        assert run["tags"]["mlflow.parentRunId"] == matrix["uuid"]
        assert run["tags"]["dataset"].startswith("synthetic(")
        assert run["params"]["seed"] == "0"
        assert run["params"]["recipe.epochs"] == str(record.cell["recipe"]["epochs"])
        for key, value in record.cell["method"]["settings"].items():
            assert run["params"][f"method.settings.{key}"] == str(value)
        assert run["metrics"]["macro_f1", 0] == record.metrics["student"]["macro_f1"]
        for row in csv.DictReader(Store(copy).curve(digest).splitlines()):
            epoch = int(float(row.pop("epoch")))
            for key, value in row.items():
                assert run["metrics"][f"by_epoch/{key}", epoch] == float(value)
    assert {run["tags"]["method"] for run in runs.values()} == {"teacher alone", "student alone", "kd", "hmkd"}


@pytest.mark.slow
def test_a_second_run_adds_nothing_and_what_is_lost_is_written_again(forks: Any, job: Any, tracked: Path) -> None:
    before = read(tracked)
    assert forks("run", *job, "-j", 1).code == 0
    assert read(tracked) == before
    rebuilt = forks("track", "rebuild")
    assert rebuilt.code == 0, rebuilt.err
    assert rebuilt.out == f"wrote 4 runs to {tracked / 'mlflow.db'}\n"
    assert stable(read(tracked)) == stable(before)


HALF = """
import os
from pathlib import Path
from kdbench.track import mirror, tracker as tracking
from kdbench.track.target import Target
from kdbench.store.records import Store

def die(*args, **kwargs):
    os.kill(os.getpid(), 9)
mirror.stamp_of = lambda *given: "another"  # so that all is written again
tracking.Tracker._keep = die
store = Store(Path({store!r}))
mirror.write_matrix(store, {identity!r}, Target(store.root))
"""


@pytest.mark.slow
def test_what_a_killed_writer_left_is_taken_away_and_a_newer_record_takes_its_older_one_s_place(
    forks: Any, job: Any, tracked: Path, cells: Callable[[Path], list[Path]]
) -> None:
    identity = matrices(Store(tracked))[0].identity
    digest = cells(tracked)[0].name
    assert forks.start(HALF.format(store=str(tracked), identity=identity)).wait().code == -9
    assert forks("run", *job, "-j", 1).code == 0
    runs = read(tracked)  # asserts that no cell stands twice
    assert {run["status"] for run in runs.values()} == {"FINISHED"}

    path = tracked / digest / "record.json"
    whole, record = path.read_text(), Store(tracked).record(digest)
    assert record is not None
    late = replace(record, status="failed", reason="too old", finished="2030-01-01T00:00:00")
    path.write_text(late.to_json())
    assert forks("run", *job, "-j", 1).code == 1
    changed = read(tracked)
    assert changed[digest]["status"] == "FAILED"
    assert changed[digest]["tags"]["reason"] == "too old"
    assert {name: run for name, run in changed.items() if name != digest}.keys() == runs.keys() - {digest}
    assert changed["parent"]["status"] == "FAILED"

    path.write_text(whole)
    assert forks("run", *job, "-j", 1).code == 0
    assert stable(read(tracked)) == stable(runs), "what was written of the failed cell is left somewhere"


@pytest.mark.slow
def test_two_runs_of_one_store_at_once_both_end_well_with_the_same_results(
    forks: Any, job: Any, store: Path, same: Callable[[Path], None]
) -> None:
    both = [forks.begin("run", *job, "-j", 1) for _ in range(2)]
    one, other = [process.wait() for process in both]
    assert [one.code, other.code] == [0, 0], one.err + other.err
    assert "Traceback" not in one.err + other.err
    assert one.out == other.out
    for path in store.glob("*/epoch"):  # of the one that ended first, told by the other
        path.unlink()
    same(store)
    assert len(read(store)) == 5


def test_what_is_not_to_be_tracked_makes_no_database(forks: Any, job: Any, copy: Path) -> None:
    ended = forks("run", *job, "--no-track")
    assert ended.code == 0
    assert "kdbench ui" not in ended.err
    assert not any("mlflow" in path.name for path in copy.iterdir())


@pytest.mark.slow
def test_a_database_that_is_none_is_named_after_the_table_is_shown(forks: Any, job: Any, copy: Path) -> None:
    (copy / "mlflow.db").write_bytes(b"garbage" * 1000)
    ended = forks("run", *job)
    assert ended.code == 0
    assert "| hmkd " in ended.out
    said = [line for line in ended.err.splitlines() if line.startswith("not tracked: ")]
    assert len(said) == 1
    assert said[0].startswith(f"not tracked: MLflow's database in {copy} cannot be written: ")
    assert said[0].endswith("`kdbench track rebuild` writes it again from them")
    assert "prints this again" in ended.err
    assert "Traceback" not in ended.err
    assert forks("track", "rebuild").code == 0
    assert len(read(copy)) == 5


def descendants(pid: int) -> list[int]:
    children = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return [each for child in children for each in (child, *descendants(child))]


def ended(family: list[int]) -> Callable[[], bool]:
    return lambda: not any(Path(f"/proc/{pid}").exists() for pid in family)


@pytest.mark.slow
def test_pages_are_served_on_this_machine_until_they_are_stopped(
    forks: Any, tracked: Path, until: Callable[..., None], answers: Callable[[int], bool]
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = forks.begin("ui", "--port", port)
    until(lambda: answers(port), "an answer")
    family = descendants(process.pid)
    assert family
    process.kill(signal.SIGTERM)
    stopped = process.wait()
    assert stopped.code == 0
    assert stopped.out.startswith(f"open http://127.0.0.1:{port}/#/experiments/1/runs?workflowType=machine_learning")
    assert stopped.out.endswith("stopped\n")
    until(ended(family), "the servers' end")
    assert not answers(port)


SERVER = "import subprocess, sys; subprocess.run(['sleep', '1000'])"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_ends_with_all_the_processes_that_it_started(
    number: int, forks: Any, until: Callable[..., None]
) -> None:
    code = f"import sys; from kdbench.cli.serve import serve; sys.exit(serve([sys.executable, '-c', {SERVER!r}], {{}}))"
    process = forks.start(code)
    until(lambda: len(descendants(process.pid)) == 2, "a server with a process of its own")
    family = descendants(process.pid)
    process.kill(number)
    assert process.wait().code == 0
    until(ended(family), "their end")


def test_a_record_is_in_the_database_as_soon_as_its_cell_is_done(tracked: Path, where: Any) -> None:
    store = Store(tracked)
    identity, matrix = matrices(store)[0].identity, matrices(store)[0].matrix
    plan = remembered(store, matrix)
    assert plan is not None
    tracking.forget(Target(tracked))
    digests = {planned.place.row: str(planned.digest) for planned in plan.places}
    alone, taught = digests["student alone"], digests["kd"]
    record, beside = store.record(taught), store.record(alone)
    assert record is not None
    assert beside is not None
    kept = (tracked / alone / "record.json").rename(tracked / "aside")
    mirror = Mirror(store, identity, plan)
    mirror.add(record)
    assert set(read(tracked)) == {"parent"}  # what its gain is measured from is not there yet
    kept.rename(tracked / alone / "record.json")
    mirror.add(beside)
    found = read(tracked)
    assert set(found) == {"parent", alone, taught}
    assert (found["parent"]["status"], found[taught]["status"]) == ("RUNNING", "FINISHED")
    gain = record.metrics["student"]["macro_f1"] - beside.metrics["student"]["macro_f1"]
    assert found[taught]["metrics"]["gain_macro_f1", 0] == pytest.approx(gain)
    assert found[taught]["tags"]["gate"] in ("passed", "failed")


@pytest.mark.slow
def test_a_new_store_takes_the_empty_database_that_another_one_left_and_a_damaged_one_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KNOWN, "folder", tmp_path / "cache")

    def made(name: str) -> list[Any]:
        root = tmp_path / name
        root.mkdir()
        tracking.Tracker(Target(root)).experiment("mine", {})
        with closing(sqlite3.connect(root / "mlflow.db")) as base:
            assert base.execute("pragma journal_mode").fetchone() == ("wal",)
            places = base.execute("select name, artifact_location, lifecycle_stage from experiments").fetchall()
            # columns, not the text: migrations write constraints in no fixed order
            tables = base.execute(
                "select m.type, m.name, c.* from sqlite_master m left join pragma_table_info(m.name) c order by 1, 2, 3"
            ).fetchall()
        return [tables, [(name, place.replace(str(root), "ROOT"), stage) for name, place, stage in places]]

    first = made("one")
    [kept] = (tmp_path / "cache").glob("mlflow-*.blank")
    before = kept.stat().st_mtime_ns
    assert made("two") == first
    assert kept.stat().st_mtime_ns == before
    kept.write_bytes(kept.read_bytes()[:-100])
    assert made("three") == first
    assert kept.stat().st_mtime_ns > before
    assert made("four") == first
