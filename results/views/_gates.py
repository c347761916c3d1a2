"""Whether each block's teacher has anything to teach, as views show it."""

from kdbench.results.seen import Seen
from kdbench.results.sheet import Cell, Column, Sheet
from kdbench.results.views._parts import gained, percent


def gates(seen: Seen) -> Sheet:
    """Whether each block's teacher has anything to teach."""
    teacher, student = seen.table.teacher, seen.table.student
    lines = []
    for number, block in enumerate(seen.table.blocks):
        scores = [None if row is None else row.scores[number] for row in (teacher, student)]
        known = [None if score is None or not score.complete else score.mean for score in scores]
        gain = scores[0].gain if scores[0] is not None and None not in known else None
        passed = "cannot be told" if gain is None else "closed" if block in seen.table.untaught else "passed"
        words = {"closed": "teacher no better than student alone", "passed": "teacher above student alone"}
        lines.append(
            (
                *(Cell(block.dataset), Cell(block.pair), percent(known[0]), percent(known[1]), gained(gain)),
                Cell(passed + (f": {words[passed]}" if passed in words else "")),
            )
        )
    columns = (
        *(Column("dataset", numeric=False), Column("pair", numeric=False), Column("teacher"), Column("student")),
        *(Column("difference"), Column("gate", numeric=False)),
    )
    return Sheet(columns, tuple(lines), "Is there anything to learn from the teacher?")
