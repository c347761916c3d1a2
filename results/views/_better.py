"""Whether teachers are shown to be better than their students alone, as the view of teachers shows it."""

from kdbench.results.seen import Seen
from kdbench.results.sheet import Cell, Column, Sheet
from kdbench.results.statistics.tests import holm, smallest_p
from kdbench.results.tables.family import LEVEL, Family
from kdbench.results.tables.model import Block, Row
from kdbench.results.tables.people import arranged
from kdbench.results.views._parts import gained, number
from kdbench.results.words.numbers import interval, listed, p_value
from kdbench.text import counted

TITLE = "Is the teacher shown to be better than student alone?"
LEGEND = (
    "Over people and seeds, each person the same within a dataset, each dataset the same; p as in `kdbench stats`, "
    "adjusted by Holm's correction over these lines, by which alone something is called better. The interval and seen "
    "from, the true difference in points that would be found in four of five cases, are of one pair and not corrected."
)


def better(seen: Seen) -> list[Sheet | str]:
    """A line for each pair, over its complete datasets; sentences on what is left out, and why."""
    teacher, student = seen.table.teacher, seen.table.student
    if teacher is None or student is None:
        return []
    judged: dict[str, Family] = {}
    silent: list[str] = []
    for pair in dict.fromkeys(block.pair for block in seen.table.blocks):
        found, without = _family(seen, [teacher, student], pair)
        if isinstance(found, Family):
            judged[pair] = found
            silent += [f"{pair} is judged without {without}, where runs are missing."] if without else []
        else:
            silent.append(f"Whether the teacher of {pair} is better than student alone cannot be shown: {found}.")
    said: list[Sheet | str] = [_sheet(judged), LEGEND, *_hopeless(judged)] if judged else []
    return [*said, *silent]


def _family(seen: Seen, rows: list[Row], pair: str) -> tuple[Family | str, str]:
    """Both rows over the datasets where both are complete, or why they are not judged; and the other datasets."""
    blocks: list[Block] = []
    without: list[str] = []
    for at, block in enumerate(seen.table.blocks):
        if block.pair == pair:
            if all(row.scores[at].complete for row in rows):
                blocks.append(block)
            else:
                without.append(block.dataset)
    if not blocks:
        return "its runs are incomplete", ""
    people = arranged(seen.people, seen.table, rows, blocks)
    if isinstance(people, str):
        return people, ""
    found = Family(people)
    return found.silent or found, listed(without)


def _sheet(judged: dict[str, Family]) -> Sheet:
    lines = []
    for (pair, found), p in zip(judged.items(), holm([each.pairs[0].p for each in judged.values()]), strict=True):
        each = found.pairs[0]
        so = "not told apart" if p > LEVEL else "teacher better" if each.mean > 0 else "teacher worse"
        lines.append(
            (
                *(Cell(pair), Cell(len(found.panel.blocks)), Cell(len(found.panel.people)), gained(each.mean)),
                *(Cell(None, interval(each.interval)), Cell(p, p_value(p).removeprefix("= "))),
                number(each.detectable, f"{100 * (each.detectable or 0):.1f}"),
                Cell(so),
            )
        )
    columns = (
        *(Column("pair", numeric=False), Column("datasets"), Column("people"), Column("difference")),
        *(Column("95 %", "interval"), Column("adjusted p", "p_adjusted"), Column("seen from", "detectable")),
        Column("so", numeric=False),
    )
    return Sheet(columns, tuple(lines), TITLE)


def _hopeless(judged: dict[str, Family]) -> list[str]:
    """Sentences on lines of too few people for so many lines."""
    found: dict[int, list[str]] = {}
    for pair, each in judged.items():
        found.setdefault(len(each.panel.people), []).append(pair)
    lines = counted(len(judged), "line")
    return [
        f"With {people} people and {lines} no adjusted p can go below {least:.2g}: {listed(pairs)}."
        for people, pairs in found.items()
        if (least := min(1.0, smallest_p(people) * len(judged))) > LEVEL
    ]
