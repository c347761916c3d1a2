"""What an executor for clusters has on each node: jobs run there in a store of their own, and their files go back."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from kdbench.errors import KdbenchError
from kdbench.executors._parcels import Files, read, unpack
from kdbench.executors.processes import Workers
from kdbench.machine import Runtime
from kdbench.results.record import Record
from kdbench.schedule.jobs import Job
from kdbench.store.locks import is_held
from kdbench.store.plugins import look_in
from kdbench.store.records import LOG, Store

PREFIX = "kdbench-ray-"
SETTLED = 60.0
"""Seconds after which a temporary folder that nobody holds is one that a kill left."""


@dataclass(frozen=True)
class Parcel:
    """Files that a job needs.

    Args:
        digest: of the files.
        data: digest of the dataset of which they are the windows; empty where they belong into the store.
        where: what `Node`'s ``fetch`` gets them by.
    """

    digest: str
    data: str
    where: Any


def hold(folder: Path) -> FileLock:
    """Make a temporary folder this process's too, until it ends; those that a kill left are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"alive-{os.getpid()}.lock", timeout=0)
    lock.acquire()
    for other in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):
            if other != folder and time.time() - other.stat().st_mtime > SETTLED:
                remove_unheld(other)
    return lock


def remove_unheld(folder: Path) -> None:
    """Remove a temporary folder unless a process holds it."""
    if not any(is_held(lock) is not False for lock in folder.glob("alive-*.lock")):
        shutil.rmtree(folder, ignore_errors=True)


class Node:
    """Runs one job at a time in a process of this node.

    Args:
        folder: temporary, shared by all of a run on this node.
        runtime: how cells run; where they do is decided here.
        fetch: gets the files of a parcel from the driver.
    """

    def __init__(self, folder: Path, runtime: Runtime, fetch: Callable[[Any], Files]) -> None:
        self._folder, self._fetch = folder, fetch
        self._lock = hold(folder)
        self._store = Store(folder / f"store-{os.getpid()}")
        here = replace(runtime, store=self._store.root, cache=folder / "cache", prepared=folder / "data")
        self._workers = Workers(replace(here, data_dir=None, address=None), 1, retries=0)
        self._failed: BaseException | None = None
        self._seen: dict[str, int] = {}

    def begin(self, job: Job, told: list[tuple[str, str]], begun: Files, where: list[Any]) -> None:
        """Begin a job, from its checkpoint where that is among the files that it has already.

        Args:
            job: what to run.
            told: digest and dataset of each parcel that it needs.
            begun: files that its cell has.
            where: what ``fetch`` gets each parcel by.
        """
        self._failed, self._seen = None, {}
        shutil.rmtree(self._store.root, ignore_errors=True)
        try:
            for parcel in (Parcel(*each, at) for each, at in zip(told, where, strict=True)):
                folder = self._had(parcel)
                if not parcel.data:
                    shutil.copytree(folder, self._store.root, dirs_exist_ok=True)
            own = self._store.folder(job.digest)
            own.mkdir(parents=True, exist_ok=True)
            for name, raw in begun.items():
                (own / name).write_bytes(raw)
            look_in(self._store)
            self._workers.submit(job)
        except (KdbenchError, OSError) as error:
            self._failed = error

    def _had(self, parcel: Parcel) -> Path:
        """Where the files of a parcel are on this node, which gets each once."""
        folder = self._folder / ("data" if parcel.data else "parcels") / (parcel.data or parcel.digest)
        with FileLock(self._folder / "unpacking.lock"):
            if not folder.exists():
                unpack(self._fetch(parcel.where), parcel.digest, folder)
        return folder

    def look(self, digest: str, seconds: float) -> tuple[Files, Record | BaseException | None]:
        """What a job left, and what came of it; or after some seconds what it has changed until then, and None."""
        end, answer = time.monotonic() + seconds, None
        while answer is None and self._failed is None and time.monotonic() < end:
            answer = self._workers.next(lambda: None)
        result = self._failed if answer is None else answer[1]
        folder = self._store.folder(digest)
        paths = list(folder.iterdir()) if result is not None and folder.is_dir() else list(self._changed(folder))
        with suppress(FileNotFoundError):  # finished between the two
            return read(folder, (path for path in paths if not path.name.startswith("."))), result
        return {}, result

    def _changed(self, folder: Path) -> list[Path]:
        found = []
        for path in (folder / name for name in ("checkpoint.pt", "epoch", LOG)):
            with suppress(FileNotFoundError):
                at = path.stat().st_mtime_ns
                if self._seen.get(path.name) != at:
                    self._seen[path.name] = at
                    found.append(path)
        return found

    def leave(self) -> None:
        """Stop whatever runs; whoever leaves last takes the folder along."""
        self._workers.close()
        shutil.rmtree(self._store.root, ignore_errors=True)
        self._lock.release(force=True)
        remove_unheld(self._folder)
