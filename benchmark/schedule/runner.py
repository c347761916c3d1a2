"""What is missing is run, teachers first; records are the only memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kdbench.errors import KdbenchError, MachineError
from kdbench.plan.model import Plan
from kdbench.provenance.sources import freshness
from kdbench.results.entry import Freshness
from kdbench.results.record import Record
from kdbench.schedule.executor import Executor
from kdbench.schedule.jobs import Job, job_of
from kdbench.schedule.observer import Observer
from kdbench.store.records import Store


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


def unfinished(plan: Plan, store: Store, *, retry_failed: bool = False, rerun_stale: bool = False) -> dict[str, Job]:
    """What a run would run: cells without a record, by digest.

    A stale teacher teaches nobody: its weights come from other code than its student's record would say. It is not
    trained again unasked either, since that changes results that the user has.

    Args:
        plan: what there is to run.
        store: where records are.
        retry_failed: whether cells that failed count too.
        rerun_stale: whether cells older than their source or their teacher count too, and damaged ones.

    Raises:
        KdbenchError: if a record cannot be read, or a cell would be taught by a stale teacher.
    """
    damaged = {digest for digest in plan.cells if store.damage(digest)} if rerun_stale else set()
    records = {digest: None if digest in damaged else store.record(digest) for digest in plan.cells}
    fresh = freshness(plan.cells, records)
    found: dict[str, Job] = {}
    for digest, cell in plan.cells.items():  # teachers come first
        record = records[digest]
        if (
            record is None
            or (retry_failed and record.status == "failed")
            or (rerun_stale and fresh[digest] is Freshness.STALE)
            or cell.teacher_cell in found  # it was taught by a teacher that is about to be another one
        ):
            found[digest] = job_of(plan, digest)
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


def run_jobs(todo: Mapping[str, Job], plan: Plan, store: Store, where: Executor, observer: Observer) -> Outcome:
    """Run jobs, teachers first, as many at a time as the executor takes; a record that a job's cell has is dropped.

    Args:
        todo: what to run, of `unfinished`.
        plan: that they belong to.
        store: where records are.
        where: runs them; closed at the end.
        observer: told of every step.

    Raises:
        MachineError: if files cannot be written, or no worker can start.
    """
    for digest in todo:
        if store.finished(digest):
            store.forget(digest)
    records = {digest: record for digest in plan.cells if (record := store.record(digest)) is not None}
    run = _Run(list(todo.values()), records, observer, plan.names())
    try:
        run.work_off(where)
    finally:
        where.close()
    run.outcome.failed = {digest: str(r.reason) for digest, r in records.items() if r.status == "failed"}
    return run.outcome


class _Run:
    """A run under way.

    Args:
        waiting: jobs that no worker has yet.
        records: of the plan's cells that have one, by digest; filled as the run goes on.
        observer: told of every step.
        names: what to call each cell, by digest.
    """

    def __init__(
        self, waiting: list[Job], records: dict[str, Record], observer: Observer, names: Mapping[str, str]
    ) -> None:
        self.waiting, self.records, self.observer, self.names = waiting, records, observer, names
        self.outcome = Outcome()
        self.running = 0

    def work_off(self, where: Executor) -> None:
        """Run what waits, each job as soon as its teacher is there and a worker is free."""
        while self.waiting or self.running:
            for job in list(self.waiting):
                self._offer(job, where)
            if self.running:
                job, result = where.next(self.observer.tick)
                self.running -= 1
                self._take(job, result)

    def _offer(self, job: Job, where: Executor) -> None:
        teacher = job.cell.teacher_cell
        if teacher is not None and (reason := self._teacher_lost(teacher)):
            self.waiting.remove(job)
            self.outcome.skipped[job.digest] = reason
            self.observer.skipped(job, reason)
        elif self.running < where.slots and (teacher is None or teacher in self.records):
            self.waiting.remove(job)
            self.observer.started(job)  # first: a worker may say at once how far it is
            where.submit(job)
            self.running += 1

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
        elif isinstance(result, OSError):
            raise MachineError(f"{name}: {result}; what is done is kept, run again to go on") from result
        else:
            raise result
