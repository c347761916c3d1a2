"""Who is worse off than with student alone: how often, and by how much."""

import numpy as np

from kdbench.results.metrics import title
from kdbench.results.seen import Seen
from kdbench.results.sheet import Cell, Column, Page, Sheet
from kdbench.results.tables.model import Block, Row
from kdbench.results.tables.people import Panel, arranged
from kdbench.results.views._parts import gained, page_of, share
from kdbench.results.words.answers import EQUIVALENT, ROUNDING
from kdbench.results.words.costs import NOTHING
from kdbench.results.words.numbers import points


def page(seen: Seen) -> Page:
    """A line for each method, over all blocks in which it and student alone are complete."""
    student = seen.table.student
    if student is None:
        raise ValueError("harm is against student alone, which the table has not")
    lines, left = [], []
    for row in seen.table.methods:
        found = _pairs(seen, row, student)
        if isinstance(found, str):
            left.append(f"{row.label}: {found}")
        else:
            lines.append(_line(row, found))
    lines.sort(key=lambda line: -float(line[2].value or 0))
    parts: list[Sheet | str] = []
    if lines:
        parts.append(Sheet(COLUMNS, tuple(lines), "Harm"))
    parts += [f"Not judged: {'; '.join(left)}." if left else ""]
    legend = (
        f"Differences to student alone in {title(seen.metric)} on the same people and seeds, in points. Harmed: share "
        f"of (block, seed), and of (block, person), that lose more than {100 * EQUIVALENT:g} points; helped: that gain "
        "more. A person's difference is the mean over seeds."
    )
    return page_of(seen, "harm", [*parts, legend])


COLUMNS = (
    *(Column("method", numeric=False), Column("blocks"), Column("people harmed", "harm_people")),
    *(Column("people helped", "help_people"), Column("runs harmed", "harm_seeds")),
    *(Column("mean"), Column("worst off", "worst"), Column("who", "worst_who", numeric=False)),
    *(Column("best off", "best"), Column("who", "best_who", numeric=False)),
)


def _pairs(seen: Seen, row: Row, student: Row) -> list[Panel] | str:
    """The two rows on each block in which both are complete, or why there is none."""
    found: list[Panel] = []
    reason = "complete in no block together with student alone"
    for number, block in enumerate(seen.table.blocks):
        if row.scores[number].complete and student.scores[number].complete:
            both = arranged(seen.people, seen.table, [student, row], [block])
            if isinstance(both, str):
                reason = both
            else:
                found.append(both)
    return found or reason


def _line(row: Row, found: list[Panel]) -> tuple[Cell, ...]:
    people: list[tuple[float, str, Block]] = []
    seeds: list[float] = []
    for each in found:
        difference = each.values[1, 0] - each.values[0, 0]  # (S, n)
        seeds += [float(value) for value in difference.mean(axis=1)]
        means = difference.mean(axis=0)
        people += [(float(v), name, each.blocks[0]) for v, name in zip(means, each.people, strict=True)]
    values, runs = np.array([value for value, _, _ in people]), np.array(seeds)
    limit = EQUIVALENT + ROUNDING
    return (
        *(Cell(row.label), Cell(len(found)), share(float((values < -limit).mean()))),
        *(share(float((values > limit).mean())), share(float((runs < -limit).mean())), gained(float(values.mean()))),
        *_extreme(min(people, key=lambda each: each[0]), len(found) > 1),
        *_extreme(max(people, key=lambda each: each[0]), len(found) > 1),
    )


def _extreme(who: tuple[float, str, Block], several: bool) -> tuple[Cell, Cell]:
    value, name, block = who
    return Cell(value, points(value)), Cell(f"{name}, {block.dataset}" if several else name or NOTHING)
