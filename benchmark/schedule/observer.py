"""Who watches a run."""

from __future__ import annotations

from collections.abc import Sequence

from kdbench.results.entry import Entry
from kdbench.results.record import Record
from kdbench.schedule.jobs import Job


class Observer:
    """Is told how a run goes; what it does not care for, it leaves as it is."""

    def started(self, job: Job) -> None:
        """A job is about to be given to a worker."""

    def tick(self) -> None:
        """Some time has passed."""

    def finished(self, job: Job, record: Record) -> None:
        """A cell has its record."""

    def given_up(self, job: Job) -> None:
        """A job that had started is run by another process."""

    def skipped(self, job: Job, reason: str) -> None:
        """A cell cannot run."""

    def resized(self, at_once: int) -> None:
        """From now on so many jobs run at a time."""

    def ended(self, filled: Sequence[Entry]) -> None:
        """Nothing is left to run; this is what the table is made from."""

    def broke(self, error: BaseException) -> None:
        """The run ended before its end, by Ctrl-C or for another reason; this comes after `close`. Raises nothing."""

    def close(self) -> None:
        """The run is over, however it ended."""


class Observers(Observer):
    """Several who watch, each told in turn."""

    def __init__(self, each: Sequence[Observer]) -> None:
        self.each = each

    def started(self, job: Job) -> None:
        for observer in self.each:
            observer.started(job)

    def tick(self) -> None:
        for observer in self.each:
            observer.tick()

    def finished(self, job: Job, record: Record) -> None:
        for observer in self.each:
            observer.finished(job, record)

    def given_up(self, job: Job) -> None:
        for observer in self.each:
            observer.given_up(job)

    def skipped(self, job: Job, reason: str) -> None:
        for observer in self.each:
            observer.skipped(job, reason)

    def resized(self, at_once: int) -> None:
        for observer in self.each:
            observer.resized(at_once)

    def ended(self, filled: Sequence[Entry]) -> None:
        for observer in self.each:
            observer.ended(filled)

    def broke(self, error: BaseException) -> None:
        for observer in self.each:
            observer.broke(error)

    def close(self) -> None:
        for observer in self.each:
            observer.close()
