"""A database of MLflow that holds nothing yet, kept between stores.

To make one, MLflow goes through every migration that it ever had, which takes a second of processor time and waits some
hundred times for the disk. What it made is kept for its version, with a checksum; the file may be removed at any time.
"""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from contextlib import closing, suppress
from importlib.metadata import version
from pathlib import Path

from kdbench.files import write_whole
from kdbench.provenance.known import KNOWN


def put(path: Path, artifacts: str) -> bool:
    """Put one where a database is to be; whether one was kept, and whole.

    Args:
        path: of the new file.
        artifacts: what MLflow calls the folder of its artifacts.
    """
    kept = _place()
    try:
        check, _, body = kept.read_bytes().partition(b"\n") if kept is not None else (b"", b"", b"none")
        if hashlib.sha256(body).hexdigest().encode() != check:
            return False
        raw = zlib.decompress(body)
    except (OSError, zlib.error):
        return False
    path.write_bytes(raw)
    with closing(sqlite3.connect(path)) as database, database:  # of "Default", which MLflow makes and nobody uses
        database.execute("UPDATE experiments SET artifact_location = ? WHERE experiment_id = 0", (f"{artifacts}/0",))
    return True


def keep(path: Path) -> None:
    """Keep one that MLflow has just made, where there is a cache that can be written."""
    kept = _place()
    if kept is None:
        return
    with suppress(OSError):
        body = zlib.compress(path.read_bytes())
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_whole(kept, hashlib.sha256(body).hexdigest().encode() + b"\n" + body)


def _place() -> Path | None:
    return None if KNOWN.folder is None else KNOWN.folder / f"mlflow-{version('mlflow')}.blank"
