"""Worker processes of which one may die without the others."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from multiprocessing import current_process, get_context

from kdbench.errors import KdbenchError, MachineError
from kdbench.machine import Runtime
from kdbench.results.record import Record
from kdbench.schedule.executor import WorkerDied
from kdbench.schedule.jobs import Job


class Workers:
    """Spawned worker processes, one thread each, kept alive from cell to cell.

    Args:
        runtime: where cells run.
        count: how many.

    Raises:
        KdbenchError: if pebble, which supervises the processes, is not installed, or this process is a worker itself.
    """

    def __init__(self, runtime: Runtime, count: int) -> None:
        try:
            from pebble import ProcessPool
        except ImportError:
            raise KdbenchError("-j above 1 needs the package pebble (pip install pebble); or run with -j 1") from None
        if current_process().name != "MainProcess":  # a script without the guard is run again by each of its workers
            raise KdbenchError("workers cannot start workers: put the call under `if __name__ == '__main__':`")
        self.slots = count
        self._runtime = runtime
        # A spawned process starts with these, before it imports torch.
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ.setdefault(name, "1")
        self._pool = ProcessPool(max_workers=count, context=get_context("spawn"), initializer=_start_worker)
        self._running: dict[Future[Record], Job] = {}

    def submit(self, job: Job) -> None:
        self._running[self._pool.schedule(_work, args=(job, self._runtime, os.getpid()))] = job

    def next(self, tick: Callable[[], None]) -> tuple[Job, Record | BaseException]:
        from pebble import ProcessExpired

        done: set[Future[Record]] = set()
        while not done:
            tick()
            done, _ = wait(self._running, timeout=0.5, return_when=FIRST_COMPLETED)
        future = done.pop()
        job = self._running.pop(future)
        error = future.exception()
        if isinstance(error, BrokenExecutor):
            return job, MachineError("no worker process could start; see above, or run with -j 1")
        if isinstance(error, ProcessExpired):
            return job, WorkerDied(f"its worker process ended with exit code {error.exitcode}")
        return job, error or future.result()

    def close(self) -> None:
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()


def _start_worker() -> None:
    # Ctrl-C reaches every process of the terminal; the parent alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _work(job: Job, runtime: Runtime, parent: int) -> Record:
    from kdbench.worker import run_job

    def leave_with_the_parent() -> None:
        if os.getppid() != parent:  # it was killed: whoever runs the cell again must not meet this process
            os._exit(1)

    return run_job(job, runtime, leave_with_the_parent)


def make(runtime: Runtime, jobs: int) -> Workers:
    """The executor of so many jobs at a time."""
    return Workers(runtime, jobs)
