"""How far a run is and how long it will take."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cache
from types import TracebackType
from typing import Any, Self

import torch

from kdbench.architectures import multiply_adds, parameters
from kdbench.cells import Runtime, load_data
from kdbench.data import Prepared
from kdbench.plan import build_network
from kdbench.results import Record
from kdbench.spec import Cell, Part
from kdbench.store import Store

HEARTBEAT = 60.0
"""Seconds between two lines about running cells where the output is no terminal."""


class Progress:
    """Tells on standard error how a run goes: a bar in a terminal, lines elsewhere.

    Args:
        cells: what is to be run, by digest.
        names: what to call them, by digest.
        runtime: where.
        jobs: how many cells run at a time.
        say: prints a line.
        on_record: given each record as it comes.
    """

    def __init__(
        self,
        cells: Mapping[str, Cell],
        names: Mapping[str, str],
        runtime: Runtime,
        jobs: int,
        say: Callable[[str], None],
        *,
        on_record: Callable[[Cell, Record], None] | None = None,
    ) -> None:
        self.cells, self.names, self.jobs, self.say = cells, names, jobs, say
        self.on_record = on_record
        self.store = Store(runtime.store)
        self.runtime = runtime
        self.left = dict.fromkeys(cells)  # digests, in the plan's order
        self.running: dict[str, tuple[Cell, float, int]] = {}  # when it started, and at which epoch
        self.total = len(cells)
        self._worked, self._took = 0.0, 0.0
        self._said = time.monotonic()
        self._bar = _bar() if sys.stderr.isatty() else None

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task("", total=self.total, left="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def started(self, cell: Cell) -> None:
        self.running[cell.digest] = (cell, time.monotonic(), self.store.epoch(cell.digest) or 0)

    def finished(self, cell: Cell, record: Record) -> None:
        _, since, at = self.running.pop(cell.digest)
        self._took += time.monotonic() - since
        self._worked += self._work(cell) * (1 - at / cell.recipe.epochs)
        self.left.pop(cell.digest, None)
        if record.status == "done":
            student = record.metrics["student"]
            result = f"accuracy {100 * student['accuracy']:.1f}, macro-F1 {100 * student['macro_f1']:.1f}"
        else:
            result = f"FAILED: {record.reason}"
        self._line(f"{self.names[cell.digest]}: {result} ({record.seconds:.0f} s)")
        for warning in record.warnings:
            self._line(f"{self.names[cell.digest]}: warning: {warning}", count=False)
        if self.on_record is not None:
            self.on_record(cell, record)

    def skipped(self, cell: Cell, reason: str) -> None:
        self.left.pop(cell.digest, None)
        self._line(f"{self.names[cell.digest]}: not run: {reason}")

    def tick(self) -> None:
        if self._bar is not None:
            done = self.total - len(self.left) + sum(self._share(d) for d in self.running)
            self._bar.update(self._task, completed=done, description=self._now(), left=self._time_left())
        elif time.monotonic() - self._said >= HEARTBEAT and self.running:
            self._line(self._now(), count=False)

    def _now(self) -> str:
        return "; ".join(
            f"{self.names[digest]} epoch {self.store.epoch(digest) or 0}/{cell.recipe.epochs}"
            for digest, (cell, _, _) in self.running.items()
        )

    def _share(self, digest: str) -> float:
        """How much of a running cell is done, 0..1."""
        return (self.store.epoch(digest) or 0) / self.cells[digest].recipe.epochs

    def _line(self, text: str, *, count: bool = True) -> None:
        self._said = time.monotonic()
        head = f"[{self.total - len(self.left)}/{self.total}] " if count else "  "
        left = f"; {self._time_left()}" if self._bar is None and self.left else ""
        if self._bar is not None:
            self._bar.console.print(head + text, markup=False, highlight=False)
        else:
            self.say(head + text + left)

    def _time_left(self) -> str:
        """An estimate from the work counted so far and the time it took."""
        worked, took, now = self._worked, self._took, time.monotonic()
        left = 0.0
        for digest in self.left:
            work = self._work(self.cells[digest])
            if digest in self.running:
                _, since, at = self.running[digest]
                share = self._share(digest)
                worked += work * max(0.0, share - at / self.cells[digest].recipe.epochs)
                took += now - since
                work *= 1 - share
            left += work
        if not worked:
            return "time left not known yet"
        seconds = left * took / worked / min(self.jobs, max(1, len(self.left)))
        return f"about {timedelta(seconds=round(seconds))} left"

    def _work(self, cell: Cell) -> float:
        """A guess at a cell's work in multiply-adds: right enough to compare cells with each other."""
        data = _data(cell.dataset, self.runtime)
        steps = max(1, len(data.windows.y) // cell.recipe.batch_size) * cell.recipe.epochs
        learning = [cell.student] + ([cell.teacher] if cell.teacher and cell.role != "frozen" else [])
        once = 0.0
        for part in learning:
            counted, size = _network_work(part, cell.dataset, self.runtime)
            # Forward and backward pass; an optimiser step that reads and writes each parameter; a fixed overhead.
            once += 3 * counted * cell.recipe.batch_size + 125 * size + 2e7
        return once * steps


_data: Callable[[Part, Runtime], Prepared] = cache(load_data)


@cache
def _network_work(part: Part, dataset: Part, runtime: Runtime) -> tuple[int, int]:
    """Multiply-adds per window, and parameters."""
    data = _data(dataset, runtime)
    with torch.random.fork_rng(devices=[]):
        network = build_network(part, data)
    about = data.description
    return multiply_adds(network, len(about.channels), about.length), parameters(network)


def _bar() -> Any:
    """A progress bar, or None where rich is not installed."""
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.table import Column
    except ImportError:
        return None
    fixed, rest = Column(no_wrap=True), Column(ratio=1, no_wrap=True, overflow="ellipsis")
    return Progress(
        BarColumn(bar_width=12, table_column=fixed),
        MofNCompleteColumn(table_column=Column(no_wrap=True, min_width=7)),
        TextColumn("{task.fields[left]}", table_column=Column(no_wrap=True, min_width=18)),
        TextColumn("{task.description}", table_column=rest),  # what is running gives way in a narrow terminal
        console=Console(stderr=True),
        expand=True,
    )
