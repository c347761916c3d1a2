"""An executor that outlives the plans it runs: starting workers anew for each trial would cost more than the trial."""

from __future__ import annotations

from collections.abc import Callable

from kdbench.results.record import Record
from kdbench.schedule.executor import Executor
from kdbench.schedule.jobs import Job


class Standby:
    """Hands jobs to an executor that is made when there is a job, and stopped only if a plan is left in the middle.

    Args:
        make: makes the executor.
        slots: how many jobs it runs at a time.
    """

    def __init__(self, make: Callable[[], Executor], slots: int) -> None:
        self._slots = slots
        self._make = make
        self._inner: Executor | None = None
        self._running = 0

    @property
    def slots(self) -> int:
        """As the executor has it at the moment: fewer where it tries a job alone."""
        return self._slots if self._inner is None else self._inner.slots

    @property
    def room(self) -> int | None:
        return None if self._inner is None else self._inner.room

    def submit(self, job: Job) -> None:
        self._inner = self._inner or self._make()
        self._inner.submit(job)
        self._running += 1

    def next(self, tick: Callable[[], None]) -> tuple[Job, Record | BaseException] | None:
        assert self._inner is not None
        answer = self._inner.next(tick)
        self._running -= answer is not None
        return answer

    def resize(self, count: int) -> None:
        self._slots = count
        if self._inner is not None:
            self._inner.resize(count)

    def close(self) -> None:
        if self._running:
            self.stop()

    def stop(self) -> None:
        """Stop for good; another job makes another executor."""
        inner, self._inner, self._running = self._inner, None, 0
        if inner is not None:
            inner.close()
