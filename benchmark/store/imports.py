"""Weights that users brought along: kept in the store by their hash, and known by the beginning of it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from kdbench.errors import KdbenchError
from kdbench.files import write_whole
from kdbench.spec.teachers import Imported
from kdbench.store.records import Store


def keep_import(store: Store, found: Imported, raw: bytes) -> None:
    """Keep weights, then what they are of, which says that all is there."""
    path = import_path(store, found.weights)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, raw)
    write_whole(path.with_suffix(".json"), json.dumps(asdict(found), indent=1))


def import_path(store: Store, weights: str) -> Path:
    """Where imported weights are, by their hash."""
    return store.root / "imports" / f"{weights}.pt"


def imports(store: Store) -> list[Imported]:
    """All that were imported here.

    Raises:
        KdbenchError: if a file cannot be read as one.
    """
    found = []
    for path in sorted((store.root / "imports").glob("*.json")):
        try:
            found.append(Imported.from_plain(json.loads(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError, RecursionError, KdbenchError) as error:
            raise KdbenchError(f"{path}: {error}; remove the file and import again") from None
    return found


def import_named(store: Store, prefix: str) -> Imported:
    """An imported teacher, by the beginning of its weights' hash.

    Raises:
        KdbenchError: if there is none, or there are several.
    """
    known = imports(store)
    found = [each for each in known if prefix and each.weights.startswith(prefix)]
    if len(found) == 1:
        return found[0]
    here = ", ".join(f"{each.weights[:12]} ({each.network})" for each in found or known) or "none"
    what = "several imported teachers begin" if found else "no imported teacher begins"
    raise KdbenchError(f"{what} with {prefix!r} in {store.root}: {here}; `kdbench teachers import` adds one")
