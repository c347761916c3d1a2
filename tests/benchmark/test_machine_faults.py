"""Full and read-only disks: one line, exit code 1, nothing half written, and the run can go on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kdbench.store.artefacts import write_checkpoint
from kdbench.store.records import Store

SMALL = 'mount -t tmpfs -o size=3m,mode=777 none "$here"'
CLOSED = 'mount --bind "$here" "$here"; mount -o remount,bind,ro "$here"'


def fill(folder: Path, leave: int) -> Path:
    """Write a file that leaves so many bytes of a disk."""
    ballast = folder / "ballast"
    free = shutil.disk_usage(folder).free
    ballast.write_bytes(bytes(free - leave))
    return ballast


def tidy(store: Path) -> bool:
    """Whether nothing in a store is hidden, temporary or empty, but for a lock on a cell that is unfinished."""
    files = [path for path in store.rglob("*") if path.is_file() and path.parent.name != "claims"]
    return all(not path.name.startswith(".") and path.stat().st_size for path in files)


def run(forks: Any, disk: Any, job: Any, jobs: int = 1) -> Any:
    return forks("run", *job, "--no-track", "-j", jobs, "--store", disk.inside / "runs", inside=disk.pid)


def test_a_full_disk_is_noticed_before_anything_is_worked_for(forks: Any, mounted: Any, job: Any) -> None:
    disk = mounted(SMALL)
    fill(disk.outside, leave=0)
    ended = run(forks, disk, job)
    assert ended.code == 1
    assert ended.error == f"cannot write to store {disk.inside / 'runs'}: No space left on device"
    assert [path for path in disk.outside.rglob("*") if path.is_file() and path.name != "ballast"] == []


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_disk_that_fills_in_the_middle_stops_the_run_and_costs_nothing_that_is_done(
    jobs: int, forks: Any, mounted: Any, job: Any, same: Callable[[Path], None], cells: Any, tmp_path: Path
) -> None:
    disk = mounted(SMALL)
    store = disk.outside / "runs"
    store.mkdir()
    # The teacher's files take some 90 kB, each of the other three cells' some 30 kB, all of them in pages of 4 kB.
    ballast = fill(disk.outside, leave=150_000)
    ended = run(forks, disk, job, jobs)
    assert ended.code == 1
    line = ended.err.splitlines()[-1]
    assert line.startswith("error: synthetic(")
    assert "No space left on device" in line
    assert str(disk.inside / "runs") in line
    assert line.endswith("; what is done is kept, run again to go on")
    assert "Traceback" not in ended.err
    finished = {path.name for path in cells(store) if (path / "record.json").exists()}
    assert 0 < len(finished) < 4
    if jobs == 1:  # of two workers, one is killed at what it does
        assert tidy(store)
    ballast.unlink()
    for path in store.glob("*/.*"):
        path.unlink()
    ended = run(forks, disk, job)
    assert ended.code == 0, ended.err
    assert ended.err.startswith(f"quick: 4 cells, {len(finished)} done before;")
    shutil.copytree(store, tmp_path / "runs")  # out of the namespace
    same(tmp_path / "runs")


def test_a_full_cache_disk_stops_the_run_in_one_line(forks: Any, mounted: Any, job: Any, store: Path) -> None:
    disk = mounted(SMALL)
    fill(disk.outside, leave=8192)
    env = {"KDBENCH_CACHE": str(disk.inside / "cache")}
    ended = forks("run", *job, "--no-track", "-j", 1, inside=disk.pid, env=env)
    assert ended.code == 1
    assert str(disk.inside / "cache") in ended.error
    assert ended.error.endswith("free some space or choose another cache folder")
    assert not store.exists()


@pytest.mark.slow
def test_a_disk_too_full_for_the_mlflow_database_keeps_the_results(
    forks: Any, mounted: Any, job: Any, done: Path, call: Any
) -> None:
    disk = mounted(SMALL)
    shutil.copytree(done, disk.outside / "runs")
    fill(disk.outside, leave=100_000)
    ended = forks("run", *job, "--store", disk.inside / "runs", inside=disk.pid)
    assert ended.code == 0
    assert "| hmkd " in ended.out
    line = next(line for line in ended.err.splitlines() if line.startswith("not tracked: "))
    assert line.startswith(f"not tracked: MLflow's database in {disk.inside / 'runs'} cannot be written: ")
    assert line.endswith("the results themselves are kept, `kdbench track rebuild` writes it again from them")
    assert "Traceback" not in ended.err
    assert not list((disk.outside / "runs").glob("*mlflow*.db*"))  # none, rather than half of one
    (disk.outside / "ballast").unlink()
    again = forks("run", *job, "--store", disk.inside / "runs", inside=disk.pid)
    assert again.code == 0, again.err
    assert "not tracked" not in again.err
    again = forks("track", "rebuild", "--store", disk.inside / "runs", inside=disk.pid)
    assert again.code == 0, again.err
    assert again.out == f"wrote 4 runs to {disk.inside / 'runs' / 'mlflow.db'}\n"


def test_a_store_that_can_only_be_read_is_read_and_not_run(
    forks: Any, mounted: Any, sizes: Any, job: Any, done: Path
) -> None:
    disk = mounted(f'cp -r "{done}" "$here/runs"; {CLOSED}')
    ended = forks("run", *sizes, "-m", "kd(alpha=0.5)", "--store", disk.inside / "runs", inside=disk.pid)
    assert ended.code == 1
    assert ended.error == f"cannot write to store {disk.inside / 'runs'}: Read-only file system"
    shown = forks("table", "--store", disk.inside / "runs", inside=disk.pid)
    assert shown.code == 0
    assert "| hmkd " in shown.out
    assert shown.err == ""


def test_a_folder_that_cannot_be_made_is_named(forks: Any, mounted: Any, job: Any) -> None:
    disk = mounted(CLOSED)
    ended = run(forks, disk, job)
    assert ended.code == 1
    assert ended.error == f"cannot write to store {disk.inside / 'runs'}: Read-only file system"


def test_a_write_that_fails_leaves_what_was_there_before(mounted: Any) -> None:
    disk = mounted(SMALL)
    store = Store(disk.outside / "runs")
    write_checkpoint(store, "cell", {"epoch": 1})
    store.write_epoch("cell", 1)
    before = {path: path.read_bytes() for path in store.folder("cell").iterdir()}
    fill(disk.outside, leave=0)
    with pytest.raises(OSError, match=r"No space left on device: '.*checkpoint\.pt'"):
        write_checkpoint(store, "cell", {"epoch": 2})
    with pytest.raises(OSError, match="No space left on device"):
        store.write_epoch("cell", 2)
    assert {path: path.read_bytes() for path in store.folder("cell").iterdir()} == before
