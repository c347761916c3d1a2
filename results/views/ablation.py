"""Rows that are one method with other settings: what each switch is worth."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from kdbench.results.metrics import LOWER_IS_BETTER, title
from kdbench.results.place import RowRole
from kdbench.results.seen import Seen
from kdbench.results.sheet import Cell, Column, Page, Sheet
from kdbench.results.tables.family import Family
from kdbench.results.tables.model import Row
from kdbench.results.views._parts import gained, page_of, percent
from kdbench.results.words.costs import NOTHING
from kdbench.results.words.numbers import interval, p_value

Settings = Mapping[str, Any]


def page(seen: Seen) -> Page:
    """A sheet for each method that stands in several rows: how each differs from the first, and what that changes."""
    groups: dict[str, list[tuple[Row, Settings]]] = {}
    for row in seen.table.rows:
        known = _method(seen, row) if row.role is RowRole.METHOD else None
        if known is not None:
            groups.setdefault(known[0], []).append((row, known[1]))
    several = {name: rows for name, rows in groups.items() if len(rows) > 1}
    if not several:
        said = (
            "No method stands in several rows. A row with other settings, as in "
            "`-m 'NAME(KEY=VALUE)'` or under [[method]] in a matrix, beside the method itself makes an ablation."
        )
        return page_of(seen, "ablation", [said])
    sheets = [_sheet(seen, name, rows) for name, rows in several.items()]
    return page_of(seen, "ablation", [*sheets, _legend(seen)])


def _legend(seen: Seen) -> str:
    judged = seen.judged
    silent = judged.reason or (judged.overall.silent if judged.overall else None)
    many = len(seen.table.blocks)
    return (
        f"{title(seen.metric).capitalize()} in percent"
        + (f", average over {many} blocks" if many > 1 else "")
        + "; gain over student alone and difference to the first row of the sheet in points, above 0 is better, with "
        "its 95 % interval over people and seeds, and p adjusted over all pairs of complete methods of the whole table."
        + (f" No test: {silent}." if silent else "")
    )


def _method(seen: Seen, row: Row) -> tuple[str, Settings] | None:
    """Name, and settings with the teacher's role, of a row's first run that says so."""
    for block in seen.table.blocks:
        for run in seen.found.get((block, row.label), ()):
            cell = run.record.cell if run.record else {}
            if "method" in cell:
                return str(cell["method"]["name"]), {**cell["method"].get("settings", {}), "role": cell.get("role")}
    return None


def _sheet(seen: Seen, name: str, rows: Sequence[tuple[Row, Settings]]) -> Sheet:
    first, start = rows[0]
    columns = (
        *(Column("row", numeric=False), Column("differs in", numeric=False), Column(title(seen.metric), seen.metric)),
        *(Column("gain"), Column("difference"), Column("95 % interval"), Column("p")),
    )
    lines = tuple(_line(seen, row, first, _different(settings, start)) for row, settings in rows)
    return Sheet(columns, lines, name)


def _different(settings: Settings, start: Settings) -> str:
    changed = {key: value for key, value in settings.items() if start.get(key) != value}
    return ", ".join(
        f"{key} {value if isinstance(value, str) else json.dumps(value)}" for key, value in changed.items()
    )


def _line(seen: Seen, row: Row, first: Row, differs: str) -> tuple[Cell, ...]:
    values = row.average, first.average
    found, apart = seen.judged.overall, None
    if values[0] and values[1] and row is not first:
        sign = -1 if seen.metric in LOWER_IS_BETTER else 1
        apart = sign * (values[0].mean - values[1].mean)
    return (
        *(Cell(row.label), Cell(differs or ("the others are set beside it" if row is first else NOTHING))),
        percent(values[0].mean) if values[0] else Cell(None, "incomplete"),
        *(gained(values[0].gain if values[0] else None), gained(apart)),
        *_judged(found, row, first),
    )


def _judged(found: Family | None, row: Row, first: Row) -> tuple[Cell, Cell]:
    if found is None or found.silent or row is first or not {row.label, first.label} <= set(found.labels):
        return Cell(None, NOTHING), Cell(None, NOTHING)
    p = found.p(row.label, first.label)
    span = found.difference(row.label, first.label).interval
    return Cell(None, interval(span)), Cell(p, p_value(p).removeprefix("= "))
