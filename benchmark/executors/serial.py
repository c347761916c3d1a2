"""One cell after the other in this process."""

from __future__ import annotations

from collections.abc import Callable

from kdbench.machine import Runtime
from kdbench.results.record import Record
from kdbench.schedule.jobs import Job


class Serial:
    """One cell after the other in this process.

    Args:
        runtime: where cells run.
    """

    slots = 1

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._waiting: list[Job] = []

    def submit(self, job: Job) -> None:
        self._waiting.append(job)

    def next(self, tick: Callable[[], None]) -> tuple[Job, Record | BaseException]:
        from kdbench.worker import run_job

        job = self._waiting.pop(0)
        tick()
        try:
            return job, run_job(job, self._runtime, tick)
        except Exception as error:
            return job, error

    def close(self) -> None:
        self._waiting.clear()


def make(runtime: Runtime, jobs: int) -> Serial:
    """The executor of one job at a time, whatever ``jobs`` says."""
    return Serial(runtime)
