"""What is done to a store as a whole."""

from __future__ import annotations

from pathlib import Path

from kdbench.errors import KdbenchError
from kdbench.machine import Runtime
from kdbench.store.claims import held
from kdbench.store.garbage import garbage
from kdbench.store.merge import merge
from kdbench.store.records import Store
from kdbench.store.upgrade import upgrade
from kdbench.text import counted


def upgrade_text(store: Store, *, dry: bool) -> str:
    """Rename what an older kdbench left, and say what became of it.

    Raises:
        KdbenchError: if there is no store, or a record cannot be read.
    """
    _wanted(store)
    if not dry:
        store.open_for_writing()
    found = upgrade(store, dry=dry)
    verb = "would be renamed" if dry else "renamed"
    lines = [
        f"{counted(len(found.renamed), 'cell')} {verb}, {len(found.doubled)} dropped as doubles of others, "
        f"{len(found.refused)} left under old names"
    ]
    lines += [f"left: {digest}: {reason}" for digest, reason in found.refused.items()]
    if found.renamed and not dry and (store.root / "mlflow.db").exists():
        lines.append("MLflow still has the old names; `kdbench track rebuild` writes it again")
    return "\n".join(lines)


def verify_text(store: Store) -> tuple[str, bool]:
    """Hold every record of a store, and the files that belong to it, against their checksums.

    Returns:
        What was found, a line a damaged cell, and whether all is well.

    Raises:
        KdbenchError: if there is no store.
    """
    _wanted(store)
    digests = store.digests()
    damaged = {digest: damage for digest in digests if (damage := store.damage(digest)) is not None}
    lines = [f"{store.root}: {counted(len(digests), 'cell')}, {len(damaged)} damaged"]
    lines += [f"damaged: {digest}: {damage}" for digest, damage in damaged.items()]
    return "\n".join(lines), not damaged


def merge_text(into: Store, others: list[Path], *, dry: bool) -> str:
    """Copy what other stores have and this one has not, and say what became of it.

    Raises:
        KdbenchError: if one is no store, a record is damaged, or two results of a cell differ.
    """
    for path in others:
        if not path.is_dir():
            raise KdbenchError(f"{path} is no folder; wanted another store")
        if path.resolve() == into.root.resolve():
            raise KdbenchError(f"{path} is the store that is merged into (--store); wanted others")
    for store in (into, *map(Store, others)):
        store.wants_weights()
    if not dry:
        into.open_for_writing()
    found = merge(into, [Store(path) for path in others], dry=dry)
    if found.conflicts:
        lines = [f"{digest}: {differs}" for digest, differs in found.conflicts.items()]
        raise KdbenchError(
            f"{counted(len(lines), 'cell')} with two results, so nothing was copied:\n  " + "\n  ".join(lines)
        )
    verb = "would be copied" if dry else "copied"
    return f"{counted(len(found.copied), 'cell')} {verb} to {into.root}, {len(found.equal)} there already"


def gc_text(store: Store, where: Runtime, *, dry: bool) -> str:
    """Remove what nobody asks for any more, or say what that would be.

    Raises:
        KdbenchError: if there is no store, or a remembered matrix cannot be read.
    """
    _wanted(store)
    found = [each for each in garbage(store, where.cache) if not held(store, each.path.name)]
    lines = [f"{each.path}  {each.size / 1e6:.1f} MB  {each.why}" for each in found]
    if not dry:
        for each in found:
            each.remove()
    size = sum(each.size for each in found) / 1e6
    end = "; nothing was removed, --remove does it" if dry and found else ""
    return "\n".join([*lines, f"{counted(len(found), 'thing')}, {size:.1f} MB{' removed' if not dry else ''}{end}"])


def _wanted(store: Store) -> None:
    if not store.root.is_dir():
        raise KdbenchError(f"there is no store {store.root} (--store, KDBENCH_STORE)")
