"""Whether teachers are shown to be better than their students alone, as the view of teachers shows it."""

from kdbench.results.place import RowRole
from kdbench.results.seen import Seen
from kdbench.results.sheet import Cell, Column, Sheet
from kdbench.results.statistics.tests import holm
from kdbench.results.tables.family import LEVEL, Family
from kdbench.results.tables.model import Block
from kdbench.results.tables.people import arranged
from kdbench.results.views._parts import gained, number
from kdbench.results.words.costs import NOTHING
from kdbench.results.words.numbers import interval, p_value

LEGEND = (
    "Over people and seeds, each person the same within a dataset, each dataset the same; p as in `kdbench stats`, "
    "adjusted by Holm's correction over these lines. Seen from: the true difference in points that would be found in "
    "four of five cases."
)


def better(seen: Seen) -> list[Sheet | str]:
    """A line for each pair, over its datasets, and a sentence for each of which nothing can be said."""
    judged, silent = _judged(seen)
    adjusted = holm([found.pairs[0].p for found in judged.values()])
    lines = []
    for (pair, found), p in zip(judged.items(), adjusted, strict=True):
        each, seen_from = found.pairs[0], found.pairs[0].detectable
        so = "not told apart" if p > LEVEL else "teacher better" if each.mean > 0 else "teacher worse"
        lines.append(
            (
                *(Cell(pair), Cell(len(found.panel.blocks)), Cell(len(found.panel.people)), gained(each.mean)),
                Cell(None, interval(each.interval)),
                Cell(p, p_value(p).removeprefix("= ")),
                Cell(None, NOTHING) if seen_from is None else number(seen_from, f"{100 * seen_from:.1f}"),
                Cell(so),
            )
        )
    columns = (
        *(Column("pair", numeric=False), Column("datasets"), Column("people"), Column("difference")),
        *(Column("95 %", "interval"), Column("adjusted p", "p_adjusted"), Column("seen from", "detectable")),
        Column("so", numeric=False),
    )
    sheet = Sheet(columns, tuple(lines), "Is the teacher shown to be better than student alone?")
    said: list[Sheet | str] = [sheet, LEGEND] if lines else []
    return [*said, *silent]


def _judged(seen: Seen) -> tuple[dict[str, Family], list[str]]:
    """Teacher and student of each pair, over the datasets that have both; and why others are not judged."""
    teacher = next((row for row in seen.table.rows if row.role is RowRole.TEACHER), None)
    student = seen.table.student
    found: dict[str, Family] = {}
    silent: list[str] = []
    if teacher is None or student is None:
        return found, silent
    blocks: dict[str, list[Block]] = {}
    for at, block in enumerate(seen.table.blocks):
        if teacher.scores[at].complete and student.scores[at].complete:
            blocks.setdefault(block.pair, []).append(block)
    for pair, each in blocks.items():
        people = arranged(seen.people, seen.table, [teacher, student], each)
        judged = people if isinstance(people, str) else Family(people)
        reason = judged if isinstance(judged, str) else judged.silent
        if reason is not None:
            silent.append(f"Whether the teacher of {pair} is better than student alone cannot be shown: {reason}.")
        elif isinstance(judged, Family):
            found[pair] = judged
    return found, silent
