"""How far a run is and how long it will take: numbers, which others show."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kdbench.plan.model import Plan
from kdbench.results.record import Record
from kdbench.schedule.jobs import Job
from kdbench.schedule.observer import Observer
from kdbench.schedule.order import chains
from kdbench.schedule.pace import Pace
from kdbench.store.records import Store
from kdbench.text import duration

ENOUGH = 0.05
"""The part of a cell from which on it tells itself how long it takes; before, much of its time went into starting."""


@dataclass(frozen=True)
class Watched:
    """A run, as those who watch it know it.

    Args:
        plan: what was asked for.
        identity: of its matrix in the store.
        todo: what is to be run, by digest, in the plan's order.
        store: where records go.
        at_once: how many jobs run at a time, to begin with.
        pace: how long cells take, as far as finished ones tell; learns from those of this run.
        say: prints a line for people.
        track: whether MLflow is to be kept in step.
        tracking_uri: of a tracking server; None for the store's own database.
    """

    plan: Plan
    identity: str
    todo: Mapping[str, Job]
    store: Store
    at_once: int
    pace: Pace
    say: Callable[[str], None]
    track: bool
    tracking_uri: str | None = None


@dataclass
class _Running:
    """A job that runs.

    Args:
        job: which.
        since: by the clock, when it was given to a worker.
        share: how much of it is done, 0..1, as last read.
        begun: how much of it was done before this run, 0..1.
    """

    job: Job
    since: float
    share: float = 0.0
    begun: float = 0.0

    @property
    def worked(self) -> float:
        """How much of it was done by this run."""
        return max(0.0, self.share - self.begun)


class Progress(Observer):
    """Counts what is done and what is left.

    Args:
        run: what is watched.
        clock: gives seconds that never go back.
    """

    def __init__(self, run: Watched, clock: Callable[[], float] = time.monotonic) -> None:
        self.run, self.names, self._clock = run, run.plan.names(), clock
        self.left = dict.fromkeys(run.todo)  # digests, in the plan's order
        self.running: dict[str, _Running] = {}
        self.total = len(run.todo)
        self.at_once = run.at_once

    def started(self, job: Job) -> None:
        # What an earlier run said of how far it was may be beyond the checkpoint from which this one goes on.
        self.run.store.clear_epoch(job.digest)
        self.running[job.digest] = _Running(job, self._clock())

    def given_up(self, job: Job) -> None:
        del self.running[job.digest]

    def finished(self, job: Job, record: Record) -> None:
        self.left.pop(job.digest, None)
        if job.digest not in self.running:  # another process ran it
            return
        ended = self._read(job.digest)
        del self.running[job.digest]
        if record.status == "done":
            ended.share = 1.0
        if ended.worked:
            # Of a cell run from start to end the record knows the time itself, without that of starting a process.
            whole = record.status == "done" and not ended.begun
            took = record.seconds if whole else self._clock() - ended.since
            self.run.pace.learn(job.cell, job.dataset, took, ended.worked)

    def skipped(self, job: Job, reason: str) -> None:
        self.left.pop(job.digest, None)

    def resized(self, at_once: int) -> None:
        self.at_once = at_once

    @property
    def done(self) -> float:
        """Jobs done, those that run by their share."""
        return self.total - len(self.left) + sum(self._read(digest).share for digest in self.running)

    def now(self) -> str:
        """What is running, and at which epoch."""
        return "; ".join(
            self.names[digest]
            if running.job.cell.fitted  # it knows no epochs
            else f"{self.names[digest]} epoch {self.run.store.epoch(digest) or 0}/{running.job.cell.recipe.epochs}"
            for digest, running in self.running.items()
        )

    def seconds_left(self) -> float | None:
        """An estimate from what this run and earlier ones took for cells like those that are left; None without any."""
        rate, alone = self._rate(), dict[str, float]()
        for digest in self.left:
            job = self.run.todo[digest]
            seconds = self.run.pace(job.cell, job.dataset)
            if seconds is None and rate is not None:
                seconds = rate * self.run.pace.work(job.cell, job.dataset)
            if seconds is None:
                return None
            alone[digest] = self._rest(digest, seconds) if digest in self.running else seconds
        longest = max(chains(alone, self.run.todo).values(), default=0.0)
        return max(longest, sum(alone.values()) / min(self.at_once, max(1, len(alone))))

    def _rate(self) -> float | None:
        """Seconds for a unit of work, from the jobs that run; None before they did enough."""
        worked = took = whole = 0.0
        for digest in self.running:
            running = self._read(digest)
            work = self.run.pace.work(running.job.cell, running.job.dataset)
            worked, took, whole = worked + work * running.worked, took + self._clock() - running.since, whole + work
        return took / worked if worked and worked >= ENOUGH * whole else None

    def _rest(self, digest: str, seconds: float) -> float:
        """Seconds that a running job has to go, if a whole one of its kind takes so many."""
        running = self._read(digest)
        took = self._clock() - running.since
        if running.worked >= ENOUGH:
            seconds = took / running.worked
        return max(seconds * (1 - running.begun) - took, seconds * (1 - running.share) / 2)

    def time_left(self) -> str:
        """What people are told of `seconds_left`."""
        seconds = self.seconds_left()
        return "time left not known yet" if seconds is None else f"about {duration(seconds)} left"

    def counted(self) -> str:
        """``[3/12]``."""
        return f"[{self.total - len(self.left)}/{self.total}]"

    def _read(self, digest: str) -> _Running:
        """A running job, with how far it is now."""
        running, store = self.running[digest], self.run.store
        if (epoch := store.epoch(digest)) is not None:
            epochs = running.job.cell.recipe.epochs
            running.share, running.begun = epoch / epochs, store.epoch_begun(digest) / epochs
        return running
