"""Keeps MLflow in step with the records of a matrix. mlflow is imported at the first record."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING

from kdbench.errors import KdbenchError
from kdbench.machine import Runtime
from kdbench.plan.model import Plan
from kdbench.results import Entry, Record
from kdbench.results.pages import data_sheet, scores_page
from kdbench.results.render import csv_text, page_text
from kdbench.store.entries import entries
from kdbench.store.memory import matrices, remembered
from kdbench.store.records import Store

if TYPE_CHECKING:
    from kdbench.track.tracker import Tracker


SHOWN = ("macro_f1", "accuracy")
"""What is written of each run and row."""


class Mirror:
    """Writes one plan's records to MLflow.

    Args:
        store: where the records are and the database goes.
        identity: of the matrix in the store.
        plan: that the records belong to.
    """

    def __init__(self, store: Store, identity: str, plan: Plan) -> None:
        self.store, self.identity, self.plan = store, identity, plan
        self.rows: dict[str, str] = {}  # a cell may stand in several rows; it is called after the first
        for planned in plan.places:
            if planned.digest is not None:
                self.rows.setdefault(planned.digest, planned.place.row)
        self._tracker: Tracker | None = None

    def add(self, record: Record) -> None:
        """Write a record.

        Raises:
            MachineError: if the database cannot be written.
        """
        self._write([record])

    def finish(self, filled: Sequence[Entry]) -> int:
        """Write what is not there yet, and the table; returns how many cells have a record.

        Raises:
            MachineError: if the database cannot be written.
        """
        found = {entry.record.digest: entry.record for entry in filled if entry.record is not None}
        texts = {
            "table.md": page_text(scores_page(filled, SHOWN, asked=self.plan.asked, version=version("kdbench"))),
            "runs.csv": csv_text(data_sheet("csv", filled, SHOWN)),
            "table.csv": csv_text(data_sheet("csv-wide", filled, SHOWN)),
        }
        self._write(list(found.values()), texts)
        return len(found)

    def _write(self, records: Sequence[Record], texts: dict[str, str] | None = None) -> None:
        from kdbench.track.tracker import Tracker, mend, writing

        mended = False
        with writing(self.store.root):
            if self._tracker is None:
                mended = mend(self.store.root)
                self._tracker = Tracker(self.store, self.identity)
            self._tracker.add(records, self.rows)
            if texts is not None:
                self._tracker.finish(texts, complete=len(records) == len(self.plan.cells))
                self._tracker = None
        if mended:
            _write_all(self.store, but=self.identity)

    def stop(self, *, killed: bool) -> None:
        """Say that the run ended before its end; nothing where nothing was written yet.

        Raises:
            MachineError: if the database cannot be written.
        """
        if self._tracker is not None:
            from kdbench.track.tracker import writing

            with writing(self.store.root):
                self._tracker.end("KILLED" if killed else "FAILED")


def rebuild(where: Runtime) -> int:
    """Write the MLflow database of a store again from its records; returns how many were written.

    Raises:
        KdbenchError: if mlflow is not installed or the store has no matrix.
    """
    from kdbench.track import tracker

    store = Store(where.store)
    if not matrices(store):
        raise KdbenchError(f"no matrix was run in {where.store} (--store, KDBENCH_STORE)")
    store.open_for_writing()
    tracker.forget(store.root)
    return _write_all(store)


def _write_all(store: Store, *, but: str = "") -> int:
    """Write every matrix of a store but one; returns how many records were written."""
    plans = [(kept.identity, plan) for kept in matrices(store) if (plan := remembered(store, kept.matrix)) is not None]
    # Oldest first, as they were written.
    return sum(
        Mirror(store, identity, plan).finish(entries(plan, store))
        for identity, plan in reversed(plans)
        if identity != but
    )
