"""Worker processes of which one may die without the others."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from queue import Empty, Queue
from typing import Any

from kdbench.errors import MachineError
from kdbench.executors._child import Died, Ready, Spoilt
from kdbench.executors._gpus import cards
from kdbench.executors._pool import Worker
from kdbench.machine import Runtime
from kdbench.results.record import Record
from kdbench.schedule.jobs import Job
from kdbench.store.records import Store
from kdbench.text import duration

RETRIES = 1
"""How often a cell whose process died is tried again."""


class Workers:
    """Worker processes, one thread each, kept alive from cell to cell.

    A cell with a class from outside kdbench runs in a process that runs nothing else, since what such a class does to
    its process would change the cells after it. On Linux that is a copy of a worker that has loaded everything and run
    nothing, which takes milliseconds; elsewhere, and for a GPU, which such a copy cannot use, a new process.

    A cell whose process dies is tried once more, from its checkpoint, with nothing beside it, since it may have been
    killed for want of memory; then it fails, and no other cell with it. So does a cell that takes longer than it may.
    Where a process dies before it has begun with a cell, and the next one too, the run ends: no cell is to blame.

    Args:
        runtime: where cells run.
        count: how many at a time.
        apart: whether all cells run apart, so that there is one process to start and not two kinds.
        retries: how often a cell whose process died is tried again.
    """

    room = None
    """As many as are asked for."""

    def __init__(self, runtime: Runtime, count: int, *, apart: bool = False, retries: int = RETRIES) -> None:
        self._count = count
        self._retries = retries
        self._runtime = runtime
        self._all_apart = apart
        self._cards = cards(runtime.device)
        self._copies = sys.platform == "linux" and runtime.device == "cpu"
        self._messages: Queue[tuple[Worker, Any]] = Queue()
        self._idle: list[Worker] = []
        self._busy: dict[Worker, Job] = {}
        self._begun: dict[Worker, float] = {}
        self._deaths: Counter[str] = Counter()
        self._alone: list[Job] = []

    @property
    def slots(self) -> int:
        """How many jobs at a time: one where a job is to be tried alone, or is."""
        lonely = self._alone or any(self._deaths[job.digest] for job in self._busy.values())
        return 1 if lonely else self._count

    def submit(self, job: Job) -> None:
        apart = self._copies and (job.foreign or self._all_apart)
        alike = [worker for worker in self._idle if worker.apart == apart]
        if alike and (apart or not job.foreign):
            worker = alike[-1]
            self._idle.remove(worker)
        else:
            worker = Worker(self._runtime, apart=apart, messages=self._messages, card=self._card())
        self._busy[worker], self._begun[worker] = job, time.monotonic()
        worker.run(job)

    def _card(self) -> str | None:
        """The GPU that the fewest workers have."""
        taken = Counter(worker.card for worker in [*self._busy, *self._idle])
        return min(self._cards, key=lambda card: taken[card], default=None)

    def next(self, tick: Callable[[], None]) -> tuple[Job, Record | BaseException] | None:
        tick()
        if self._alone and not self._busy:
            self.submit(self._alone.pop(0))  # goes on from its checkpoint
        late = self._runtime.timeout
        for worker, begun in list(self._begun.items()) if late else []:
            if worker in self._busy and worker.ready and time.monotonic() - begun > (late or 0):
                return self._stopped(worker, f"timed out after {duration(late or 0)}")
        for worker, message in self._heard():
            if worker not in self._busy:
                continue
            if isinstance(message, Ready) and message.failure is None:
                worker.ready, self._begun[worker] = True, time.monotonic()
            elif (answer := self._answered(worker, message)) is not None:
                return answer
        return None

    def _heard(self) -> list[tuple[Worker, Any]]:
        """A message, after half a second at most; None as one where a worker has gone."""
        try:
            return [self._messages.get(timeout=0.5)]
        except Empty:
            return [(worker, None) for worker in self._busy if worker.gone][:1]

    def _answered(self, worker: Worker, message: Any) -> tuple[Job, Record | BaseException] | None:
        """What became of a worker's job; None where it is tried again."""
        job = self._busy.pop(worker)
        if isinstance(message, Record | BaseException | Died | Spoilt) and (worker.apart or not job.foreign):
            self._idle.append(worker)
            how = message.how if isinstance(message, Died) else ""
        else:
            how = worker.end()
        if isinstance(message, Record | BaseException):
            self._deaths.pop(job.digest, None)
            return job, self._whole(job, message) if isinstance(message, Record) and job.foreign else message
        if isinstance(message, Spoilt):
            self._deaths.pop(job.digest, None)
            return job, self._lost(job, message.why, "failed")
        given_up = isinstance(message, Ready) or self._deaths[job.digest] >= RETRIES
        if not worker.ready and given_up:
            why = message.failure if isinstance(message, Ready) else f"it {how}"
            advice = f"is there enough memory for -j {self._count}?"
            return job, MachineError(f"no worker process could start: {why}; {advice}")
        self._deaths[job.digest] += 1
        if self._deaths[job.digest] <= self._retries:
            self._alone.append(job)
            return None
        times = self._deaths.pop(job.digest)
        again = f", {times} times, the last time with no other beside it" if times > 1 else ""
        return job, self._lost(job, f"its process {how}{again}", "killed")

    def _whole(self, job: Job, record: Record) -> Record | BaseException:
        """The record of a class from outside, which may have kept its process from writing what it says."""
        store = Store(self._runtime.store)
        wrong = store.damage(job.digest) if store.finished(job.digest) else "it is not there"
        if wrong is None:
            return record
        store.forget(job.digest)
        return self._lost(job, f"its process kept no whole record: {wrong.split(';')[0]}", "failed")

    def _stopped(self, worker: Worker, reason: str) -> tuple[Job, Record | BaseException]:
        """Stop a job, and the process that runs it, for good."""
        job = self._busy.pop(worker)
        worker.process.kill()
        worker.end()
        self._deaths.pop(job.digest, None)
        return job, self._lost(job, reason, "timed-out")

    def _lost(self, job: Job, reason: str, failure: str) -> Record | BaseException:
        from kdbench.worker import lost

        try:
            return lost(job, self._runtime, reason, failure)
        except Exception as error:  # the disk is full
            return error

    def resize(self, count: int) -> None:
        self._count = count
        while len(self._idle) > max(0, count - len(self._busy)):
            self._idle.pop(0).end()

    def close(self) -> None:
        for worker in [*self._busy, *self._idle]:
            worker.process.kill()
        for worker in [*self._busy, *self._idle]:
            worker.end()


def make(runtime: Runtime, jobs: int) -> Workers:
    """The executor of so many jobs at a time."""
    return Workers(runtime, jobs)
