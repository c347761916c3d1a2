"""Old stores under today's names: cells known by more than their numbers depend on are renamed, not retrained."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kdbench.catalog.names import DATASET_NAMES
from kdbench.errors import KdbenchError
from kdbench.files import write_whole
from kdbench.results.record import Record
from kdbench.spec.cell import Cell
from kdbench.spec.recipe import NAMING
from kdbench.store.records import Store


@dataclass
class Upgrade:
    """What is to be done to a store, and what cannot be.

    Args:
        renamed: old digest to the record as it will be.
        doubled: old digest to the digest of a cell with the same numbers, which stays.
        refused: old digest to why it cannot be renamed without guessing.
    """

    renamed: dict[str, Record] = field(default_factory=dict)
    doubled: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def digest(self, old: str) -> str:
        """Today's digest of what was known by an old one."""
        return self.renamed[old].digest if old in self.renamed else self.doubled.get(old, old)


def upgrade(store: Store, *, dry: bool = False) -> Upgrade:
    """Give every record of an older kdbench the digest that its cell has today.

    Nothing is trained and no number is changed. A cell that today's code would train otherwise is refused, and so is
    one whose teacher is.

    Args:
        store: to be upgraded; no other process may write it.
        dry: whether only to say what would be done.

    Raises:
        KdbenchError: if a record cannot be read.
    """
    found = Upgrade()
    old = {digest: record for digest in store.digests() if (record := store.record(digest)) and _is_old(record.cell)}
    # Teachers first, and of two cells that are one today, the one that is done before the one that failed.
    for digest in sorted(old, key=lambda each: (old[each].cell["teacher_cell"] is not None, old[each].status)):
        _judge(digest, old, found, store)
    if not dry:
        # Students first: one whose teacher is gone under its old name could not be told after a kill.
        for digest in sorted({*found.renamed, *found.doubled}, key=lambda each: old[each].cell["teacher_cell"] is None):
            if digest in found.renamed:
                _rename(store, digest, found.renamed[digest])
            else:
                store.forget(digest)
                _remove_if_empty(store.folder(digest))
        for path in sorted((store.root / "plans").glob("*.json")):
            _renew_plan(path, store)
    return found


def _is_old(cell: Mapping[str, Any]) -> bool:
    """Whether a cell was written when it still held its recipe's name."""
    return any(key in cell.get("recipe", {}) for key in NAMING)


def _judge(digest: str, old: Mapping[str, Record], found: Upgrade, store: Store) -> None:
    """Say what becomes of one record."""
    record = old[digest]
    teacher = record.cell["teacher_cell"]
    if teacher in found.refused:
        found.refused[digest] = f"its teacher {teacher} is refused"
        return
    if teacher is not None and teacher not in old and not (store.folder(teacher) / "record.json").exists():
        found.refused[digest] = f"its teacher {teacher} has no record here, so its new name cannot be told"
        return
    dataset = record.cell["dataset"]
    if dataset["name"] not in DATASET_NAMES.built_in or "path" in dataset["settings"]:
        found.refused[digest] = (
            f"its dataset {dataset['name']!r} is known by what it calls itself now, which names its random streams "
            "too, and the record does not tell that name"
        )
        return
    cell = Cell.from_plain({**record.cell, "teacher_cell": None if teacher is None else found.digest(teacher)})
    known = None
    if cell.digest != digest:  # it would be if an upgrade was killed between a folder and its record
        known = store.record(cell.digest) or next((r for r in found.renamed.values() if r.digest == cell.digest), None)
    if known is None:
        found.renamed[digest] = replace(record, digest=cell.digest, cell=cell.plain)
    elif record.status == "failed" or (known.metrics, known.facts) == (record.metrics, record.facts):
        found.doubled[digest] = cell.digest
    else:
        found.refused[digest] = f"{cell.digest} has the same name today and other numbers; remove one of the folders"


def _rename(store: Store, digest: str, record: Record) -> None:
    """The folder first, then what the record says: a record that is not whole is never seen."""
    new = store.folder(record.digest)
    if record.digest != digest:
        if new.exists():  # begun under the new name: it has no record, or it would not be renamed over
            store.forget(record.digest)
            _remove_if_empty(new)
        store.folder(digest).rename(new)
    write_whole(new / "record.json", record.to_json())


def _remove_if_empty(folder: Path) -> None:
    if not any(folder.iterdir()):
        folder.rmdir()


def _renew_plan(path: Path, store: Store) -> None:
    """A remembered plan under the digests that its records have by now."""
    try:
        plan = json.loads(path.read_text(encoding="utf-8"))
        cells: dict[str, Any] = {}
        today: dict[str, str] = {}
        for digest, plain in plan["cells"].items():  # teachers come first
            teacher = plain["teacher_cell"]
            cell = Cell.from_plain({**plain, "teacher_cell": teacher and today[teacher]})
            # A cell that was refused keeps its old name, and what the plan says of it too.
            renewed = not _is_old(plain) or not (store.folder(digest) / "record.json").exists()
            today[digest] = cell.digest if renewed else digest
            cells[today[digest]] = cell.plain if renewed else plain
        places = [{**place, "digest": place["digest"] and today[place["digest"]]} for place in plan["places"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise KdbenchError(f"{path}: {error!r}; remove the file") from None
    write_whole(path, json.dumps({**plan, "cells": cells, "places": places}))
