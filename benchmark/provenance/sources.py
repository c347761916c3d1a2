"""The code that a cell's numbers come from, as hashes: how a record is told from one that other code would make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.util import find_spec

from kdbench.catalog.names import DATASET_NAMES, METHOD_NAMES, NETWORK_NAMES, REFERENCE_NAMES, Names
from kdbench.errors import KdbenchError
from kdbench.provenance.known import KNOWN
from kdbench.provenance.reach import CodeUnavailable, Entry, reached_hash
from kdbench.results.entry import Freshness
from kdbench.results.record import WEIGHTS, Record
from kdbench.spec.cell import Cell, Part
from kdbench.spec.recipe import Precision

SCHEME = "reached-1"
"""How code is hashed; records of another scheme cannot be compared with today's code."""

LOOP = (Entry("kdbench.training.work", "Work"), Entry("kdbench.training.determinism", "reproducible"))
"""What every network's numbers come from, beside the classes that its cell names."""

FIT = (Entry("kdbench.training.fit", "Fit"), Entry("kdbench.training.determinism", "reproducible"))
"""Likewise of a reference."""

IN_FEWER_BITS = (Entry("kdbench.training.precision", "learning_in"),)
"""Besides, where the recipe asks for another precision than float32."""

UNSEEN = "unseen"
"""In place of the hash of code that cannot be read, as of a compiled plug-in."""


def sources(cell: Cell) -> dict[str, str]:
    """Hashes of the code that a cell's numbers come from, by what it is to the cell.

    Raises:
        KdbenchError: if a class that the cell names is not here.
    """
    named = cell.dataset.name, cell.protocol, cell.student.name
    if cell.fitted:
        return {**_of_reference(*named)}
    known = _of_network(*named, cell.method.name, cell.teacher and cell.teacher.name)
    usual = cell.recipe.precision == Precision.FLOAT32
    return {**known} if usual else {**known, "precision": _reached(IN_FEWER_BITS)}


@cache
def _of_reference(dataset: str, protocol: str, reference: str) -> dict[str, str]:
    return {
        "scheme": SCHEME,
        "loop": _reached(FIT),
        **_data(dataset, protocol),
        "reference": _of(REFERENCE_NAMES, reference),
    }


@cache
def _of_network(dataset: str, protocol: str, student: str, method: str, teacher: str | None) -> dict[str, str]:
    known = {"scheme": SCHEME, "loop": _reached(LOOP), **_data(dataset, protocol)}
    known |= {"method": _of(METHOD_NAMES, method), "student": _of(NETWORK_NAMES, student)}
    return known if teacher is None else {**known, "teacher": _of(NETWORK_NAMES, teacher)}


def _data(dataset: str, protocol: str) -> dict[str, str]:
    return {"dataset": _of(DATASET_NAMES, dataset), "protocol": _protocol(protocol)}


def freshness(cells: Mapping[str, Cell], records: Mapping[str, Record | None]) -> dict[str, Freshness]:
    """Whether today's code, and the teachers as they are now, are those that records come from.

    A student is no fresher than its teacher: it is stale where the teacher is, and where the teacher was trained again
    since and came out otherwise.

    Args:
        cells: by digest, each after the cell that trains its teacher.
        records: of some of them, by digest; what has none is left out of the answer.
    """
    found: dict[str, Freshness] = {}
    for digest, cell in cells.items():
        record = records.get(digest)
        if record is None:
            continue
        judged = [_of_code(record, cell)]
        teacher = records.get(cell.teacher_cell or "")
        if teacher is not None:
            judged += [found.get(teacher.digest, Freshness.FRESH), _of_teacher(record, teacher)]
        worst = (Freshness.STALE, Freshness.UNKNOWN, Freshness.FRESH)
        found[digest] = next(each for each in worst if each in judged)
    return found


def _of_code(record: Record, cell: Cell) -> Freshness:
    """Whether today's code is that which the record comes from; unknown where that cannot be told."""
    if record.sources.get("scheme") != SCHEME or UNSEEN in record.sources.values():
        return Freshness.UNKNOWN
    try:
        return Freshness.FRESH if record.sources == sources(cell) else Freshness.STALE
    except KdbenchError:  # a plug-in that is not installed here
        return Freshness.UNKNOWN


def _of_teacher(record: Record, teacher: Record) -> Freshness:
    """Whether the teacher's weights are those that taught."""
    now = teacher.files.get(WEIGHTS)
    if record.teacher_weights is not None and now is not None:
        return Freshness.FRESH if record.teacher_weights == now else Freshness.STALE
    # Of before they were kept in records: a teacher that was finished later is not the one that taught.
    return Freshness.STALE if teacher.finished > record.finished else Freshness.FRESH


def foreign(cell: Cell) -> bool:
    """Whether a class that a cell names comes from outside kdbench."""
    return any(part.name not in names.built_in for names, part in _named(cell))


def same_versions(cells: Iterable[Cell]) -> bool:
    """Whether what cells name is still of the version that they were written with, as far as it is here."""
    named = {(names, part.name, part.version) for cell in cells for names, part in _named(cell)}
    return all(_version(names, name) in (None, version) for names, name, version in named)


def _named(cell: Cell) -> list[tuple[Names, Part]]:
    """The classes that a cell names, each with where it is found."""
    if cell.fitted:
        return [(DATASET_NAMES, cell.dataset), (REFERENCE_NAMES, cell.student)]
    named = [(DATASET_NAMES, cell.dataset), (METHOD_NAMES, cell.method), (NETWORK_NAMES, cell.student)]
    return named if cell.teacher is None else [*named, (NETWORK_NAMES, cell.teacher)]


@cache
def _version(names: Names, name: str) -> object:
    def found() -> object:
        return _class_of(names, name).attribute("version")

    try:
        names.find(name)
        return KNOWN.answer(f"version of {names.kind} {name}", found) if name in names.built_in else found()
    except KdbenchError:  # a plug-in that is not installed here
        return None


@cache
def _reached(entries: tuple[Entry, ...]) -> str:
    question = " ".join(f"{entry.module}:{entry.name}" for entry in entries)
    return str(KNOWN.answer(question, lambda: reached_hash(*entries)))


@cache
def _protocol(name: str) -> str:
    def found() -> str:
        return reached_hash(Entry.stating("kdbench.data._protocols", "name", name))

    return str(KNOWN.answer(f"protocol {name}", found))


@cache
def _of(names: Names, name: str) -> str:
    definition = names.find(name)
    if name in names.built_in:
        return str(KNOWN.answer(f"{names.kind} {name}", lambda: reached_hash(_class_of(names, name))))
    try:
        return reached_hash(_class_of(names, name))
    except CodeUnavailable:
        if not _is_here(definition.module):
            raise
    try:  # a plug-in whose class is made while it is imported: all of its module counts
        return reached_hash(*Entry.whole(definition.module))
    except CodeUnavailable:
        return UNSEEN


def _is_here(module: str) -> bool:
    """Whether a plug-in is installed; its top package alone is looked for, and not imported."""
    return find_spec(module.partition(".")[0]) is not None


def _class_of(names: Names, name: str) -> Entry:
    definition = names.find(name)
    if definition.name is not None:
        return Entry(definition.module, definition.name)
    return Entry.extending(Entry(names.base.module, str(names.base.name)), definition.file or definition.module)
