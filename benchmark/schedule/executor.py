"""What an executor is to the runner."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from kdbench.results.record import Record
from kdbench.schedule.jobs import Job


class Executor(Protocol):
    """Runs jobs; at most ``slots`` are submitted at a time."""

    @property
    def slots(self) -> int:
        """How many jobs at a time, as it stands."""

    @property
    def room(self) -> int | None:
        """How many jobs at a time there can be, as it stands; None where nothing but the machine's strength says so."""

    def submit(self, job: Job) -> None:
        """Begin a job, or queue it."""

    def next(self, tick: Callable[[], None]) -> tuple[Job, Record | BaseException] | None:
        """A submitted job that has ended, with its record or what went wrong; None where none did for a while.

        ``Elsewhere`` in place of a record means that another process has the cell. Calls ``tick`` now and then.
        """

    def resize(self, count: int) -> None:
        """Run so many jobs at a time from the next one on; an executor that cannot stays as it is."""

    def close(self) -> None:
        """Stop at once whatever runs."""
