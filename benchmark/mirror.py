"""Keeps MLflow in step with the records of a matrix: cell by cell while it runs, and whole at its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version

from kdbench.cells import Runtime
from kdbench.errors import KdbenchError, MachineError
from kdbench.plan import Plan
from kdbench.results import Entry, Record, csv_tidy, csv_wide, report, tabulate
from kdbench.runner import entries, make_plan
from kdbench.spec import Cell
from kdbench.store import Store

METRICS = ("macro_f1", "accuracy")
"""What tables show where nothing else is asked for, the first of them in the answer."""


class Mirror:
    """Writes one plan's records to MLflow. mlflow is imported at the first record.

    Args:
        store: where the records are and the database goes.
        identity: of the matrix in the store.
        plan: that the records belong to.
        say: prints a line for people.
    """

    def __init__(self, store: Store, identity: str, plan: Plan, say: Callable[[str], None]) -> None:
        self.store, self.identity, self.plan, self.say = store, identity, plan, say
        self.rows: dict[str, str] = {}  # a cell may stand in several rows; it is called after the first
        for place in plan.places:
            if place.digest is not None:
                self.rows.setdefault(place.digest, place.row)
        self._broken = False

    def add(self, cell: Cell, record: Record) -> None:
        """Write a record while the run goes on. A fault is told, once, and does not stop the run."""
        if self._broken:
            return
        try:
            self._write([record])
        except MachineError as error:
            self._broken = True
            self.say(str(error))

    def finish(self, filled: Sequence[Entry]) -> int:
        """Write what is not there yet, and the table; returns how many cells have a record.

        Raises:
            MachineError: if the database cannot be written.
        """
        found = {entry.record.digest: entry.record for entry in filled if entry.record is not None}
        texts = {
            "table.md": report(filled, METRICS, version=version("kdbench"), warning=self.plan.warning),
            "runs.csv": csv_tidy(filled, METRICS),
            "table.csv": csv_wide([tabulate(filled, metric) for metric in METRICS]),
        }
        self._write(list(found.values()), texts)
        return len(found)

    def _write(self, records: Sequence[Record], texts: dict[str, str] | None = None) -> None:
        from kdbench.tracking import Tracker, writing

        with writing(self.store.root):
            tracker = Tracker(self.store, self.identity)
            for record in records:
                tracker.add(record, self.rows[record.digest])
            if texts is not None:
                tracker.finish(texts, complete=len(records) == len(self.plan.cells))


def rebuild(where: Runtime, say: Callable[[str], None]) -> int:
    """Write the MLflow database of a store again from its records; returns how many were written.

    Raises:
        KdbenchError: if mlflow is not installed or the store has no matrix.
    """
    from kdbench import tracking

    store = Store(where.store)
    matrices = list(store.matrices())
    if not matrices:
        raise KdbenchError(f"no matrix was run in {where.store} (--store, KDBENCH_STORE)")
    store.open_for_writing()
    plans = [(identity, make_plan(matrix, where, download=False, chosen=True)) for identity, matrix in matrices]
    tracking.forget(store.root)
    # Oldest first, as they were written.
    return sum(Mirror(store, identity, plan, say).finish(entries(plan, store)) for identity, plan in reversed(plans))
