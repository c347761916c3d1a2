"""Who is running a matrix in a store right now: a sign that each driver keeps, and a lock that dies with it.

A driver is the process that `kdbench run` is. While it runs it holds a lock of the operating system on a file under
``drivers/``, so whether it lives is not a guess: not after a kill, a reboot, or in a copy of the store. Where locks do
not work, as on some network folders, it counts as alive while its sign is younger than ``SILENCE``.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from filelock import FileLock

from kdbench.store.locks import is_held
from kdbench.store.records import Store

SILENCE = timedelta(minutes=2)


@dataclass(frozen=True)
class Driver:
    """What a driver says of itself.

    Args:
        identity: of the matrix that it runs.
        pid: of its process.
        host: its machine.
        since: when it began, ISO 8601.
        seen: when it last said so.
        at_once: how many cells it runs at a time.
        running: digests of the cells that it runs.
        done: how many of its cells are done, those that run by their share.
        total: how many it set out to run.
        seconds_left: its own estimate; None while it has none.
    """

    identity: str
    pid: int
    host: str
    since: str
    seen: str
    at_once: int
    running: tuple[str, ...]
    done: float
    total: int
    seconds_left: float | None


class Sign:
    """Tells whoever reads the store that this process is running a matrix in it. What cannot be written is left out.

    Args:
        store: where.
        identity: of the matrix.
    """

    def __init__(self, store: Store, identity: str) -> None:
        self._path = _folder(store) / f"{os.getpid()}-{secrets.token_hex(4)}.json"
        self._lock = FileLock(self._path.with_suffix(".lock"), timeout=0)
        self._identity, self._since = identity, _now()
        with suppress(OSError, NotImplementedError):  # a sign is for readers; the run goes on without
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()

    def write(
        self, at_once: int, running: tuple[str, ...], done: float, total: int, seconds_left: float | None
    ) -> None:
        """Say how it goes."""
        who = (os.getpid(), socket.gethostname(), self._since, _now())
        driver = Driver(self._identity, *who, at_once, running, done, total, seconds_left)
        temporary = self._path.with_suffix(".part")
        with suppress(OSError):
            temporary.write_text(json.dumps({**asdict(driver), "locked": self._lock.is_locked}), encoding="utf-8")
            temporary.replace(self._path)

    def remove(self) -> None:
        """The run is over; a signal may have cut a write short."""
        with suppress(OSError):
            for path in (self._path, self._path.with_suffix(".part")):
                path.unlink(missing_ok=True)
            self._lock.release(force=True)
            Path(self._lock.lock_file).unlink(missing_ok=True)
            self._path.parent.rmdir()  # only where no other driver is


def drivers(store: Store) -> list[tuple[Driver, bool]]:
    """The drivers that have a sign, the one seen last first, each with whether it is alive."""
    found = []
    for path in _folder(store).glob("*.json"):
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            plain = json.loads(path.read_text(encoding="utf-8"))
            locked = plain.pop("locked")
            driver = Driver(**{**plain, "running": tuple(plain["running"])})
            age = datetime.now(UTC) - datetime.fromisoformat(driver.seen)
            held = is_held(path.with_suffix(".lock")) if locked else None
            found.append((driver, age < SILENCE if held is None else held))
    return sorted(found, key=lambda pair: pair[0].seen, reverse=True)


def sweep_signs(store: Store) -> None:
    """Remove what drivers that were killed left behind."""
    for lock in _folder(store).glob("*.lock"):
        if is_held(lock) is False:
            for name in (lock, lock.with_suffix(".json"), lock.with_suffix(".part")):
                name.unlink(missing_ok=True)
    with suppress(OSError):
        _folder(store).rmdir()  # only where no other driver is


def _folder(store: Store) -> Path:
    return store.root / "drivers"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
