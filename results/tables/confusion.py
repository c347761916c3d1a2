"""Which classes are taken for which, summed over runs, and networks that know one class alone."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kdbench.results.entry import Entry

Counts = NDArray[np.int64]
"""(K, K) windows, rows = truth."""


def confusion(entries: Iterable[Entry]) -> Counts | None:
    """The sum over runs of one row; None where none recorded it, or they differ in classes."""
    found = [matrix for entry in entries if (matrix := _recorded(entry)) is not None]
    if not found or len({matrix.shape for matrix in found}) > 1:
        return None
    return np.asarray(np.sum(found, axis=0), dtype=np.int64)


def f1(counts: Counts) -> NDArray[np.float64]:
    """F1 of each class, (K,); NaN for one that is in neither truth nor predictions."""
    found = counts.sum(axis=0) + counts.sum(axis=1)  # (K,) = 2 TP + FP + FN
    with np.errstate(invalid="ignore"):
        return np.asarray(2 * np.diag(counts) / np.where(found, found, np.nan), dtype=np.float64)


@dataclass(frozen=True)
class Collapsed:
    """A row of a block that predicts one class for every window, in some of its runs."""

    dataset: str
    pair: str
    row: str
    seeds: Mapping[int, int]
    """The class that is predicted, by seed."""


def collapsed(entries: Sequence[Entry]) -> list[Collapsed]:
    """Rows with runs that predict one class for every window, though there are several."""
    found: dict[tuple[str, str, str], dict[int, int]] = {}
    for entry in entries:
        counts = _recorded(entry)
        if counts is None or np.count_nonzero(counts.sum(axis=1)) < 2:
            continue
        predicted = np.flatnonzero(counts.sum(axis=0))
        if len(predicted) == 1:
            place = entry.place
            found.setdefault((place.dataset, place.pair, place.row), {})[place.seed] = int(predicted[0])
    return [Collapsed(*where, seeds) for where, seeds in found.items()]


def _recorded(entry: Entry) -> Counts | None:
    if entry.status != "done" or entry.record is None:
        return None
    kept = entry.record.metrics["student"].get("confusion")
    return None if kept is None else np.array(kept, dtype=np.int64)
