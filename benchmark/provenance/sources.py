"""The code that a cell's numbers come from, as hashes: how a record is told from one that other code would make."""

from __future__ import annotations

from functools import cache

from kdbench.catalog.names import DATASET_NAMES, METHOD_NAMES, NETWORK_NAMES, Names
from kdbench.errors import KdbenchError
from kdbench.provenance.reach import Entry, class_attribute, class_where, public_class, reached_hash
from kdbench.results.entry import Freshness
from kdbench.results.record import Record
from kdbench.spec.cell import Cell

SCHEME = "reached-1"
"""How code is hashed; records of another scheme cannot be compared with today's code."""

LOOP = Entry("kdbench.training.work", "Work")
"""What every cell's numbers come from, beside the classes that it names."""


def sources(cell: Cell) -> dict[str, str]:
    """Hashes of the code that a cell's numbers come from, by what it is to the cell.

    Raises:
        KdbenchError: if a class that the cell names is not here.
    """
    found = {
        "scheme": SCHEME,
        "loop": reached_hash(LOOP),
        "dataset": _of(DATASET_NAMES, cell.dataset.name),
        "protocol": reached_hash(class_where("kdbench.data._protocols", "name", cell.protocol)),
        "method": _of(METHOD_NAMES, cell.method.name),
        "student": _of(NETWORK_NAMES, cell.student.name),
    }
    if cell.teacher is not None:
        found["teacher"] = _of(NETWORK_NAMES, cell.teacher.name)
    return found


def freshness(record: Record, cell: Cell) -> Freshness:
    """Whether today's code is that which the record comes from; unknown where that cannot be told."""
    if record.sources.get("scheme") != SCHEME:
        return Freshness.UNKNOWN
    try:
        return Freshness.FRESH if record.sources == sources(cell) else Freshness.STALE
    except KdbenchError:  # a plug-in that is not installed here
        return Freshness.UNKNOWN


def same_versions(cell: Cell) -> bool:
    """Whether what a cell names is still of the version that the cell was written with, as far as it is here."""
    named = [(DATASET_NAMES, cell.dataset), (METHOD_NAMES, cell.method), (NETWORK_NAMES, cell.student)]
    named += [] if cell.teacher is None else [(NETWORK_NAMES, cell.teacher)]
    return all(_version(names, part.name) in (None, part.version) for names, part in named)


@cache
def _version(names: Names, name: str) -> object:
    try:
        return class_attribute(_class_of(names, name), "version")
    except KdbenchError:  # a plug-in that is not installed here
        return None


@cache
def _of(names: Names, name: str) -> str:
    return reached_hash(_class_of(names, name))


def _class_of(names: Names, name: str) -> Entry:
    definition = names.find(name)
    if definition.name is not None:
        return Entry(definition.module, definition.name)
    return public_class(definition.module, Entry(names.base.module, str(names.base.name)))
