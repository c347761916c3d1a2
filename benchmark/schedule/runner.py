"""What is missing is run, teachers first; records are the only memory."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from kdbench.errors import KdbenchError, MachineError
from kdbench.plan.gate import Gate
from kdbench.plan.model import Plan
from kdbench.provenance.sources import freshness
from kdbench.results.entry import Freshness
from kdbench.results.record import Record
from kdbench.schedule.control import Control
from kdbench.schedule.executor import Executor
from kdbench.schedule.jobs import Job, job_of
from kdbench.schedule.observer import Observer
from kdbench.store.claims import Elsewhere, held
from kdbench.store.index import records_of
from kdbench.store.records import Store

PAUSE = 0.5
"""Seconds between two looks at what others run, while nothing runs here."""


@dataclass
class Outcome:
    """What a run did.

    Args:
        trained: digests of the cells that were run.
        failed: digest and reason of those that failed now or before.
        skipped: digest and reason of those that could not be tried.
        elsewhere: digests of the cells that other runs in the same store finished meanwhile.
        left: digests of the cells that were not begun since one had failed.
        refused: digest and reason of those whose teacher is no better than their student, where the matrix says so.
    """

    trained: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    elsewhere: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def unfinished(
    plan: Plan, store: Store, *, retry: Collection[str] = (), rerun_stale: bool = False, force: bool = False
) -> dict[str, Job]:
    """What a run would run: cells without a record, by digest.

    A stale teacher teaches nobody: its weights come from other code than its student's record would say. It is not
    trained again unasked either, since that changes results that the user has.

    Args:
        plan: what there is to run.
        store: where records are.
        retry: which failed cells count too, of `kdbench.results.record.FAILURES`.
        rerun_stale: whether cells older than their source or their teacher count too, and damaged ones.
        force: whether all do.

    Raises:
        KdbenchError: if a record cannot be read, or a cell would be taught by a stale teacher.
    """
    gate = Gate(plan)
    damaged = {digest for digest in plan.cells if store.damage(digest)} if rerun_stale or force else set()
    whole = records_of(store, (digest for digest in plan.cells if digest not in damaged))
    records = {digest: whole.get(digest) for digest in plan.cells}
    fresh = freshness(plan.cells, records)
    found: dict[str, Job] = {}
    kept = {digest: record for digest, record in records.items() if record is not None}
    for digest, cell in plan.cells.items():  # teachers come first
        record = records[digest]
        if record is None and gate.needs(digest).isdisjoint(found) and gate.refusal(digest, kept):
            continue
        if (
            record is None
            or force
            or (record.status == "failed" and (record.failure or "failed") in retry)
            or (rerun_stale and fresh[digest] is Freshness.STALE)
            or cell.teacher_cell in found  # it was taught by a teacher that is about to be another one
        ):
            found[digest] = job_of(plan, digest, store.mark(digest))
    stale = {d for d, record in records.items() if record and record.status == "done" and fresh[d] is Freshness.STALE}
    _teach_nothing_stale(plan, found, stale - found.keys())
    return found


def _teach_nothing_stale(plan: Plan, todo: Mapping[str, Job], stale: set[str]) -> None:
    teachers = {digest: job.cell.teacher_cell for digest, job in todo.items() if job.cell.teacher_cell in stale}
    if teachers:
        names = plan.names()
        digest, teacher = next(iter(teachers.items()))
        more = f", and {len(teachers) - 1} more like it" if len(teachers) > 1 else ""
        raise KdbenchError(
            f"{names[digest]} would be taught by {names[str(teacher)]}, which is stale: its code changed since it was "
            f"trained{more}; `kdbench run --stale` trains such teachers, and whom they taught, again first"
        )


def run_jobs(
    todo: Mapping[str, Job],
    plan: Plan,
    store: Store,
    where: Executor,
    observer: Observer,
    *,
    fail_fast: bool = False,
    control: Control | None = None,
) -> Outcome:
    """Run jobs, teachers first, as many at a time as the executor takes, beside whoever else works in the store.

    Args:
        todo: what to run, of `unfinished`.
        plan: that they belong to.
        store: where records are.
        where: runs them; closed at the end.
        observer: told of every step.
        fail_fast: whether nothing more begins once a job has failed.
        control: what somebody may ask meanwhile.

    Raises:
        MachineError: if files cannot be written, or no worker can start.
    """
    kept = (digest for digest in plan.cells if digest not in todo)
    records = {digest: record for digest, record in records_of(store, kept).items() if record is not None}
    run = _Run(list(todo.values()), records, store, observer, plan.names(), Gate(plan))
    try:
        run.work_off(where, control or Control(where.slots), fail_fast=fail_fast)
    finally:
        where.close()
    run.outcome.failed = {digest: str(r.reason) for digest, r in records.items() if r.status == "failed"}
    return run.outcome


class _Run:
    """A run under way.

    Args:
        waiting: jobs that no worker has yet.
        records: of the plan's cells that have one, by digest; filled as the run goes on.
        store: where others leave theirs.
        observer: told of every step.
        names: what to call each cell, by digest.
        gate: of the plan.
    """

    def __init__(
        self,
        waiting: list[Job],
        records: dict[str, Record],
        store: Store,
        observer: Observer,
        names: Mapping[str, str],
        gate: Gate,
    ) -> None:
        self.waiting, self.records, self.store, self.observer, self.names = waiting, records, store, observer, names
        self.gate = gate
        self.outcome = Outcome()
        self.running = 0
        self.elsewhere: list[Job] = []

    def work_off(self, where: Executor, control: Control, *, fail_fast: bool) -> None:
        """Run what waits, each job as soon as its teacher is there and a worker is free."""
        at_once = where.slots
        while self.waiting or self.running or self.elsewhere:
            if fail_fast and any(self.records[digest].status == "failed" for digest in self.outcome.trained):
                self.outcome.left = [job.digest for job in (*self.waiting, *self.elsewhere)]
                self.waiting, self.elsewhere = [], []
            self._look_elsewhere()
            if control.at_once != at_once:
                at_once = control.at_once
                where.resize(at_once)
                self.observer.resized(min(at_once, where.room or at_once))
            for job in [] if control.paused else list(self.waiting):
                self._offer(job, where)
            if self.running:
                if (answer := where.next(self.observer.tick)) is not None:
                    self.running -= 1
                    self._take(*answer)
            elif self.elsewhere or control.paused:
                self.observer.tick()
                time.sleep(PAUSE)

    def _look_elsewhere(self) -> None:
        """Take up what others have finished, and what they have let go of."""
        for job in list(self.elsewhere):
            free = not held(self.store, job.digest)  # before the record: it is written while the cell is held
            if self._taken_up(job) or free:
                self.elsewhere.remove(job)
                self.waiting += [] if job.digest in self.records else [job]

    def _taken_up(self, job: Job) -> bool:
        """Whether another process has finished a job; then its record counts as ours do."""
        if self.store.mark(job.digest) in ("", job.replaces):
            return False
        record = self.store.record(job.digest)
        if record is None:
            return False
        self.records[job.digest] = record
        self.outcome.elsewhere.append(job.digest)
        self.observer.finished(job, record)
        return True

    def _offer(self, job: Job, where: Executor) -> None:
        teacher = job.cell.teacher_cell
        if teacher is not None and (reason := self._teacher_lost(teacher)):
            self.waiting.remove(job)
            self.outcome.skipped[job.digest] = reason
            self.observer.skipped(job, reason)
        elif (refused := self.gate.refusal(job.digest, self.records)) is not None:
            self.waiting.remove(job)
            self.outcome.refused[job.digest] = refused
            self.observer.skipped(job, refused)
        elif self.running < where.slots and self._may_begin(job):
            self.waiting.remove(job)
            if self._taken_up(job):
                return
            if held(self.store, job.digest):
                self.elsewhere.append(job)
                return
            self.observer.started(job)  # first: a worker may say at once how far it is
            where.submit(job)
            self.running += 1

    def _may_begin(self, job: Job) -> bool:
        """Whether its teacher is there, and whatever tells whether that is good enough."""
        wanted = {job.cell.teacher_cell} - {None} | self.gate.needs(job.digest)
        return all(digest in self.records or digest in self.outcome.skipped for digest in wanted)

    def _teacher_lost(self, teacher: str) -> str | None:
        if teacher in self.records and self.records[teacher].status == "failed":
            return f"its teacher failed: {self.records[teacher].reason}"
        return self.outcome.skipped.get(teacher)

    def _take(self, job: Job, result: Record | BaseException) -> None:
        digest, name = job.digest, self.names[job.digest]
        if isinstance(result, Record):
            self.records[digest] = result
            self.outcome.trained.append(digest)
            self.observer.finished(job, result)
        elif isinstance(result, Elsewhere):
            self.observer.given_up(job)
            self.elsewhere.append(job)
        elif isinstance(result, OSError):
            raise MachineError(f"{name}: {result}; what is done is kept, run again to go on") from result
        else:
            raise result
