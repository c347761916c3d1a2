"""One cell after the other, in this process where that changes none of them."""

from __future__ import annotations

from collections.abc import Callable

from kdbench.executors.processes import Workers
from kdbench.machine import Runtime
from kdbench.results.record import Record
from kdbench.schedule.jobs import Job


class Serial:
    """One cell after the other in this process.

    Once a class from outside kdbench was loaded into this process, by the plan at the latest, cells run in processes of
    their own as they do under `Workers`: what such a class did to this one would change them. They do too where a cell
    may take only so long, since nobody can stop this process.

    Args:
        runtime: where cells run.
    """

    slots = room = 1

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._waiting: list[Job] = []
        self._apart: Workers | None = None

    def submit(self, job: Job) -> None:
        from kdbench.catalog.find import outsiders

        if self._apart is None and (job.foreign or outsiders() or self._runtime.timeout):
            self._apart = Workers(self._runtime, 1, apart=True)
        if self._apart is None:
            self._waiting.append(job)
        else:
            self._apart.submit(job)

    def next(self, tick: Callable[[], None]) -> tuple[Job, Record | BaseException] | None:
        if not self._waiting and self._apart is not None:
            return self._apart.next(tick)
        from kdbench.worker import run_job

        job = self._waiting.pop(0)
        tick()
        try:
            return job, run_job(job, self._runtime, tick)
        except Exception as error:
            return job, error

    def resize(self, count: int) -> None:
        """Stays one."""

    def close(self) -> None:
        self._waiting.clear()
        if self._apart is not None:
            self._apart.close()


def make(runtime: Runtime, jobs: int) -> Serial:
    """The executor of one job at a time, whatever ``jobs`` says."""
    return Serial(runtime)
