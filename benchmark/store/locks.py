"""Locks of the operating system on files: they go with the process that holds them, however it ends."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout


def is_held(lock: Path) -> bool | None:
    """Whether a process holds a lock right now; None where that cannot be told."""
    if not lock.exists():
        return False
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True
    except (OSError, NotImplementedError):  # another user's store, or a folder without locks
        return None
