"""Where a store's studies are. Needs no torch."""

from __future__ import annotations

from pathlib import Path

from kdbench.tune.ledger import Ledger


def folder_of(store: Path) -> Path:
    """What tuning keeps beside the cells."""
    return store / "tune"


def ledger_of(store: Path, storage: str | None, *, make: bool = True) -> Ledger | None:
    """The database's ledger, or the store's own; None where there is none and none is to be made."""
    if storage is not None:
        return Ledger(storage)
    path = folder_of(store) / "journal.log"
    return Ledger(path) if make or path.is_file() else None
