"""Who works on what: claims that several processes see, and that go with the process that holds them."""

from __future__ import annotations

import hashlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

PAUSE = 0.2
"""Seconds between two looks at what another process holds."""


class Claims(ABC):
    """Names of which each is held by one process at most."""

    @abstractmethod
    def take(self, name: str) -> bool:
        """Take a name that nobody holds; whether that went well."""

    @abstractmethod
    def give_back(self, name: str) -> None:
        """Let go of a name that this process holds."""

    @abstractmethod
    def close(self) -> None:
        """Let go of all."""

    @contextmanager
    def held(self, name: str, wait: Callable[[], None] = lambda: time.sleep(PAUSE)) -> Iterator[None]:
        """Hold a name for a while, once whoever has it lets go of it."""
        while not self.take(name):
            wait()
        try:
            yield
        finally:
            self.give_back(name)


class FileClaims(Claims):
    """Locked files: for the processes of one machine. The system unlocks what a killed process held.

    Args:
        folder: of the files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, FileLock] = {}

    def take(self, name: str) -> bool:
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._folder / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return False
        self._held[name] = lock
        return True

    def give_back(self, name: str) -> None:
        self._held.pop(name).release()

    def close(self) -> None:
        for name in list(self._held):
            self.give_back(name)


class DatabaseClaims(Claims):
    """PostgreSQL's advisory locks: for all clients of a database. They go with the connection.

    Args:
        engine: of the database, as Optuna's storage has it.
    """

    def __init__(self, engine: Any) -> None:
        self._connection = engine.raw_connection()
        self._connection.driver_connection.autocommit = True

    def take(self, name: str) -> bool:
        return bool(self._ask("SELECT pg_try_advisory_lock(%s)", name))

    def give_back(self, name: str) -> None:
        self._ask("SELECT pg_advisory_unlock(%s)", name)

    def close(self) -> None:
        self._connection.close()

    def _ask(self, question: str, name: str) -> Any:
        key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
        cursor = self._connection.cursor()
        cursor.execute(question, (key,))
        return cursor.fetchone()[0]
