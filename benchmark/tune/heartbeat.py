"""A line now and then while cells of a search run."""

from __future__ import annotations

import time
from collections.abc import Callable

from kdbench.results.record import Record
from kdbench.schedule.jobs import Job
from kdbench.schedule.observer import Observer

EVERY = 60.0
"""Seconds between two lines."""


class Heartbeat(Observer):
    """Says how many of some cells are done, where that takes its time.

    Args:
        what: the cells are of.
        cells: how many there are.
        say: prints a line.
        left: what is said of the time left.
    """

    def __init__(self, what: str, cells: int, say: Callable[[str], None], left: Callable[[], str]) -> None:
        self._what, self._cells, self._say, self._left = what, cells, say, left
        self._done, self._said = 0, time.monotonic()

    def finished(self, job: Job, record: Record) -> None:
        self._done += 1

    def tick(self) -> None:
        if time.monotonic() - self._said >= EVERY:
            self._said = time.monotonic()
            self._say(f"  {self._what}: {self._done} of {self._cells} cells done{self._left()}")
