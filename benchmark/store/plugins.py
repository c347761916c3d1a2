"""Methods that are files of no package: each is known by its content, and the store keeps a copy.

So a worker finds the class in its own process, a cell can be run again where the file has changed or is gone, and two
versions of a file are two methods.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from kdbench.catalog.names import METHOD_NAMES
from kdbench.files import write_whole
from kdbench.spec.matrix import Matrix, MethodRow
from kdbench.store.records import Store


def look_in(store: Store) -> None:
    """Know the methods whose files the store keeps."""
    METHOD_NAMES.look_in(store.root / "plugins")


def named_by_content(matrix: Matrix) -> Matrix:
    """A matrix whose methods that are paths of files are called by the files' content.

    Raises:
        KdbenchError: if a file is not there.
    """
    return replace(matrix, methods=tuple(map(_named, matrix.methods)))


def keep(store: Store, matrix: Matrix) -> None:
    """Copy the files of a matrix's methods into the store."""
    for name in (row.method.name for row in matrix.methods if "@" in row.method.name):
        stem, _, digest = name.partition("@")
        path, found = store.root / "plugins" / digest / f"{stem}.py", METHOD_NAMES.file_of(name)
        if found is not None and found != path:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, found.read_bytes())


def _named(row: MethodRow) -> MethodRow:
    if not row.method.name.endswith(".py"):
        return row
    return replace(row, method=replace(row.method, name=METHOD_NAMES.add_file(Path(row.method.name))))
