"""What `stats` and `compare` give."""

from __future__ import annotations

from importlib.metadata import version

from kdbench.commands.refusals import refusals
from kdbench.errors import KdbenchError, nearest
from kdbench.plan.model import Plan
from kdbench.results.entry import Entry
from kdbench.results.pages import alarms_page, comparison_page, statistics_page
from kdbench.results.render import page_text
from kdbench.results.tables.model import Table
from kdbench.results.tables.people import Panel, panel
from kdbench.results.tables.scores import tabulate
from kdbench.store.entries import entries
from kdbench.store.records import Store


def stats_text(plan: Plan, store: Store, metric: str, form: str, *, equivalent: float) -> str:
    """All that the answer for a metric rests on.

    Raises:
        KdbenchError: if the metric or the format is unknown, or ``equivalent`` (a fraction) is below 0.
    """
    if not equivalent >= 0:
        raise KdbenchError(f"{100 * equivalent:g} points are no margin; wanted 0 or more")
    with refusals():
        page = statistics_page(
            entries(plan, store), metric, asked=plan.asked, version=version("kdbench"), equivalent=equivalent
        )
        return page_text(page, form)


def alarms_text(plan: Plan, store: Store, metric: str, form: str) -> str:
    """How often the tests cry wolf on these records and on simulated people.

    Raises:
        KdbenchError: if the metric or the format is unknown, or there are too few seeds.
    """
    with refusals():
        return page_text(alarms_page(entries(plan, store), metric, version=version("kdbench")), form)


def compare_rows(plan: Plan, store: Store, first: str, second: str, metric: str, form: str) -> str:
    """Two rows of a table, person by person.

    Raises:
        KdbenchError: if there is no such row, it is incomplete in every block, or nothing is known of single people.
    """
    if first == second:
        raise KdbenchError(f"{first} beside itself says nothing; name two rows")
    found = _Rows(entries(plan, store), metric)
    return _compared([(first, found.panel(first), second, found.panel(second))], metric, form)


def compare_stores(
    one: tuple[str, Plan, Store], other: tuple[str, Plan, Store], row: str | None, metric: str, form: str
) -> str:
    """The rows that two stores share, each beside itself; ``one`` and ``other`` are called by their first part.

    Raises:
        KdbenchError: as `compare_rows`, or if they share no row that is complete in both.
    """
    a, b = (_Rows(entries(plan, store), metric) for _, plan, store in (one, other))
    shared = [label for label in a.complete if label in b.complete] if row is None else [row]
    if not shared:
        raise KdbenchError(f"{one[0]} and {other[0]} share no row that is complete in both")
    pairs = [(f"{label} ({one[0]})", a.panel(label), f"{label} ({other[0]})", b.panel(label)) for label in shared]
    return _compared(pairs, metric, form)


class _Rows:
    """The rows of a table, with the people of each."""

    def __init__(self, filled: list[Entry], metric: str) -> None:
        self.filled = filled
        with refusals():
            self.table: Table = tabulate(filled, metric)

    @property
    def complete(self) -> list[str]:
        """Rows that are complete in some block."""
        return [row.label for row in self.table.rows if any(score.complete for score in row.scores)]

    def panel(self, label: str) -> Panel:
        """Of one row, on the blocks in which it is complete."""
        rows = {row.label: row for row in self.table.rows}
        if label not in rows:
            raise KdbenchError(nearest("rows", label, rows))
        row = rows[label]
        blocks = [block for block, score in zip(self.table.blocks, row.scores, strict=True) if score.complete]
        if not blocks:
            raise KdbenchError(f"{label} is complete nowhere ({row.scores[0].state})")
        found = panel(self.filled, self.table, [row], blocks)
        if isinstance(found, str):
            raise KdbenchError(f"{label} cannot be compared person by person: {found}")
        return found


def _compared(pairs: list[tuple[str, Panel, str, Panel]], metric: str, form: str) -> str:
    with refusals():
        return page_text(comparison_page(pairs, metric, version=version("kdbench")), form)
