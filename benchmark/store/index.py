"""All records of a plan at once: a store of thousands is read from one file in place of thousands.

The index repeats what records say, beside when each file was written, how long it is and its number on the disk. It is
made from records that were read and found whole, and one whose file has another time, length or number since is read
again. So a store is read right with an old index, a damaged one, or none, and an index may be removed at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from kdbench.files import write_whole
from kdbench.results.record import Record
from kdbench.store.long_json import from_long_json
from kdbench.store.records import Store

NAME = "index.json"
WORTH = 200
"""So many records are worth an index, and so many that it lacks are worth writing it again."""
SETTLED_NS = 2 * 10**9
"""A file as young as this could be replaced once more within one tick of the file system's clock."""

FIELDS = tuple(field.name for field in fields(Record) if field.name != "cell")
STAMPED = 3
"""Numbers of a stamp, which come first in a record's row."""

Stamp = list[int]
"""Of a record's file: time in nanoseconds, bytes, number on its disk."""
Known = dict[str, tuple[Stamp, Record]]
"""The stamp that a record's file had when it was read, and the record, by digest."""


def records_of(store: Store, digests: Iterable[str]) -> dict[str, Record | None]:
    """What the store has of these cells; None where one has no record.

    Raises:
        KdbenchError: if a record cannot be read as one.
    """
    wanted = list(digests)
    if len(wanted) < WORTH:
        return {digest: store.record(digest) for digest in wanted}
    return _indexed(store, wanted)


def _indexed(store: Store, wanted: list[str]) -> dict[str, Record | None]:
    known, now = _read(store), time.time_ns()
    found: dict[str, Record | None] = {}
    fresh: Known = {}
    for digest in wanted:
        stamp = _stamp(store, digest)
        kept = known.get(digest)
        if kept is not None and kept[0] == stamp:
            found[digest] = kept[1]
            continue
        found[digest] = record = store.record(digest)
        settled = stamp is not None and stamp[0] + SETTLED_NS < now and stamp == _stamp(store, digest)
        if record is not None and stamp is not None and settled:
            fresh[digest] = stamp, record
    if len(fresh) >= WORTH:
        others = {digest: kept for digest, kept in known.items() if kept[0] == _stamp(store, digest)}
        with suppress(OSError, ValueError, TypeError):  # whoever may only read a store reads it all the same
            _write(store, {**others, **fresh})
    return found


def _stamp(store: Store, digest: str) -> Stamp | None:
    """Of the file of a record; None where there is none."""
    try:
        status = os.stat(f"{store.root}/{digest}/record.json")
    except OSError:
        return None
    return [status.st_mtime_ns, status.st_size, status.st_ino]


def _write(store: Store, known: Known) -> None:
    """A line with the checksum of the next one, which has every value once, and records by the numbers of theirs."""
    values: dict[str, int] = {}
    rows = {
        digest: [*stamp, *(values.setdefault(_text(value), len(values)) for value in _split(record))]
        for digest, (stamp, record) in known.items()
    }
    body = f'{{"fields":{_text(FIELDS)},"values":[{",".join(values)}],"records":{_text(rows)}}}'.encode()
    write_whole(store.root / NAME, hashlib.sha256(body).hexdigest().encode() + b"\n" + body)


def _split(record: Record) -> Iterator[Any]:
    """What a record says, in parts that many records share."""
    yield from (getattr(record, name) for name in FIELDS)
    yield list(record.cell)
    yield from record.cell.values()


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _read(store: Store) -> Known:
    """What stands in the index, which one command asks several times; nothing where there is none."""
    path = store.root / NAME
    try:
        status = path.stat()
    except OSError:
        return {}
    return _parsed(path.absolute(), (status.st_mtime_ns, status.st_size, status.st_ino))


@lru_cache(maxsize=1)
def _parsed(path: Path, stamp: tuple[int, ...]) -> Known:
    """What stands in a file; nothing where it is damaged or of another kdbench."""
    try:
        check, _, body = path.read_bytes().partition(b"\n")
        if hashlib.sha256(body).hexdigest().encode() != check:
            return {}
        plain = from_long_json(body)
        if tuple(plain["fields"]) != FIELDS:
            return {}
        value = plain["values"].__getitem__
        return {
            digest: (row[:STAMPED], _joined(list(map(value, row[STAMPED:]))))
            for digest, row in plain["records"].items()
        }
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return {}


def _joined(values: list[Any]) -> Record:
    """The record that was split into these."""
    cell = dict(zip(values[len(FIELDS)], values[len(FIELDS) + 1 :], strict=True))
    return Record.checked({**dict(zip(FIELDS, values, strict=False)), "cell": cell})
