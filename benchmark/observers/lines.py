"""A line for each job that ends, and one now and then about those that run: where the output is no terminal."""

from __future__ import annotations

import sys
import time

from kdbench.observers._progress import Progress, Watched
from kdbench.observers._told import Told
from kdbench.observers.bar import makes_bars
from kdbench.schedule.observer import Observer

HEARTBEAT = 60.0
"""Seconds between two lines about running cells."""


class Lines(Told):
    """Says a line for each job that ends.

    Args:
        run: what is watched.
        progress: how far it is.
    """

    def __init__(self, run: Watched, progress: Progress) -> None:
        super().__init__(progress)
        self.run = run
        self._said = time.monotonic()

    def tick(self) -> None:
        if self.progress.running and time.monotonic() - self._said >= HEARTBEAT:
            self.line(f"  {self.progress.now()}")

    def line(self, text: str) -> None:
        self._said = time.monotonic()
        self.run.say(text + (f"; {self.progress.time_left()}" if self.progress.left else ""))


def watch(run: Watched, progress: Progress) -> Observer | None:
    """Lines where no bar is shown."""
    return None if makes_bars(sys.stderr) else Lines(run, progress)
