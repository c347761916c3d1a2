"""What a reader must know before the numbers: gates, failures, holes, networks that know one class, warnings."""

from kdbench.results.entry import Entry, Freshness
from kdbench.results.place import RowRole
from kdbench.results.seen import Seen
from kdbench.results.sheet import Cell, Column, Page, Sheet
from kdbench.results.views._parts import gained, page_of, percent
from kdbench.results.words.looks import one_class
from kdbench.results.words.numbers import listed
from kdbench.text import counted

OPEN = {"failed": "failed", "n/a": "n/a", "missing": "not run"}


def page(seen: Seen) -> Page:
    """The gate of each teacher, then what is not there and why, then what runs warned of."""
    parts: list[Sheet | str] = [_gates(seen), *one_class(seen)]
    holes = _holes(seen)
    parts.append(holes if holes.rows else "Everything that was asked for is there.")
    warned = _warnings(seen)
    parts.append(warned if warned.rows else "No run gave a warning.")
    stale = {e.record.digest for e in seen.entries if e.record and e.freshness is Freshness.STALE}
    parts.append(f"{counted(len(stale), 'run')} stale: the source changed since." if stale else "")
    return page_of(seen, "gates and failures", parts)


def _gates(seen: Seen) -> Sheet:
    """Whether each block's teacher has anything to teach."""
    teacher = next((row for row in seen.table.rows if row.role is RowRole.TEACHER), None)
    student = seen.table.student
    lines = []
    for number, block in enumerate(seen.table.blocks):
        scores = [None if row is None else row.scores[number] for row in (teacher, student)]
        known = [None if score is None or not score.complete else score.mean for score in scores]
        gain = scores[0].gain if scores[0] is not None and None not in known else None
        passed = "cannot be told" if gain is None else "closed" if block in seen.table.untaught else "passed"
        words = {"closed": "teacher no better than student alone", "passed": "teacher better"}
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


def _holes(seen: Seen) -> Sheet:
    """A line for each reason, with who it is true of."""
    found: dict[tuple[str, str, str, str], list[Entry]] = {}
    for entry in seen.entries:
        if entry.status in OPEN:
            place = entry.place
            key = (OPEN[entry.status], place.row, f"{place.dataset}, {place.pair}", entry.reason or "")
            found.setdefault(key, []).append(entry)
    lines = [
        (Cell(status), Cell(row), Cell(where), Cell(listed(_runs(runs))), Cell(reason))
        for (status, row, where, reason), runs in found.items()
    ]
    names = ("what", "row", "where", "runs", "why")
    return Sheet(tuple(Column(name, numeric=False) for name in names), tuple(lines), "What is not there")


def _runs(runs: list[Entry]) -> list[str]:
    folds = {run.place.fold for run in runs}
    return [f"seed {r.place.seed}" + (f" fold {r.place.fold}" if len(folds) > 1 else "") for r in runs]


def _warnings(seen: Seen) -> Sheet:
    """A line for each thing that runs warned of."""
    found: dict[tuple[str, str], set[str]] = {}
    for entry in seen.entries:
        for text in entry.record.warnings if entry.record else ():
            found.setdefault((entry.place.row, text), set()).add(entry.record.digest if entry.record else "")
    lines = tuple((Cell(row), Cell(len(runs)), Cell(text)) for (row, text), runs in found.items())
    columns = (Column("row", numeric=False), Column("runs"), Column("warning", numeric=False))
    return Sheet(columns, lines, "Warnings")
