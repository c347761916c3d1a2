"""The files of a store's MLflow database: where they are, and whether they are whole. Needs no mlflow."""

from __future__ import annotations

import atexit
import math
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

from filelock import FileLock, Timeout

MATRIX, WHOLE = "kdbench.matrix", "kdbench.whole"
"""Tags of experiments: which matrix one is of; that the database was made to its end."""
TRIALS = "trials"
"""What experiments of trials have in place of a matrix's identity."""
NAME, BEGUN = "mlflow.db", ".mlflow-begun.db"


def address(root: Path, name: str = NAME) -> str:
    """What MLflow calls the database of a store."""
    return f"sqlite:///{_plain(root.resolve()) / name}"


def artifacts(root: Path) -> str:
    """What MLflow calls the folder of artifacts of a store."""
    return (root / "mlartifacts").resolve().as_uri()


@cache
def _plain(root: Path) -> Path:
    """The folder under a name that means itself in an address, by a link where it has none.

    Escaped signs do not help: MLflow makes a folder of the escaped name.
    """
    if re.fullmatch(r"[^%?#\ud800-\udfff]*", str(root)):
        return root
    folder = Path(tempfile.mkdtemp(prefix="kdbench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "store").symlink_to(root, target_is_directory=True)
    return folder / "store"


@contextmanager
def begun(root: Path) -> Iterator[str]:
    """The address of a new database, made beside the place that it takes when the block ends well.

    A disk that fills in the middle leaves none, rather than half of one.
    """
    path = root / BEGUN
    _remove(path)
    try:
        yield address(root, BEGUN)
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA journal_mode=WAL")  # readers and the one writer do not wait for each other
        path.replace(root / NAME)
    finally:
        _remove(path)


def remove(root: Path) -> None:
    """Remove the database of a store."""
    _remove(root / NAME)


def half_made(root: Path) -> bool:
    """Whether there is a database that was left before it was whole: without a run, and without the sign of its end.

    Raises:
        sqlite3.Error: if the file is no database, or cannot be read.
    """
    path = root / NAME
    if not path.exists():
        return False
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}

        def holds(table: str, where: str = "") -> bool:
            asked = f"SELECT 1 FROM {table} {where} LIMIT 1"
            return table in tables and database.execute(asked).fetchone() is not None

        signed = f"WHERE key = '{WHOLE}' AND experiment_id IN (SELECT experiment_id FROM experiments)"
        return not holds("runs") and not holds("experiment_tags", signed)


def settle(root: Path) -> None:
    """Let a database that was copied or moved look for its artifacts, and put them, beside itself."""
    here = artifacts(root)
    ours = "SELECT experiment_id FROM experiment_tags WHERE key = ?"
    with closing(sqlite3.connect(root / NAME, timeout=60)) as database, database:
        asked = f"SELECT experiment_id FROM experiments WHERE artifact_location != ? AND experiment_id IN ({ours})"
        for (number,) in database.execute(asked, (here, MATRIX)).fetchall():
            database.execute("UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?", (here, number))
            moved = "UPDATE runs SET artifact_uri = ? || '/' || run_uuid || '/artifacts' WHERE experiment_id = ?"
            database.execute(moved, (here, number))
            moved = "UPDATE logged_models SET artifact_location = ? || '/models/' || model_id || '/artifacts'"
            database.execute(f"{moved} WHERE experiment_id = ?", (here, number))


def add_epochs(root: Path, run: str, points: Sequence[tuple[str, float, int, int]]) -> bool:
    """Write metrics (name, value, when, step) of a run that has none of these names, in one go; whether that went well.

    Through MLflow it takes as long as all else that is written of a run. What does not go well changes nothing.
    """
    last: dict[str, tuple[str, float, int, int]] = {}
    for point in points:
        if not math.isfinite(point[1]):
            return False  # the tables have signs of their own for these
        last[point[0]] = max(last.get(point[0], point), point, key=lambda each: each[3])
    asked = "(key, value, timestamp, step, run_uuid, is_nan) VALUES (?, ?, ?, ?, ?, 0)"
    try:
        with closing(sqlite3.connect(root / NAME, timeout=60)) as database, database:
            for table, rows in (("metrics", points), ("latest_metrics", list(last.values()))):
                database.executemany(f"INSERT INTO {table} {asked}", [(*row, run) for row in rows])
    except sqlite3.Error:
        return False
    return True


class Living:
    """Says to other processes that this one runs a matrix, until it ends, however that may be.

    Args:
        root: of the store.
        identity: of the matrix.
    """

    def __init__(self, root: Path, identity: str) -> None:
        self._lock = FileLock(_mark(root, identity))
        try:
            self._lock.acquire(timeout=0)
        except Timeout:  # another process runs it too, and says so
            self.first = False
        else:
            self.first = True

    def end(self) -> None:
        """Say it no longer."""
        if self.first:
            self.first = False
            self._lock.release()
            Path(self._lock.lock_file).unlink(missing_ok=True)


def lives(root: Path, identity: str) -> bool:
    """Whether some process runs this matrix in this store."""
    if not _mark(root, identity).exists():
        return False
    asked = Living(root, identity)
    alive = not asked.first
    asked.end()
    return alive


def _mark(root: Path, identity: str) -> Path:
    return root / f".mlflow-{identity}.lock"


def _remove(path: Path) -> None:
    for ending in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
