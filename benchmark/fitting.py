"""Running the job of a reference: no epochs, no checkpoint, no weights to keep, and a record like any other."""

from __future__ import annotations

import time
import traceback
import warnings

import torch

from kdbench.account import metrics_of, numbers, record_of, warned
from kdbench.catalog.find import REFERENCES
from kdbench.data import Prepared, protocol
from kdbench.files import Refused
from kdbench.results.record import Record
from kdbench.spec.cell import Cell
from kdbench.store.records import Store
from kdbench.text import first_line, printable
from kdbench.training.determinism import reproducible
from kdbench.training.fit import Fit
from kdbench.training.work import Result


def run_fitted(cell: Cell, data: Prepared, store: Store) -> Record:
    """Fit a reference and keep its result, from the start: one that was stopped is not gone on with.

    What goes wrong makes a failed record; Ctrl-C, and files that cannot be written, leave the cell unfinished.

    Raises:
        Refused: if files of the store cannot be written.
    """
    started, device = time.monotonic(), torch.device("cpu")  # whatever trains networks
    reason, failure = None, ""
    result: Result | None = None
    chosen = protocol(cell.protocol)
    with reproducible(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        try:
            result = Fit(cell, data, chosen, REFERENCES.get(cell.student.name)).run()
        except Refused:
            raise
        except MemoryError as error:
            reason, failure = f"out of memory: {first_line(error)}", "out-of-memory"
        except Exception as error:
            reason, failure = printable(f"{type(error).__name__}: {first_line(error)}"), "failed"
            store.write_traceback(cell.digest, traceback.format_exc())
    record = record_of(
        cell,
        reason,
        chosen.side,
        device,
        metrics={} if result is None else metrics_of(result),
        facts={} if result is None else numbers(result.facts),
        warnings=warned(each.message for each in caught),
        seconds=time.monotonic() - started,
        failure=failure,
    )
    return store.finish(record, curve="", predictions=None if result is None else result.predictions)
