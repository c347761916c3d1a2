"""What a store and a cache hold that nobody asks for any more."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kdbench.errors import KdbenchError
from kdbench.store.imports import imports
from kdbench.store.records import Store, is_digest


@dataclass(frozen=True)
class Garbage:
    """Something that may go.

    Args:
        path: a file or folder.
        why: nobody asks for it.
        size: bytes.
    """

    path: Path
    why: str
    size: int

    def remove(self) -> None:
        """Remove it, whoever else did meanwhile."""
        if self.path.is_dir():
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            self.path.unlink(missing_ok=True)


def garbage(store: Store, cache: Path, *, outputs: bool = True) -> list[Garbage]:
    """Cells that no remembered matrix names, halves of cells, and cached outputs of teachers that no cell here has.

    The cells of imported teachers stay, whether a matrix names them yet or not.

    Args:
        store: where results are.
        cache: where teachers' outputs are kept, of all stores of this user.
        outputs: whether cached outputs are looked at.

    Raises:
        KdbenchError: if a remembered plan cannot be read: then nobody can tell what it names.
    """
    named = set[str]()
    for path in sorted((store.root / "plans").glob("*.json")):
        try:
            named |= set(json.loads(path.read_bytes())["cells"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise KdbenchError(f"{path}: {error!r}; remove the file, or run its matrix again") from None
    found = []
    imported = {each.weights for each in imports(store)}
    for folder in sorted(store.root.iterdir()):
        if not (folder.is_dir() and is_digest(folder.name)) or folder.name in named:
            continue
        if imported and _of_import(store, folder.name, imported):
            named.add(folder.name)
            continue
        done = (folder / "record.json").exists()
        why = "no matrix that was run here names it" if done else "left by a run that was stopped, named by no matrix"
        found.append(Garbage(folder, why, _size(folder)))
    kept = {digest for digest in store.digests() if digest in named}
    for folder in sorted((cache / "teachers").glob("*")) if outputs else []:
        if folder.is_dir() and folder.name.partition("-")[0] not in kept:
            why = "outputs of a teacher that is not in this store; they are made again where they are wanted"
            found.append(Garbage(folder, why, _size(folder)))
    return found


def _of_import(store: Store, digest: str, imported: set[str]) -> bool:
    """Whether a cell measures weights that were imported here: no matrix names it before they have taught."""
    with suppress(KdbenchError):  # a damaged record is none
        record = store.record(digest)
        return record is not None and record.cell.get("imported") in imported
    return False


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
