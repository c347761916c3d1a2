"""Recordings that lie in a folder twice, whole or in part."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from kdbench.data._own.csv import Rows
from kdbench.data._own.people import Name

ROWS = 16
"""Rows that follow each other and say the same of all channels by no chance, if they hold as many different values."""

Hashes = npt.NDArray[np.uint64]


def content(rows: Rows) -> bytes:
    """What two exports of one recording have in common, however they are written; people are left out."""
    total = hashlib.sha256()
    for array in (rows.label, rows.recording, rows.values, rows.time):
        total.update(b"-" if array is None else np.ascontiguousarray(array).data)
    return total.digest()


def stretches(values: npt.NDArray[np.float64]) -> Hashes:
    """A number for every stretch of rows (N, C), equal for equal ones; of those that vary enough not to be chance."""
    if len(values) < ROWS:
        return np.empty(0, np.uint64)
    rng = np.random.default_rng(0)
    bits = np.ascontiguousarray(values).view(np.uint64)
    bits = bits ^ (bits >> np.uint64(29))
    rows = (bits * rng.integers(1, 2**63, values.shape[1], np.uint64) * np.uint64(2) + np.uint64(1)).sum(axis=1)
    rows ^= rows >> np.uint64(31)
    total = np.zeros(len(values) - ROWS + 1, np.uint64)
    for place, factor in enumerate(rng.integers(1, 2**63, ROWS, np.uint64)):
        total += rows[place : place + len(total)] * (factor | np.uint64(1))
    changes = np.concatenate([[0], np.cumsum(np.any(values[1:] != values[:-1], axis=1))])
    varied = changes[ROWS - 1 :] - changes[: len(total)] >= ROWS - 1
    found: Hashes = total[varied]
    return found


class Shared:
    """Which files hold the same stretches of rows, and of whom."""

    def __init__(self) -> None:
        self._whose: list[tuple[str, Name]] = []
        self._hashes: list[Hashes] = []

    def add(self, file: str, person: Name, values: npt.NDArray[np.float64]) -> None:
        """Add the rows of a person in a file."""
        self._whose.append((file, person))
        self._hashes.append(stretches(values))

    def pairs(self, least: int) -> list[tuple[tuple[str, Name], tuple[str, Name], int]]:
        """Two files and people (or one, with itself) and in how many rows they agree, if it is so many or more."""
        if not self._hashes:
            return []
        hashes = np.concatenate(self._hashes)
        whose = np.repeat(np.arange(len(self._whose)), [len(each) for each in self._hashes])
        order = np.argsort(hashes, kind="stable")
        hashes, whose = hashes[order], whose[order]
        again = np.flatnonzero(hashes[1:] == hashes[:-1])
        pairs, counts = np.unique(np.stack([whose[again], whose[again + 1]]), axis=1, return_counts=True)
        found = [
            (one, other, int(times) + ROWS - 1) for (one, other), times in zip(pairs.T.tolist(), counts, strict=True)
        ]
        return [(self._whose[one], self._whose[other], rows) for one, other, rows in found if rows >= least]
