"""The ledger of teachers: what each is, how well it does beside its student alone, and whom it teaches."""

from kdbench.results.entry import Entry
from kdbench.results.place import RowRole
from kdbench.results.seen import Seen
from kdbench.results.sheet import Cell, Column, Page, Sheet
from kdbench.results.tables.scores import scalar
from kdbench.results.views._better import better
from kdbench.results.views._gates import gates
from kdbench.results.views._parts import gained, page_of, percent
from kdbench.results.words.numbers import listed

PLACE = tuple[str, str, int, int]
"""Dataset, pair, seed and fold."""


def page(seen: Seen) -> Page:
    """The gate of each block and what is shown of it; every teacher with its score, its student's and its pupils."""
    return page_of(seen, "teachers", [gates(seen), *better(seen), _ledger(seen)])


def _ledger(seen: Seen) -> Sheet:
    students = {_place(e): scalar(e.record, seen.metric) for e in seen.entries if e.place.role is RowRole.STUDENT}
    taught = _taught(seen)
    folds = {entry.place.fold for entry in seen.entries}
    lines = []
    for entry in (each for each in seen.entries if each.place.role is RowRole.TEACHER):
        place, record = entry.place, entry.record
        own, student = scalar(record, seen.metric), students.get(_place(entry))
        pupils = taught.get((*_place(entry)[:2], record.digest), {}) if record else {}
        lines.append(
            (
                Cell(record.digest if record else None, record.digest if record else entry.status),
                *(Cell(place.dataset), Cell(place.pair), Cell(place.seed)),
                *([Cell(place.fold)] if len(folds) > 1 else []),
                *(percent(own), percent(student), gained(None if own is None or student is None else own - student)),
                Cell(_origin(entry)),
                Cell(listed([f"{row} ({count})" if count > 1 else row for row, count in pupils.items()]) or "nobody"),
            )
        )
    columns = (
        *(Column("teacher", numeric=False), Column("dataset", numeric=False), Column("pair", numeric=False)),
        *(Column("seed"), *([Column("fold")] if len(folds) > 1 else [])),
        *(Column("score"), Column("student alone"), Column("difference")),
        *(Column("from", numeric=False), Column("teaches", numeric=False)),
    )
    return Sheet(columns, tuple(lines), "Every teacher, by the digest of its cell")


def _taught(seen: Seen) -> dict[tuple[str, str, str], dict[str, int]]:
    """How many runs of each row a teacher taught, by dataset, pair and the teacher's digest."""
    found: dict[tuple[str, str, str], dict[str, int]] = {}
    for entry in seen.entries:
        teacher = entry.record.cell.get("teacher_cell") if entry.record else None
        if teacher and entry.status == "done":
            rows = found.setdefault((entry.place.dataset, entry.place.pair, teacher), {})
            rows[entry.place.row] = rows.get(entry.place.row, 0) + 1
    return found


def _origin(entry: Entry) -> str:
    """Whether it was trained here or brought along."""
    if entry.record is None:
        return entry.reason or "not there yet"
    if entry.status == "failed":
        return f"failed: {entry.reason}"
    weights = entry.record.cell.get("imported")
    return f"imported, weights {weights[:12]}" if weights else "trained"


def _place(entry: Entry) -> PLACE:
    place = entry.place
    return place.dataset, place.pair, place.seed, place.fold
