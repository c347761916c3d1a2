"""Stores of several machines or people made into one: equal records once, and no record lost to another in silence."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, fields
from pathlib import Path

from kdbench.errors import KdbenchError
from kdbench.files import write_whole
from kdbench.results.record import Record
from kdbench.store.memory import memory_files
from kdbench.store.records import Store

OF_A_MACHINE = ("seconds", "peak_memory", "device", "versions", "commit", "finished", "costs", "files", "sources")
"""What two trainings of one cell may differ in and still have the same result."""


@dataclass
class Merge:
    """What is to be copied, and what stands against it.

    Args:
        copied: digest to the store that it comes from; also of cells that failed here and are done there.
        equal: digests of cells that are here already, with the same result.
        conflicts: digest to what differs, in words.
    """

    copied: dict[str, Store] = field(default_factory=dict)
    equal: set[str] = field(default_factory=set)
    conflicts: dict[str, str] = field(default_factory=dict)


def merge(into: Store, others: list[Store], *, dry: bool = False) -> Merge:
    """Copy what other stores have and this one has not. Where two records differ, nothing is copied at all.

    Args:
        into: the store that grows; it may be new.
        others: where from; they are left as they are.
        dry: whether only to say what would be done.

    Raises:
        KdbenchError: if a record, or a file that belongs to one, is damaged.
    """
    found = Merge()
    best = {digest: _whole(into, digest) for digest in into.digests()}
    for store in others:
        for digest in store.digests():
            record = _whole(store, digest)
            known = best.get(digest)
            if known is not None and known.status == record.status:
                found.equal.add(digest)
                if known.status == "done" and (differs := difference(known, record)):
                    found.conflicts[digest] = f"{found.copied.get(digest, into).root} and {store.root}: {differs}"
            elif known is None or record.status == "done":  # what failed on one machine may be done on another
                best[digest], found.copied[digest] = record, store
    if not dry and not found.conflicts:
        for digest, store in found.copied.items():
            _copy(store.folder(digest), into.folder(digest))
        for store in others:
            _copy_memory(store.root, into.root)
    return found


def _whole(store: Store, digest: str) -> Record:
    if damage := store.damage(digest):
        raise KdbenchError(damage)
    record = store.record(digest)
    assert record is not None
    return record


def difference(one: Record, other: Record) -> str:
    """What tells two results of one cell from each other, in words; empty where nothing does."""
    names = [each.name for each in fields(Record) if each.name not in OF_A_MACHINE]
    parts = [name for name in names if getattr(one, name) != getattr(other, name)]
    if one.files and other.files:
        shared = one.files.keys() & other.files.keys()
        parts += [name for name in sorted(shared) if one.files[name] != other.files[name]]
    if not parts:
        return ""
    values = "; ".join(f"{key} {_score(one, key)} and {_score(other, key)}" for key in ("accuracy", "macro_f1"))
    machines = " and ".join(f"{each.device}, torch {each.versions.get('torch')}" for each in (one, other))
    return f"{', '.join(parts)} differ ({values}; made by {machines})"


def _score(record: Record, metric: str) -> str:
    return f"{100 * record.metrics['student'][metric]:.2f}"


def _copy(source: Path, target: Path) -> None:
    """Copy a cell's files, its record last, since it says that all is there."""
    target.mkdir(parents=True, exist_ok=True)
    names = sorted(path.name for path in source.iterdir() if path.is_file() and not path.name.startswith("."))
    for name in sorted(names, key=lambda name: name == "record.json"):
        if name not in ("checkpoint.pt", "epoch"):
            write_whole(target / name, (source / name).read_bytes())


def _copy_memory(source: Path, target: Path) -> None:
    """Copy which matrices were run, what each was written out to, and the methods in files."""
    for path in memory_files(source):
        there = target / path
        if not there.exists():
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / path, there)
