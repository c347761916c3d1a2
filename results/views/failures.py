"""What a reader must know before the numbers: gates, failures, holes, networks that know one class, warnings."""

from kdbench.results.entry import Entry, Freshness
from kdbench.results.seen import Seen
from kdbench.results.sheet import Cell, Column, Page, Sheet
from kdbench.results.views._gates import gates
from kdbench.results.views._parts import page_of
from kdbench.results.words.looks import one_class
from kdbench.results.words.numbers import listed
from kdbench.text import counted

OPEN = {"failed": "failed", "n/a": "n/a", "missing": "not run"}


def page(seen: Seen) -> Page:
    """The gate of each teacher, then what is not there and why, then what runs warned of."""
    parts: list[Sheet | str] = [gates(seen), *one_class(seen)]
    holes = _holes(seen)
    parts.append(holes if holes.rows else "Everything that was asked for is there.")
    warned = _warnings(seen)
    parts.append(warned if warned.rows else "No run gave a warning.")
    stale = {e.record.digest for e in seen.entries if e.record and e.freshness is Freshness.STALE}
    parts.append(f"{counted(len(stale), 'run')} stale: the source changed since." if stale else "")
    return page_of(seen, "gates and failures", parts)


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
