"""Locks of the operating system on files: they go with the process that holds them, however it ends."""

from __future__ import annotations

import os
from pathlib import Path

from filelock import FileLock, Timeout


def is_held(lock: Path) -> bool | None:
    """Whether a process holds a lock right now; None where that cannot be told."""
    try:
        with lock.open("rb") as there, FileLock(lock, timeout=0):
            if not os.fstat(there.fileno()).st_nlink:  # its holder removed it meanwhile, and asking made it again
                lock.unlink()
            return False
    except FileNotFoundError:
        return False
    except Timeout:
        return True
    except (OSError, NotImplementedError):  # another user's store, or a folder without locks
        return None
