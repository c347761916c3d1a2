"""Methods and networks that are files of no package: each is known by its content, and the store keeps a copy.

So a worker finds the class in its own process, a cell can be run again where the file has changed or is gone, and two
versions of a file are two methods, or two networks.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from kdbench.catalog.names import METHOD_NAMES, NETWORK_NAMES, Names
from kdbench.files import write_whole
from kdbench.spec.matrix import Matrix
from kdbench.spec.words import Spec
from kdbench.store.records import Store


def look_in(store: Store) -> None:
    """Know the methods and networks whose files the store keeps."""
    for names in (METHOD_NAMES, NETWORK_NAMES):
        names.look_in(store.root / "plugins")


def named_by_content(matrix: Matrix) -> Matrix:
    """A matrix whose methods and networks that are paths of files are called by the files' content.

    Raises:
        KdbenchError: if a file is not there.
    """
    rows = tuple(replace(row, method=_named(row.method, METHOD_NAMES)) for row in matrix.methods)
    pairs = tuple((network(teacher), network(student)) for teacher, student in matrix.pairs)
    return replace(matrix, methods=rows, pairs=pairs)


def network(spec: Spec) -> Spec:
    """A network that is called by its content where it is the path of a file.

    Raises:
        KdbenchError: if the file is not there.
    """
    return _named(spec, NETWORK_NAMES)


def keep(store: Store, matrix: Matrix) -> None:
    """Copy the files of a matrix's methods and networks into the store."""
    named = [(METHOD_NAMES, row.method.name) for row in matrix.methods]
    named += [(NETWORK_NAMES, network.name) for pair in matrix.pairs for network in pair]
    for names, name in ((names, name) for names, name in named if "@" in name):
        stem, _, digest = name.partition("@")
        path, found = store.root / "plugins" / digest / f"{stem}.py", names.file_of(name)
        if found is not None and found != path:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, found.read_bytes())


def _named(spec: Spec, names: Names) -> Spec:
    return replace(spec, name=names.add_file(Path(spec.name))) if spec.name.endswith(".py") else spec
