"""Where cells run: in this process, or in worker processes of which one may die without the others."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from multiprocessing import current_process, get_context
from typing import Protocol

from kdbench.cells import Runtime, run_cell
from kdbench.errors import KdbenchError, MachineError
from kdbench.results import Record
from kdbench.spec import Cell


class WorkerDied(Exception):
    """A worker process ended in the middle of a cell, killed perhaps for want of memory."""


class Executor(Protocol):
    """Runs cells; at most ``slots`` are submitted at a time."""

    slots: int

    def submit(self, cell: Cell) -> None:
        """Begin a cell, or queue it."""

    def next(self, tick: Callable[[], None]) -> tuple[Cell, Record | BaseException]:
        """Wait for a submitted cell to end, calling ``tick`` now and then."""

    def close(self) -> None:
        """Stop at once whatever runs."""


class Serial:
    """One cell after the other in this process."""

    slots = 1

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._waiting: list[Cell] = []

    def submit(self, cell: Cell) -> None:
        self._waiting.append(cell)

    def next(self, tick: Callable[[], None]) -> tuple[Cell, Record | BaseException]:
        cell = self._waiting.pop(0)
        tick()
        try:
            return cell, run_cell(cell, self._runtime, tick)
        except Exception as error:
            return cell, error

    def close(self) -> None:
        self._waiting.clear()


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
        self._running: dict[Future[Record], Cell] = {}

    def submit(self, cell: Cell) -> None:
        self._running[self._pool.schedule(_work, args=(cell, self._runtime, os.getpid()))] = cell

    def next(self, tick: Callable[[], None]) -> tuple[Cell, Record | BaseException]:
        from pebble import ProcessExpired

        done: set[Future[Record]] = set()
        while not done:
            tick()
            done, _ = wait(self._running, timeout=0.5, return_when=FIRST_COMPLETED)
        future = done.pop()
        cell = self._running.pop(future)
        error = future.exception()
        if isinstance(error, BrokenExecutor):
            return cell, MachineError("no worker process could start; see above, or run with -j 1")
        if isinstance(error, ProcessExpired):
            return cell, WorkerDied(f"its worker process ended with exit code {error.exitcode}")
        return cell, error or future.result()

    def close(self) -> None:
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()


def _start_worker() -> None:
    # Ctrl-C reaches every process of the terminal; the parent alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _work(cell: Cell, runtime: Runtime, parent: int) -> Record:
    def leave_with_the_parent() -> None:
        if os.getppid() != parent:  # it was killed: whoever runs the cell again must not meet this process
            os._exit(1)

    return run_cell(cell, runtime, leave_with_the_parent)
