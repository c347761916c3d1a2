"""Files that go to another machine, or come from one, together; known by their content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

from kdbench.errors import MachineError
from kdbench.files import fresh_folder, write_whole
from kdbench.results.record import Record
from kdbench.schedule.jobs import Job
from kdbench.store.imports import import_path
from kdbench.store.records import Store

Files = dict[str, bytes]
"""Content by path relative to a folder, with slashes."""

PACKAGES = ("", "architectures", "methods", "results")
"""The folders that are the package, each by its name in it."""

PASSING = ("checkpoint.pt", "epoch")
"""Of a cell's files those that its record takes the place of."""


def digest_of(files: Mapping[str, bytes]) -> str:
    """What files are known by."""
    found = hashlib.sha256()
    for name in sorted(files):
        found.update(f"{name}\n{hashlib.sha256(files[name]).hexdigest()}\n".encode())
    return found.hexdigest()


def read(root: Path, paths: Iterable[Path]) -> Files:
    """Files below a folder."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths if path.is_file()}


def unpack(files: Mapping[str, bytes], digest: str, folder: Path) -> None:
    """Write files into a folder that is there whole or not at all.

    Raises:
        MachineError: if they are not those of the digest.
    """
    if digest_of(files) != digest:
        raise MachineError(f"what came for {folder} was damaged on its way")
    with fresh_folder(folder) as temporary:
        for name, raw in files.items():
            path = temporary / PurePosixPath(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(raw)


def code() -> Files:
    """kdbench itself, laid out as one package whatever way it is installed here."""
    found: Files = {}
    for name in PACKAGES:
        spec = find_spec(".".join(filter(None, ("kdbench", name))))
        for place in (spec and spec.submodule_search_locations) or ():
            files = read(Path(place), (each for each in Path(place).rglob("*") if "__pycache__" not in each.parts))
            found |= {"/".join(filter(None, ("kdbench", name, path))): raw for path, raw in files.items()}
    return found


def lent(job: Job, store: Store) -> list[Files]:
    """What a job needs of its store: the teacher's cell, imported weights, classes in files; each as others have it.

    Raises:
        KdbenchError: if the teacher's files are damaged.
    """
    cell, found = job.cell, []
    if cell.teacher_cell is not None:
        record = store.record(cell.teacher_cell)
        names = () if record is None else record.files
        files = {f"{cell.teacher_cell}/{name}": store.content(cell.teacher_cell, name) for name in names}
        found.append(files | read(store.root, [store.folder(cell.teacher_cell) / "record.json"]))
    if cell.imported:
        path = import_path(store, cell.imported)
        found.append(read(store.root, [path, path.with_suffix(".json")]))
    for part in filter(None, (cell.method, cell.student, cell.teacher)):
        if "@" in part.name:
            stem, _, content = part.name.partition("@")
            found.append(read(store.root, [store.root / "plugins" / content / f"{stem}.py"]))
    return found


def keep_passing(store: Store, digest: str, files: Mapping[str, bytes]) -> None:
    """Keep what a cell has so far: its checkpoint, how far it is, what it printed."""
    store.folder(digest).mkdir(parents=True, exist_ok=True)
    for name, raw in files.items():
        write_whole(store.folder(digest) / PurePosixPath(name).name, raw)


def keep_result(store: Store, digest: str, files: Mapping[str, bytes]) -> Record | None:
    """Keep a finished cell's files, its record last, since it says that all is there; None where they are damaged."""
    try:
        record = Record.from_json(files["record.json"].decode())
    except (KeyError, ValueError):
        return None
    if record.digest != digest or any(
        hashlib.sha256(files.get(name, b"")).hexdigest() != checksum for name, checksum in record.files.items()
    ):
        return None
    kept = {name: files[name] for name in sorted(files, key=lambda name: name == "record.json") if name not in PASSING}
    keep_passing(store, digest, kept)
    for name in PASSING:
        (store.folder(digest) / name).unlink(missing_ok=True)
    return record
