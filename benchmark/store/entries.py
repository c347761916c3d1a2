"""The places of a plan's table with what the store has for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from kdbench.errors import KdbenchError
from kdbench.plan.gate import Gate
from kdbench.plan.model import Plan, Planned
from kdbench.provenance.sources import freshness
from kdbench.results.entry import Entry, Freshness, Status
from kdbench.results.record import Record
from kdbench.store.index import records_of
from kdbench.store.plugins import look_in
from kdbench.store.records import Store


def entries(plan: Plan, store: Store) -> list[Entry]:
    """The places of a plan's table with what the store has for them.

    Records of an older kdbench, which say nothing of single people, are completed from their predictions, where those
    are there.

    Raises:
        KdbenchError: if a record cannot be read.
    """
    look_in(store)
    records = {digest: _with_people(record, store) for digest, record in records_of(store, plan.cells).items()}
    fresh, gate = freshness(plan.cells, records), Gate(plan)
    kept = {digest: record for digest, record in records.items() if record is not None}

    def refused(digest: str) -> str | None:
        return gate.refusal(digest, kept) if digest not in kept else None

    return [_entry(planned, plan, records, fresh, refused) for planned in plan.places]


def _with_people(record: Record | None, store: Store) -> Record | None:
    student = record.metrics.get("student") if record is not None and record.status == "done" else None
    if record is None or student is None or "by_person" in student:
        return record
    from kdbench.results.metrics import by_person  # what only reads new records needs no numpy

    try:
        kept = store.predictions(record.digest)
        people = by_person(kept["logits"], kept["y"], kept["person"])
    except (KdbenchError, KeyError, ValueError):  # tables then say that nothing is known of single people
        return record
    return replace(record, metrics=record.metrics | {"student": student | {"by_person": people}})


def _entry(
    planned: Planned,
    plan: Plan,
    records: dict[str, Record | None],
    freshnesses: dict[str, Freshness],
    refused: Callable[[str], str | None],
) -> Entry:
    def entry(status: Status, reason: str | None, record: Record | None, fresh: Freshness = Freshness.FRESH) -> Entry:
        return Entry(planned.place, status, reason, fresh, record)

    if planned.digest is None:
        return entry("n/a", planned.reason, None)
    record, cell = records[planned.digest], plan.cells[planned.digest]
    if record is None and (reason := refused(planned.digest)) is not None:
        return entry("n/a", reason, None)
    if record is None:
        teacher = records.get(cell.teacher_cell or "")
        lost = teacher is not None and teacher.status == "failed"
        return entry("missing", "its teacher failed" if lost else None, None)
    if record.status == "failed":
        return entry("failed", record.reason, record)
    return entry("done", None, record, freshnesses[planned.digest])
