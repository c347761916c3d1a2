"""Tells `status`, in another terminal, who is running what and how far it is."""

from __future__ import annotations

import time

from kdbench.observers._progress import Progress, Watched
from kdbench.results.record import Record
from kdbench.schedule.jobs import Job
from kdbench.schedule.observer import Observer
from kdbench.store.drivers import Sign

PAUSE = 2.0
"""Seconds between two signs while nothing begins or ends."""


class Telling(Observer):
    """Keeps this driver's sign in the store.

    Args:
        run: what is watched.
        progress: how far it is.
    """

    def __init__(self, run: Watched, progress: Progress) -> None:
        self._progress, self._sign = progress, Sign(run.store, run.identity)
        self._tell()

    def started(self, job: Job) -> None:
        self._tell()

    def finished(self, job: Job, record: Record) -> None:
        self._tell()

    def resized(self, at_once: int) -> None:
        self._tell()

    def tick(self) -> None:
        if time.monotonic() - self._told >= PAUSE:
            self._tell()

    def close(self) -> None:
        self._sign.remove()

    def _tell(self) -> None:
        self._told = time.monotonic()
        progress = self._progress
        state = progress.done, progress.total, progress.seconds_left()
        self._sign.write(progress.at_once, tuple(progress.running), *state)


def watch(run: Watched, progress: Progress) -> Observer | None:
    """A sign where there is something to run."""
    return Telling(run, progress) if run.todo else None
