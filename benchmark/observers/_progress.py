"""How far a run is and how long it will take: numbers, which others show."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from kdbench.plan.model import Plan
from kdbench.results.record import Record
from kdbench.schedule.jobs import Job
from kdbench.schedule.observer import Observer
from kdbench.store.records import Store


@dataclass(frozen=True)
class Watched:
    """A run, as those who watch it know it.

    Args:
        plan: what was asked for.
        identity: of its matrix in the store.
        todo: what is to be run, by digest, in the plan's order.
        store: where records go.
        at_once: how many jobs run at a time.
        work: a guess at a job's work; only ratios between jobs matter.
        say: prints a line for people.
        track: whether MLflow is to be kept in step.
    """

    plan: Plan
    identity: str
    todo: Mapping[str, Job]
    store: Store
    at_once: int
    work: Callable[[Job], float]
    say: Callable[[str], None]
    track: bool


@dataclass
class _Running:
    job: Job
    since: float
    epoch: int
    """At which it went on."""


class Progress(Observer):
    """Counts what is done and what is left.

    Args:
        run: what is watched.
    """

    def __init__(self, run: Watched) -> None:
        self.run, self.names = run, run.plan.names()
        self.left = dict.fromkeys(run.todo)  # digests, in the plan's order
        self.running: dict[str, _Running] = {}
        self.total = len(run.todo)
        self._worked, self._took = 0.0, 0.0

    def started(self, job: Job) -> None:
        self.running[job.digest] = _Running(job, time.monotonic(), self._epoch(job.digest))

    def finished(self, job: Job, record: Record) -> None:
        begun = self.running.pop(job.digest)
        self._took += time.monotonic() - begun.since
        self._worked += self.run.work(job) * (1 - begun.epoch / job.cell.recipe.epochs)
        self.left.pop(job.digest, None)

    def skipped(self, job: Job, reason: str) -> None:
        self.left.pop(job.digest, None)

    @property
    def done(self) -> float:
        """Jobs done, those that run by their share."""
        return self.total - len(self.left) + sum(map(self._share, self.running))

    def now(self) -> str:
        """What is running, and at which epoch."""
        return "; ".join(
            f"{self.names[digest]} epoch {self._epoch(digest)}/{running.job.cell.recipe.epochs}"
            for digest, running in self.running.items()
        )

    def time_left(self) -> str:
        """An estimate from the work counted so far and the time it took."""
        worked, took, now = self._worked, self._took, time.monotonic()
        left = 0.0
        for digest in self.left:
            work = self.run.work(self.run.todo[digest])
            if digest in self.running:
                begun, share = self.running[digest], self._share(digest)
                worked += work * max(0.0, share - begun.epoch / begun.job.cell.recipe.epochs)
                took += now - begun.since
                work *= 1 - share
            left += work
        if not worked:
            return "time left not known yet"
        seconds = left * took / worked / min(self.run.at_once, max(1, len(self.left)))
        return f"about {timedelta(seconds=round(seconds))} left"

    def counted(self) -> str:
        """``[3/12]``."""
        return f"[{self.total - len(self.left)}/{self.total}]"

    def _epoch(self, digest: str) -> int:
        return self.run.store.epoch(digest) or 0

    def _share(self, digest: str) -> float:
        """How much of a running cell is done, 0..1."""
        return self._epoch(digest) / self.run.todo[digest].cell.recipe.epochs
