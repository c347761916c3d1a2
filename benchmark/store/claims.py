"""Who works on which cell: a lock for each, held by the process that will write the record.

The operating system lets go of a lock when its process ends, however it ends, so a kill leaves nothing to clean up. A
lock tells who may write, and only the record tells what is done: whoever gets the lock looks for a record again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from kdbench.store.locks import is_held
from kdbench.store.records import Store


class Elsewhere(Exception):
    """Another process works on the cell, or has just finished it."""


@contextmanager
def claimed(store: Store, digest: str, *, replaces: str = "") -> Iterator[None]:
    """Hold a cell, without waiting, and drop the record that is to be replaced.

    On a file system without locks every process may hold every cell: some are then trained twice, to the same bits.

    Args:
        store: where the record goes.
        digest: of the cell.
        replaces: mark of the record that is to be replaced; empty where there was none.

    Raises:
        Elsewhere: if another process holds the cell, or has written another record than the one to be replaced.
    """
    path = _lock(store, digest)
    lock = FileLock(path, timeout=0)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise Elsewhere(digest) from None
    except (OSError, NotImplementedError):
        pass
    try:
        found = store.mark(digest)
        if found and found != replaces:
            _drop(path)
            raise Elsewhere(digest)
        if found:
            store.forget(digest)
        yield
        _drop(path)
    finally:
        lock.release(force=True)


def held(store: Store, digest: str) -> bool:
    """Whether a process holds a cell right now."""
    return is_held(_lock(store, digest)) is True


def _drop(path: Path) -> None:
    with suppress(OSError):  # who opened it a moment ago finds the record, so nobody relies on the file
        path.unlink(missing_ok=True)


def _lock(store: Store, digest: str) -> Path:
    return store.root / "claims" / f"{digest}.lock"
