"""What is done to a store as a whole."""

from __future__ import annotations

from kdbench.errors import KdbenchError
from kdbench.store.records import Store
from kdbench.store.upgrade import upgrade
from kdbench.text import counted


def upgrade_text(store: Store, *, dry: bool) -> str:
    """Rename what an older kdbench left, and say what became of it.

    Raises:
        KdbenchError: if there is no store, or a record cannot be read.
    """
    if not store.root.is_dir():
        raise KdbenchError(f"there is no store {store.root} (--store, KDBENCH_STORE)")
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
    if not store.root.is_dir():
        raise KdbenchError(f"there is no store {store.root} (--store, KDBENCH_STORE)")
    digests = store.digests()
    damaged = {digest: damage for digest in digests if (damage := store.damage(digest)) is not None}
    lines = [f"{store.root}: {counted(len(digests), 'cell')}, {len(damaged)} damaged"]
    lines += [f"damaged: {digest}: {damage}" for digest, damage in damaged.items()]
    return "\n".join(lines), not damaged
