"""Which cells are not to run since their teacher is no better than their student alone, where a matrix says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from kdbench.plan.model import Plan, Planned
from kdbench.results.entry import Entry, Freshness
from kdbench.results.place import RowRole
from kdbench.results.record import Record

JUDGED = "macro_f1"
"""The metric that the gate looks at, which tables have first."""

ALONE = (RowRole.TEACHER, RowRole.STUDENT)
"""The rows that it holds against each other."""

Block = tuple[str, str]
"""Dataset and pair."""


@dataclass
class Gate:
    """Judges blocks by the same means as the mark in tables: over all seeds and folds, once all of these are there.

    So methods are held against the same seeds as each other: a gate for each seed would leave those that suit them.

    Args:
        plan: whose cells are judged. Where its matrix only marks teachers, nothing is refused.
    """

    plan: Plan
    _alone: dict[Block, list[Planned]] = field(default_factory=dict)
    _block: dict[str, Block] = field(default_factory=dict)
    _judged: dict[Block, str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.plan.matrix.teacher_gate != "refuse":
            return
        for planned in self.plan.places:
            block = planned.place.dataset, planned.place.pair
            if planned.place.role in ALONE:
                self._alone.setdefault(block, []).append(planned)
            elif planned.digest is not None and self.plan.cells[planned.digest].teacher_cell is not None:
                self._block[planned.digest] = block

    def needs(self, digest: str) -> set[str]:
        """Digests of the cells that must have ended before a cell can be judged; none where it is not."""
        if digest not in self._block:
            return set()
        return {planned.digest for planned in self._alone[self._block[digest]] if planned.digest is not None}

    def refusal(self, digest: str, records: Mapping[str, Record]) -> str | None:
        """Why a cell is not to run; None where it may, or where that cannot be told.

        Args:
            digest: the cell.
            records: of the cells that have one; those of the plan, at the least.
        """
        block = self._block.get(digest)
        if block is None:
            return None
        if block not in self._judged:
            if any(records.get(each) is None for each in self.needs(digest)):
                return None  # not yet: it is asked again
            self._judged[block] = _no_better(self._alone[block], records)
        return self._judged[block]


def _no_better(alone: Iterable[Planned], records: Mapping[str, Record]) -> str | None:
    """The reason where a block's teacher is no better than its student alone; None where it is, or a run failed."""
    from kdbench.results.tables.scores import tabulate  # who refuses nothing needs no tables

    entries = []
    for planned in alone:
        record = records.get(planned.digest or "")
        if record is None or record.status != "done":
            return None
        entries.append(Entry(planned.place, "done", None, Freshness.FRESH, record))
    table = tabulate(entries, JUDGED)
    if not table.untaught:
        return None
    means = {row.role: 100 * (row.scores[0].mean or 0.0) for row in table.rows}
    student, teacher = means[RowRole.STUDENT], means[RowRole.TEACHER]
    return f"its teacher is no better than its student alone (macro-F1 {teacher:.1f} and {student:.1f})"
