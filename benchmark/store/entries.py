"""The places of a plan's table with what the store has for them."""

from __future__ import annotations

from kdbench.plan.model import Plan, Planned
from kdbench.provenance.sources import freshness
from kdbench.results.entry import Entry, Freshness, Status
from kdbench.results.record import Record
from kdbench.store.plugins import look_in
from kdbench.store.records import Store


def entries(plan: Plan, store: Store) -> list[Entry]:
    """The places of a plan's table with what the store has for them.

    Raises:
        KdbenchError: if a record cannot be read.
    """
    look_in(store)
    records = {digest: store.record(digest) for digest in plan.cells}
    fresh = freshness(plan.cells, records)
    return [_entry(planned, plan, records, fresh) for planned in plan.places]


def _entry(planned: Planned, plan: Plan, records: dict[str, Record | None], freshnesses: dict[str, Freshness]) -> Entry:
    def entry(status: Status, reason: str | None, record: Record | None, fresh: Freshness = Freshness.FRESH) -> Entry:
        return Entry(planned.place, status, reason, fresh, record)

    if planned.digest is None:
        return entry("n/a", planned.reason, None)
    record, cell = records[planned.digest], plan.cells[planned.digest]
    if record is None:
        teacher = records.get(cell.teacher_cell or "")
        lost = teacher is not None and teacher.status == "failed"
        return entry("missing", "its teacher failed" if lost else None, None)
    if record.status == "failed":
        return entry("failed", record.reason, record)
    return entry("done", None, record, freshnesses[planned.digest])
