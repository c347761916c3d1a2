"""What `table --deploy` gives: what of each row goes to a device, how large it is, and what that cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from statistics import fmean

from kdbench.commands.taken import TakenRow, comparable, taken_rows
from kdbench.plan.model import Plan
from kdbench.results.entry import Entry
from kdbench.results.figures.deploy import read
from kdbench.results.pages.scores import score_sheets
from kdbench.results.place import RowRole
from kdbench.results.render import FORMS, csv_text, page_text
from kdbench.results.sheet import Cell, Column, Page, Sheet
from kdbench.results.tables.family import judge
from kdbench.results.tables.model import Standing
from kdbench.results.tables.scores import tabulate
from kdbench.results.words.captions import caption
from kdbench.results.words.costs import NOTHING, shown
from kdbench.store.deployed import deployed
from kdbench.store.entries import entries
from kdbench.store.records import Store

COLUMNS = (
    Column("method", numeric=False),
    Column("cells", "cells"),
    Column("in 8 bits", "cells_in_8_bits"),
    Column("size", "size_bytes"),
    Column("labels kept", "label_agreement"),
    Column("macro-F1", "macro_f1_trained"),
    Column("on the device", "macro_f1_deployed"),
    Column("lost", "macro_f1_lost"),
    Column("latency", "latency_ms"),
    Column("efficiency", "efficiency"),
)

APART = (Column("size in 8 bits", "size_8_bits_bytes"), Column("size in 32 bits", "size_32_bits_bytes"))
"""What programs are told besides: mean bytes of the forms of each kind."""

LEGEND = (
    "As `kdbench take` made and judged each cell on all judged windows: the form with weights of 8 bits, or the one of "
    "32 where the gate refused that or nothing can quantise it. Cells: taken, of those that there are. In 8 bits: how "
    "many of these are. Size of the file; where forms of both kinds are mixed, that of 8 bits, else that of 32. All "
    "else is a mean over the cells that were taken. Labels kept: share that the trained model gives too. Macro-F1 in "
    "percent, trained and on the device, lost in points. Latency: median of one window on one thread, where it was "
    "taken. Efficiency: macro-F1 in percent on the device divided by the binary logarithm of the bytes. Bold: none "
    "that was taken at the same seeds and folds does better with as many bytes, or as well with fewer, by their mean"
)


def deploy_text(plan: Plan, store: Store, form: str) -> str:
    """The table in a format for readers, or as csv (a line per row).

    Raises:
        KdbenchError: if no cell of the matrix was taken.
    """
    rows = taken_rows(plan, store)
    if form in FORMS:
        names = (Column("dataset", numeric=False), Column("pair", numeric=False))
        lines = tuple((*map(Cell, row.block), *_line(row, front=False), *_apart(row)) for row in rows if row.taken)
        return csv_text(Sheet((*names, *COLUMNS, *APART), lines))
    parts: list[Sheet | str] = []
    for block in dict.fromkeys(row.block for row in rows):
        here = [row for row in rows if row.block == block]
        level = comparable(here)
        lines = tuple(_line(row, front=_in_front(row, level)) for row in here)
        parts.append(Sheet(COLUMNS, lines, ", ".join(block)))
    against = _said(
        " Written against the gate", [(row, each) for row in rows for took in row.taken for each in took.refused]
    )
    against += _said(" Refused, so in 32 bits", [(row, took.instead) for row in rows for took in row.taken])
    legend = f"{LEGEND}.{against} kdbench {version('kdbench')}."
    return page_text(Page("kdbench: on the device", (*parts, legend, *_gains(plan, store))), form)


def _gains(plan: Plan, store: Store) -> list[Sheet | str]:
    """What rows gain over student alone on the device, judged as trained models are; nothing where it was not taken."""
    found = [_on_device(entry, store) for entry in entries(plan, store)]
    rows = {(each.place.dataset, each.place.pair, each.place.row) for each in found if each.status == "done"}
    some = [each for each in found if (each.place.dataset, each.place.pair, each.place.row) in rows]
    if not {each.place.role for each in some} >= {RowRole.STUDENT, RowRole.METHOD}:
        return []
    judged = judge(some, tabulate(some, "macro_f1"))
    asked = replace(plan.asked, cells=len({each.record.digest for each in some if each.record}))
    said = caption(some, judged.table, asked, version("kdbench"), reason=judged.reason)
    return [*score_sheets(some, judged, f"On the device, each row and student alone in the form above. {said}")]


def _on_device(entry: Entry, store: Store) -> Entry:
    """A place with the scores of what went to a device in place of the trained model's; missing where nothing did."""
    took = deployed(store, entry.record.digest) if entry.status == "done" and entry.record else None
    if entry.record is None or took is None or not took.people:
        return replace(entry, status="missing", reason=None, record=None)
    scores = {"macro_f1": took.macro_f1, "by_person": took.people}
    return replace(entry, record=replace(entry.record, metrics={"student": scores}))


def _said(what: str, found: Sequence[tuple[TakenRow, str]]) -> str:
    """What the gate had against forms, each with its row; nothing where it had nothing."""
    some = list(dict.fromkeys(f"{row.label} ({', '.join(row.block)}): {why}" for row, why in found if why))
    return f"{what}: {'; '.join(some)}." if some else ""


def _line(row: TakenRow, *, front: bool) -> tuple[Cell, ...]:
    count = Cell(len(row.taken), f"{len(row.taken)} of {len(row.digests)}")
    if not row.taken:
        return Cell(row.label), count, *[Cell(None, NOTHING)] * (len(COLUMNS) - 2)
    trained = 100 * fmean(each.trained_f1 for each in row.taken)
    kept = fmean(each.agreement for each in row.taken)
    eight = len(row.of_bits(8))
    return (
        Cell(row.label),
        count,
        Cell(eight, f"{eight} of {len(row.taken)}"),
        Cell(row.size, ", else ".join(shown("file_size", size) for size in _sizes(row) if size is not None)),
        Cell(kept, f"{100 * kept:.2f} %"),
        Cell(trained, f"{trained:.2f}"),
        Cell(row.f1, f"{row.f1:.2f}", standing=Standing.BEST if front else None),
        Cell(trained - row.f1, f"{trained - row.f1:.2f}"),
        Cell(row.latency, shown("latency_ms", row.latency)),
        Cell(row.efficiency, f"{row.efficiency:.2f}"),
    )


def _sizes(row: TakenRow) -> list[float | None]:
    """Mean bytes of the forms in 8 bits and of those in 32."""
    kinds = (row.of_bits(8), row.of_bits(32))
    return [fmean(each.size for each in forms) if forms else None for forms in kinds]


def _apart(row: TakenRow) -> tuple[Cell, ...]:
    return tuple(map(Cell, _sizes(row)))


def _in_front(row: TakenRow, level: Sequence[TakenRow]) -> bool:
    """Whether a row may be compared, and none does better with as many bytes, or as well with fewer."""
    return row in level and not any(
        each.f1 >= row.f1
        and read(each.size) <= read(row.size)
        and (each.f1, read(each.size)) != (row.f1, read(row.size))
        for each in level
    )
