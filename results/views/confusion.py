"""Which classes are taken for which: teacher, student alone and a method."""

import numpy as np

from kdbench.results.seen import Seen
from kdbench.results.sheet import Cell, Column, Page, Sheet
from kdbench.results.tables.confusion import Counts, confusion
from kdbench.results.views._parts import abreast, page_of, share
from kdbench.results.words.looks import not_there, one_class, runs_of


def page(seen: Seen) -> Page:
    """Sheets for each block; by default of teacher and student alone and of the method of the highest value."""
    parts: list[Sheet | str] = []
    for block in seen.table.blocks:
        for row in seen.shown(block):
            counts = confusion(seen.found.get((block, row.label), ()))
            if counts is None:
                parts.append(not_there(block, [row.label]))
                continue
            title = f"{row.label} on {block.dataset}, {block.pair}, {runs_of(seen, block, row.label)}"
            parts += _sheets(counts, seen.names(block, len(counts)), title)
    legend = (
        "A line is the true class, a column what is predicted, each in percent of the line's windows, all seeds and "
        "folds together. --row shows other rows."
    )
    return page_of(seen, "confusion", [*parts, legend, *one_class(seen)])


def _sheets(counts: Counts, names: list[str], title: str) -> list[Sheet | str]:
    windows = counts.sum(axis=1)  # (K,)
    shares = counts / np.where(windows, windows, np.nan)[:, None]
    sheets: list[Sheet | str] = []
    for which, group in abreast(range(len(names))):
        columns = (Column("true class", numeric=False), Column("windows"), *(Column(names[k]) for k in group))
        lines = tuple(
            (Cell(names[true]), Cell(int(windows[true])), *(share(float(shares[true, k])) for k in group))
            for true in range(len(names))
        )
        sheets.append(Sheet(columns, lines, title + which))
    return sheets
