"""Worker processes of which one may die without the others."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from queue import Empty, Queue
from typing import Any

from kdbench.errors import MachineError
from kdbench.executors._child import Died, Ready
from kdbench.executors._pool import Worker
from kdbench.machine import Runtime
from kdbench.results.record import Record
from kdbench.schedule.jobs import Job

RETRIES = 1
"""How often a cell whose process died is tried again."""


class Workers:
    """Worker processes, one thread each, kept alive from cell to cell.

    A cell with a class from outside kdbench runs in a process that runs nothing else, since what such a class does to
    its process would change the cells after it. On Linux that is a copy of a worker that has loaded everything and run
    nothing, which takes milliseconds; elsewhere, and for a GPU, which such a copy cannot use, a new process.

    A cell whose process dies is tried once more, from its checkpoint, then it fails, alone.

    Args:
        runtime: where cells run.
        count: how many at a time.
        apart: whether all cells run apart, so that there is one process to start and not two kinds.
    """

    def __init__(self, runtime: Runtime, count: int, *, apart: bool = False) -> None:
        self.slots = count
        self._runtime = runtime
        self._all_apart = apart
        self._copies = sys.platform == "linux" and runtime.device == "cpu"
        self._messages: Queue[tuple[Worker, Any]] = Queue()
        self._idle: list[Worker] = []
        self._busy: dict[Worker, Job] = {}
        self._deaths: Counter[str] = Counter()

    def submit(self, job: Job) -> None:
        apart = self._copies and (job.foreign or self._all_apart)
        alike = [worker for worker in self._idle if worker.apart == apart]
        if alike and (apart or not job.foreign):
            worker = alike[-1]
            self._idle.remove(worker)
        else:
            worker = Worker(self._runtime, apart=apart, messages=self._messages)
        self._busy[worker] = job
        worker.run(job)

    def next(self, tick: Callable[[], None]) -> tuple[Job, Record | BaseException]:
        while True:
            tick()
            for worker, message in self._heard():
                if worker not in self._busy:
                    continue
                if isinstance(message, Ready) and message.failure is None:
                    worker.ready = True
                elif (answer := self._answered(worker, message)) is not None:
                    return answer

    def _heard(self) -> list[tuple[Worker, Any]]:
        """A message, after half a second at most; None as one where a worker has gone."""
        try:
            return [self._messages.get(timeout=0.5)]
        except Empty:
            return [(worker, None) for worker in self._busy if worker.gone][:1]

    def _answered(self, worker: Worker, message: Any) -> tuple[Job, Record | BaseException] | None:
        """What became of a worker's job; None where it is tried again."""
        job = self._busy.pop(worker)
        if isinstance(message, Record | BaseException | Died) and (worker.apart or not job.foreign):
            self._idle.append(worker)
            how = message.how if isinstance(message, Died) else ""
        else:
            how = worker.end()
        if isinstance(message, Record | BaseException):
            return job, message
        if not worker.ready:
            why = message.failure if isinstance(message, Ready) else f"it {how}"
            advice = f"is there enough memory for -j {self.slots}?"
            return job, MachineError(f"no worker process could start: {why}; {advice}")
        self._deaths[job.digest] += 1
        if self._deaths[job.digest] <= RETRIES:
            self.submit(job)  # goes on from its checkpoint
            return None
        advice = "" if job.foreign else f"; is there enough memory for -j {self.slots}?"
        return job, self._lost(job, f"its process {how}, {self._deaths[job.digest]} times{advice}")

    def _lost(self, job: Job, reason: str) -> Record | BaseException:
        from kdbench.worker import lost

        try:
            return lost(job, self._runtime, reason)
        except Exception as error:  # the disk is full
            return error

    def close(self) -> None:
        for worker in [*self._busy, *self._idle]:
            worker.process.kill()
        for worker in [*self._busy, *self._idle]:
            worker.end()


def make(runtime: Runtime, jobs: int) -> Workers:
    """The executor of so many jobs at a time."""
    return Workers(runtime, jobs)
