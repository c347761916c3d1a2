"""MLflow where names, places, disks, ports and processes are not as it wants them: results never hang on it."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kdbench.store.memory import matrices
from kdbench.store.records import Store
from kdbench.track.names import allowed, text


def ask(store: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(f"{(store / 'mlflow.db').as_uri()}?mode=ro", uri=True)) as base:
        return base.execute(query).fetchall()


def statuses(store: Path) -> dict[str, str]:
    """Of what is not deleted: by level, experiment and name."""
    level = "(SELECT value FROM tags WHERE key = 'kdbench.level' AND run_uuid = runs.run_uuid)"
    named = f"{level} || ' ' || experiment_id || ' ' || name"
    query = f"SELECT {named}, status FROM runs WHERE lifecycle_stage = 'active'"
    return dict(ask(store, query))


def of_matrices(store: Path) -> list[str]:
    return [status for name, status in statuses(store).items() if name.startswith("parent ")]


@pytest.fixture(scope="module")
def first(server: Any, done: Path, job: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tracked store. Not to be written."""
    root = tmp_path_factory.mktemp("tracked") / "runs"
    shutil.copytree(done, root)
    assert server("run", *job, "-j", 1, "--store", root).code == 0
    return root


@pytest.fixture
def tracked(first: Path, store: Path) -> Path:
    """A copy of it, to be written."""
    shutil.copytree(first, store)
    return store


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="names that it does not know")
@pytest.mark.parametrize("name", ["a%20b", "runs?", "x#y %", "über 比's"])
def test_a_store_of_any_name_is_tracked_in_itself(name: str, forks: Any, job: Any, done: Path, tmp_path: Path) -> None:
    root = tmp_path / "here" / name
    shutil.copytree(done, root)
    ended = forks("run", *job, "-j", 1, "--store", root)
    assert ended.code == 0, ended.err
    assert "not tracked" not in ended.err
    rebuilt = forks("track", "rebuild", "--store", root)
    assert rebuilt.code == 0, rebuilt.err
    assert [path.name for path in root.parent.iterdir()] == [name]
    assert len(statuses(root)) == 5
    assert len(list(root.glob("mlartifacts/*/artifacts/table/table.md"))) == 1


@pytest.mark.slow
def test_a_copied_store_is_tracked_where_it_is(forks: Any, job: Any, first: Path, tmp_path: Path) -> None:
    old, moved = tmp_path / "old" / "runs", tmp_path / "moved"
    shutil.copytree(first, old)
    assert forks("run", *job, "-j", 1, "--store", old).code == 0
    shutil.copytree(old, moved)
    shutil.rmtree(old.parent)
    old.parent.touch()  # which cannot be written any more
    ended = forks("run", *job, "-m", "sp", "-j", 1, "--store", moved)
    assert ended.code == 0, ended.err
    assert "not tracked" not in ended.err
    places = [place for (place,) in ask(moved, "SELECT artifact_uri FROM runs ")]
    assert len(places) == 5 + 6  # four cells and a matrix; five and another
    assert all(place.startswith(f"{moved.as_uri()}/mlartifacts/") for place in places)
    assert len(list(moved.glob("mlartifacts/*/artifacts/table/table.md"))) == 2


ODD = ["CE(y, p)", "CE[y, p]", "a//b", "../up", "/root", ".", "x" * 300, "ä + ö", "tab\there", "", "loss:hard"]


def test_names_that_mlflow_refuses_are_replaced_and_stay_apart() -> None:
    found = allowed(["loss", *ODD])
    assert found["loss"] == "loss"
    assert len(set(found.values())) == len(found) == len(ODD) + 1
    assert all(0 < len(name) <= 250 for name in found.values())
    assert text("a\udcffb") == r"a\udcffb"


@pytest.mark.slow
def test_losses_with_names_that_mlflow_refuses_are_tracked_and_found_again(
    forks: Any, job: Any, copy: Path, cells: Callable[[Path], list[Path]]
) -> None:
    folder = cells(copy)[0]
    names = [*(name for name in ODD if name), "words", "infinite"]
    with (folder / "curve.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerow(["epoch", *names])
        for epoch in (1, 2):
            csv.writer(file).writerow([epoch, *([0.5] * (len(names) - 2)), "no number", "inf"])
    ended = forks("run", *job, "-j", 1)
    assert ended.code == 0, ended.err
    assert "not tracked" not in ended.err
    [(tag,)] = ask(copy, "SELECT value FROM tags WHERE key = 'kdbench.names'")
    own = json.loads(tag)
    shown = [f"by_epoch/{name}" for name in names]
    assert set(own.values()) == {name for name in shown if allowed(shown)[name] != name}
    for name in own:
        assert ask(copy, f"SELECT count(*) FROM metrics WHERE key = '{name}' AND value = 0.5") == [(2,)]


@pytest.mark.parametrize(
    "break_it",
    [
        pytest.param(None, id="an empty file"),
        pytest.param("DROP TABLE alembic_version", id="before its version was noted"),
        pytest.param(
            "DROP TABLE experiment_tags; UPDATE alembic_version SET version_num = '97727af70f4d'", id="migrated"
        ),
    ],
)
def test_a_database_that_was_left_half_made_is_made_anew_from_all_records(
    break_it: str | None, forks: Any, job: Any, sizes: Any, tracked: Path
) -> None:
    assert forks("run", *sizes, "-m", "kd", "--no-track").code == 0  # a second matrix, of the same cells
    path = tracked / "mlflow.db"
    if break_it is None:
        path.write_bytes(b"")
    else:
        with closing(sqlite3.connect(path)) as base:
            base.executescript(f"DELETE FROM tags; DELETE FROM runs; DELETE FROM experiments; {break_it}")
    ended = forks("run", *job, "-j", 1)
    assert ended.code == 0, ended.err
    assert "not tracked" not in ended.err
    assert len(list(matrices(Store(tracked)))) == 2
    assert of_matrices(tracked) == ["FINISHED"] * 2
    assert len(ask(tracked, "SELECT 1 FROM runs")) == 5 + 4


LONG = ("--seeds", "9", "-S", "recipe.epochs=300", "-S", "recipe.batch_size=16", "-j", "1")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_run_is_running_after_its_process_has_ended(
    number: int, forks: Any, sizes: Any, job: Any, copy: Path, until: Callable[..., None]
) -> None:
    process = forks.begin("run", *sizes[:4], "-m", "kd", *LONG)
    until(lambda: (copy / "mlflow.db").exists() and "RUNNING" in of_matrices(copy), "the matrix in the database")
    if number == signal.SIGKILL:
        process.kill(number)
        assert process.wait().code == -9
        until(lambda: of_matrices(copy) == ["KILLED"], "the writer's last word")
    else:
        process.kill(number)
        assert process.wait().code > 128
        assert of_matrices(copy) == ["KILLED"]
    assert "RUNNING" not in statuses(copy).values()
    until(lambda: [path.name for path in copy.glob(".mlflow*")] == [".mlflow.lock"], "the writer's end")


@pytest.mark.slow
def test_a_run_that_is_stopped_before_its_first_cell_is_done_is_killed_and_not_unknown(
    forks: Any, sizes: Any, store: Path, until: Callable[..., None]
) -> None:
    process = forks.begin("run", *sizes[:4], "-m", "kd", "-S", "recipe.epochs=100000", "-j", 1)
    until(lambda: (store / "mlflow.db").exists() and "RUNNING" in of_matrices(store), "the matrix in the database")
    process.kill(signal.SIGTERM)
    assert process.wait().code == 143
    assert of_matrices(store) == ["KILLED"]
    assert not Store(store).digests()


@pytest.mark.slow
def test_a_run_that_is_killed_with_its_writer_is_ended_by_the_next_that_writes(
    forks: Any, sizes: Any, job: Any, copy: Path, until: Callable[..., None]
) -> None:
    process = forks.begin("run", *sizes[:4], "-m", "kd", *LONG)
    until(lambda: (copy / "mlflow.db").exists() and "RUNNING" in of_matrices(copy), "the matrix in the database")
    [writer] = process.children()
    process.kill(signal.SIGSTOP)  # it does not see its writer die
    os.kill(writer, signal.SIGKILL)
    process.kill(signal.SIGKILL)
    process.wait()
    assert of_matrices(copy) == ["RUNNING"]
    assert forks("run", *job, "-j", 1).code == 0  # of another matrix
    assert sorted(of_matrices(copy)) == ["FINISHED", "KILLED"]


@pytest.mark.slow
def test_a_matrix_that_another_process_runs_is_left_running(
    forks: Any, sizes: Any, job: Any, copy: Path, until: Callable[..., None]
) -> None:
    process = forks.begin("run", *sizes[:4], "-m", "kd", *LONG)
    until(lambda: (copy / "mlflow.db").exists() and "RUNNING" in of_matrices(copy), "the matrix in the database")
    assert forks("run", *job, "-j", 1).code == 0
    assert sorted(of_matrices(copy)) == ["FINISHED", "RUNNING"]
    assert forks("track", "sync").code == 0
    assert sorted(of_matrices(copy)) == ["FINISHED", "RUNNING"]
    process.kill(signal.SIGTERM)
    process.wait()
    assert sorted(of_matrices(copy)) == ["FINISHED", "KILLED"]


def test_a_writer_that_dies_is_told_and_waited_for_no_longer(
    forks: Any, sizes: Any, job: Any, copy: Path, until: Callable[..., None]
) -> None:
    process = forks.begin("run", *sizes, "-m", "kd", "--seeds", "3", "-j", 1)
    until(lambda: process.children(), "its writer")
    os.kill(process.children()[0], signal.SIGKILL)
    ended = process.wait()
    assert ended.code == 0, ended.err
    assert "| kd " in ended.out
    [said] = [line for line in ended.err.splitlines() if line.startswith("not tracked: ")]
    assert said.startswith("not tracked: the process that writes to MLflow ended by itself; ")
    assert forks("track", "sync").code == 0
    assert of_matrices(copy) == ["FINISHED", "FINISHED"]  # this matrix, and the one that was run there before
    assert len(statuses(copy)) == (1 + 9) + (1 + 4)


def test_a_port_that_is_taken_is_one_line(forks: Any, tracked: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = forks("ui", "--port", port)
    assert ended.code == 1
    assert ended.out == ""
    assert ended.error == f"port {port} of this machine is taken; another is chosen with --port"


def test_a_server_that_ends_by_itself_is_told(forks: Any, tracked: Path) -> None:
    code = (
        "import kdbench.cli.serve as s; import sys; sys.argv[1:] = ['ui', '--port', '49531']; s.serve = lambda *_: 3\n"
    )
    ended = forks.start(code + "import kdbench.cli; kdbench.cli.main()").wait()
    assert ended.code == 1
    assert ended.error == "MLflow's server ended by itself, with exit code 3"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("raise ImportError('libz.so: cannot map')", "ImportError: libz.so: cannot map"),
        ("raise MemoryError", "MemoryError: MemoryError"),
        ("import nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
    ],
)
def test_an_mlflow_that_cannot_be_loaded_is_not_called_absent(
    fault: str, said: str, job: Any, copy: Path, tmp_path: Path
) -> None:
    (tmp_path / "mlflow.py").write_text(fault + "\n")
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "KDBENCH_STORE": str(copy)}
    command = [sys.executable, "-m", "kdbench", "run", *map(str, job), "-j", "1"]
    ended = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert f"not tracked: mlflow is installed and cannot be loaded: {said}; " in ended.stderr
    assert "student alone" in ended.stdout
