"""Every person's score: teacher, student alone and every method."""

import numpy as np

from kdbench.results.metrics import title
from kdbench.results.place import RowRole
from kdbench.results.seen import Seen
from kdbench.results.sheet import Cell, Column, Page, Sheet
from kdbench.results.tables.model import Block
from kdbench.results.tables.people import PER_PERSON, Panel, arranged
from kdbench.results.views._parts import abreast, gained, page_of, percent
from kdbench.results.words.looks import not_there


def page(seen: Seen) -> Page:
    """A sheet for each block with a line for each person, who does worst with student alone first."""
    if seen.metric not in PER_PERSON:
        raise ValueError(f"{seen.metric} is not a metric of single people; wanted {', '.join(PER_PERSON)}")
    parts: list[Sheet | str] = []
    for number, block in enumerate(seen.table.blocks):
        wanted = [
            row for row in seen.table.rows if not seen.rows or row.label in seen.rows or row.role is RowRole.STUDENT
        ]
        rows = [row for row in wanted if row.scores[number].complete]
        found = arranged(seen.people, seen.table, rows, [block]) if rows else "no row is complete"
        if isinstance(found, str):
            parts.append(f"{block.dataset}, {block.pair}: {found}.")
            continue
        parts += _sheets(block, found)
        parts.append(not_there(block, [row.label for row in wanted if row not in rows]))
    legend = (
        f"{title(seen.metric)} in percent on each person's windows alone (F1: mean over the classes that the person "
        "has), mean over seeds; in brackets what differs from student alone in points. Spread: standard deviation "
        "over people."
    )
    return page_of(seen, "people", [*parts, legend[0].upper() + legend[1:]])


def _sheets(block: Block, found: Panel) -> list[Sheet | str]:
    scores = found.by_person[:, 0, :]  # (M, n)
    alone = next((m for m, row in enumerate(found.rows) if row.role is RowRole.STUDENT), None)
    order = np.argsort(scores[0 if alone is None else alone], kind="stable")
    sheets: list[Sheet | str] = []
    for which, group in abreast(range(len(found.rows))):
        columns = (Column("person", numeric=False), *(Column(found.rows[m].label) for m in group))
        lines = [
            (Cell(found.people[person]), *(_cell(scores, m, alone, int(person)) for m in group)) for person in order
        ]
        mean = (Cell("all"), *(percent(float(scores[m].mean())) for m in group))
        spread = [float(scores[m].std(ddof=1)) if scores.shape[1] > 1 else float("nan") for m in group]
        lines += [mean, (Cell("spread"), *map(percent, spread))]
        sheets.append(Sheet(columns, tuple(lines), f"{block.dataset}, {block.pair}{which}"))
    return sheets


def _cell(scores: "np.typing.NDArray[np.float64]", m: int, alone: int | None, person: int) -> Cell:
    value = float(scores[m, person])
    if alone is None or m == alone:
        return percent(value)
    return percent(value, note=gained(value - float(scores[alone, person])).body)
