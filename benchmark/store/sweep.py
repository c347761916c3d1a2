"""What a kill leaves behind is taken away by whoever has the store to itself."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from kdbench.results.record import WEIGHTS
from kdbench.store.index import NAME
from kdbench.store.records import CURVE, DEPLOY, PREDICTIONS, USE, Store

try:
    import fcntl
except ImportError:  # Windows: nothing is swept there
    fcntl = None  # type: ignore[assignment]

RUNNING = ("checkpoint.pt", "epoch")
"""What only a running cell needs."""
WRITTEN = (WEIGHTS, USE, DEPLOY, PREDICTIONS, CURVE, "record.json", "traceback.txt", *RUNNING)
HALF = tuple(f".{name}-" for name in WRITTEN)
"""How a file is called while it is written."""


@contextmanager
def sharing(store: Store) -> Iterator[None]:
    """Hold a store together with others; whoever finds nobody else in it first sweeps it.

    The kernel keeps the lock, on the folder itself, so none outlives its process. Where a file system knows no locks,
    nothing is swept.

    Args:
        store: its folder must exist.
    """
    if fcntl is None:
        yield
        return
    folder = os.open(store.root, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            sweep(store)
        with suppress(OSError):
            fcntl.flock(folder, fcntl.LOCK_SH)
        yield
    finally:
        os.close(folder)


def sweep(store: Store) -> None:
    """Remove temporary files, and what only a running cell needs of cells that have their record."""
    patterns = [
        ".writable-*",
        f".{NAME}-*",
        "claims/*.lock",
        "matrices/.*.json-*",
        "plans/.*.json-*",
        "imports/.*-*",
    ]
    for pattern in patterns:
        for path in store.root.glob(pattern):
            _remove(path)
    for folder in [entry.path for entry in os.scandir(store.root) if entry.is_dir()]:
        names = set(os.listdir(folder))
        for name in names:
            if name.startswith(HALF) or (name in RUNNING and "record.json" in names):
                _remove(Path(folder, name))


def sweep_outputs(cache: Path) -> None:
    """Remove half-made outputs of teachers, but for those that somebody is making."""
    for path in cache.glob("teachers/*/.*-*"):
        name = path.name[1:].rpartition("-")[0]
        with suppress(Timeout, OSError), FileLock(path.with_name(f"{name}.lock"), timeout=0):
            shutil.rmtree(path, ignore_errors=True)


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)
