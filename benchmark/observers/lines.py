"""A line for each job that ends, and one now and then about those that run: where the output is no terminal."""

from __future__ import annotations

import sys
import time

from kdbench.observers._progress import Progress, Watched
from kdbench.observers._told import result
from kdbench.observers.bar import makes_bars
from kdbench.results.record import Record
from kdbench.schedule.jobs import Job
from kdbench.schedule.observer import Observer

HEARTBEAT = 60.0
"""Seconds between two lines about running cells."""


class Lines(Observer):
    """Says a line for each job that ends.

    Args:
        run: what is watched.
        progress: how far it is.
    """

    def __init__(self, run: Watched, progress: Progress) -> None:
        self.run, self.progress = run, progress
        self._said = time.monotonic()

    def finished(self, job: Job, record: Record) -> None:
        name = self.progress.names[job.digest]
        self._line(f"{self.progress.counted()} {name}: {result(record)}")
        for warning in record.warnings:
            self._line(f"  {name}: warning: {warning}")

    def skipped(self, job: Job, reason: str) -> None:
        self._line(f"{self.progress.counted()} {self.progress.names[job.digest]}: not run: {reason}")

    def tick(self) -> None:
        if self.progress.running and time.monotonic() - self._said >= HEARTBEAT:
            self._line(f"  {self.progress.now()}")

    def _line(self, text: str) -> None:
        self._said = time.monotonic()
        self.run.say(text + (f"; {self.progress.time_left()}" if self.progress.left else ""))


def watch(run: Watched, progress: Progress) -> Observer | None:
    """Lines where no bar is shown."""
    return None if makes_bars(sys.stderr) else Lines(run, progress)
