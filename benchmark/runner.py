"""From a matrix to a table: what is missing is run, teachers first; records are the only memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from kdbench.cells import Runtime, load_data, sources
from kdbench.data import Prepared
from kdbench.errors import DataUnavailable, KdbenchError, MachineError
from kdbench.executors import Executor, Serial, WorkerDied, Workers
from kdbench.plan import Plan, Planned, expand
from kdbench.results import Entry, Record
from kdbench.results.table import Status
from kdbench.spec import Cell, Matrix, Spec
from kdbench.store import Store

RETRIES = 1
"""How often a cell whose worker process died is tried again."""


class Observer(Protocol):
    """Is told how a run goes."""

    def started(self, cell: Cell) -> None:
        """A cell was given to a worker."""

    def tick(self) -> None:
        """Some time has passed."""

    def finished(self, cell: Cell, record: Record) -> None:
        """A cell has its record."""

    def skipped(self, cell: Cell, reason: str) -> None:
        """A cell cannot run."""


@dataclass
class Outcome:
    """What a run did.

    Args:
        trained: digests of the cells that were run.
        failed: digest and reason of those that failed now or before.
        skipped: digest and reason of those that could not be tried.
    """

    trained: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


def make_plan(
    matrix: Matrix, runtime: Runtime, *, download: bool, chosen: bool, warn: Callable[[str], None] = lambda line: None
) -> Plan:
    """Write a matrix out, its data prepared.

    Args:
        matrix: what is to be run.
        runtime: where its data are.
        download: whether a missing dataset may be fetched; if not, the matrix as it was written out when it was run in
            this store stands in for it.
        chosen: whether the user named the datasets; if not, the matrix's fallback stands in for one that cannot be had.
        warn: told, loudly, when it does.

    Raises:
        DataUnavailable: if a dataset cannot be had and nothing may stand in for it.
    """

    def prepared(dataset: Spec) -> Prepared:
        return load_data(dataset, runtime, download=download)

    try:
        return expand(matrix, prepared)
    except KdbenchError as error:
        if not download and (plan := Store(runtime.store).plan(matrix)) is not None:
            return plan  # results can be read where the data are not, or are no longer what they were
        if not isinstance(error, DataUnavailable):
            raise
        if not download and any(Store(runtime.store).matrices()):
            raise DataUnavailable(f"{error}; without its data a matrix can be read only as it was run here") from None
        if chosen or matrix.fallback is None:
            raise
        name = str(matrix.fallback)
        warn(f"{error}\n\nRunning on {name!r} instead: GENERATED data, good for a look at kdbench, not for any claim.")
        other = replace(matrix, datasets=(matrix.fallback,), name=f"{matrix.name}-{matrix.fallback.name}")
        return expand(other, prepared)


def unfinished(plan: Plan, store: Store, *, retry_failed: bool = False, rerun_stale: bool = False) -> dict[str, Cell]:
    """What a run would run: cells without a record, by digest.

    Args:
        plan: what there is to run.
        store: where records are.
        retry_failed: whether cells that failed count too.
        rerun_stale: whether cells older than their source count too.

    Raises:
        KdbenchError: if a record cannot be read.
    """
    found: dict[str, Cell] = {}
    for digest, cell in plan.cells.items():  # teachers come first
        record = store.record(digest)
        if (
            record is None
            or (retry_failed and record.status == "failed")
            or (rerun_stale and is_stale(record, cell))
            or cell.teacher_cell in found  # it was taught by a teacher that is about to be another one
        ):
            found[digest] = cell
    return found


def run_cells(cells: Mapping[str, Cell], plan: Plan, runtime: Runtime, observer: Observer, *, jobs: int = 1) -> Outcome:
    """Run cells, teachers first, as many at a time as ``jobs``; a record that one of them has is dropped.

    Args:
        cells: what to run, of `unfinished`.
        plan: that they belong to.
        runtime: where.
        observer: told of every step.
        jobs: worker processes; 1 runs in this process.

    Raises:
        MachineError: if files cannot be written, or a worker dies again and again.
        KdbenchError: if ``jobs`` is below 1.
    """
    if jobs < 1:
        raise KdbenchError(f"jobs={jobs}, wanted 1 or more")
    store = Store(runtime.store)
    records = {digest: record for digest in plan.cells if (record := store.record(digest)) is not None}
    for digest in cells:
        if records.pop(digest, None) is not None:
            store.forget(digest)
    outcome = Outcome()
    if cells:
        executor: Executor = Serial(runtime) if jobs == 1 else Workers(runtime, min(jobs, len(cells)))
        try:
            _work_off(list(cells.values()), records, executor, observer, outcome, plan.names())
        finally:
            executor.close()
    outcome.failed = {digest: str(r.reason) for digest, r in records.items() if r.status == "failed"}
    return outcome


def _work_off(
    waiting: list[Cell],
    records: dict[str, Record],
    executor: Executor,
    observer: Observer,
    outcome: Outcome,
    names: Mapping[str, str],
) -> None:
    deaths: dict[str, int] = {}
    running = 0
    while waiting or running:
        for cell in list(waiting):
            teacher = cell.teacher_cell
            if teacher is not None and (reason := _teacher_lost(teacher, records, outcome)):
                waiting.remove(cell)
                outcome.skipped[cell.digest] = reason
                observer.skipped(cell, reason)
            elif running < executor.slots and (teacher is None or teacher in records):
                waiting.remove(cell)
                executor.submit(cell)
                observer.started(cell)
                running += 1
        if not running:
            continue
        cell, result = executor.next(observer.tick)
        running -= 1
        if isinstance(result, Record):
            records[cell.digest] = result
            outcome.trained.append(cell.digest)
            observer.finished(cell, result)
        elif isinstance(result, WorkerDied):
            deaths[cell.digest] = deaths.get(cell.digest, 0) + 1
            if deaths[cell.digest] > RETRIES:
                times, jobs = deaths[cell.digest], executor.slots
                raise MachineError(
                    f"{names[cell.digest]}: {result}, {times} times; is there enough memory for -j {jobs}?"
                )
            waiting.insert(0, cell)  # goes on from its checkpoint
        elif isinstance(result, OSError):
            raise MachineError(f"{names[cell.digest]}: {result}; what is done is kept, run again to go on") from result
        else:
            raise result


def _teacher_lost(teacher: str, records: dict[str, Record], outcome: Outcome) -> str | None:
    if teacher in records and records[teacher].status == "failed":
        return f"its teacher failed: {records[teacher].reason}"
    return outcome.skipped.get(teacher)


def is_stale(record: Record, cell: Cell) -> bool:
    """Whether a record is older than the source of what it names."""
    return record.sources != sources(cell)


def entries(plan: Plan, store: Store) -> list[Entry]:
    """The places of a plan's table with what the store has for them."""
    records = {digest: store.record(digest) for digest in plan.cells}
    return [_entry(place, plan, records) for place in plan.places]


def _entry(place: Planned, plan: Plan, records: dict[str, Record | None]) -> Entry:
    def entry(status: Status, reason: str | None, record: Record | None = None, *, stale: bool = False) -> Entry:
        names = (place.dataset, place.pair, place.network, place.row, place.kind, place.part, place.seed)
        return Entry(*names, status, reason, stale, record, place.note, fold=place.fold)

    if place.digest is None:
        return entry("n/a", place.reason)
    record, cell = records[place.digest], plan.cells[place.digest]
    if record is None:
        teacher = records.get(cell.teacher_cell or "")
        lost = teacher is not None and teacher.status == "failed"
        return entry("missing", "its teacher failed" if lost else None)
    if record.status == "failed":
        return entry("failed", record.reason, record)
    return entry("done", None, record, stale=is_stale(record, cell))
