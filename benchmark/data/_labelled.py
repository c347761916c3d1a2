"""Long recordings under labels that change on the way, with values that are missing, cut into windows."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from kdbench.data._archive import Source
from kdbench.data._base import Dataset, Windows, cut
from kdbench.data._text import numbers
from kdbench.errors import KdbenchError

Floats = npt.NDArray[np.float64]

Recording = tuple[Floats, npt.NDArray[np.int64], npt.NDArray[np.bool_]]
"""Signals (T, C), labels (T,), and where a run ends (T,)."""

COUNTED = ("rows", "rows in windows", "rows without a class", "rows with values missing", "rows left over")
"""What is counted; the last four are all rows."""


class Cutter:
    """Cuts recordings, one after the other, inside rows that follow each other under one label.

    Args:
        labels: what the files write, to the number of the class; other labels are no class.
        length: samples of a window.
        step: samples from one window to the next.
        fill: values that are missing are filled on a straight line where no more than so many follow each other.
    """

    def __init__(self, labels: Mapping[int, int], *, length: int, step: int, fill: int) -> None:
        self.labels, self.length, self.step, self.fill = labels, length, step, fill
        self.counts: Counter[str] = Counter(dict.fromkeys((*COUNTED, "values filled"), 0))
        self._x: list[npt.NDArray[np.float32]] = []
        self._columns: list[tuple[int, int, int, int]] = []  # label, person, run, start of every window
        self._runs = 0

    def add(self, person: int, signals: Floats, label: npt.NDArray[np.int64], breaks: npt.NDArray[np.bool_]) -> None:
        """Cut a recording.

        Args:
            person: whose it is.
            signals: (n, C), NaN where a value is missing.
            label: (n,) as the file writes it.
            breaks: (n,) whether a row does not follow the one before it in time.
        """
        signals, filled = fill(signals, self.fill, breaks)
        known = np.isin(label, list(self.labels))
        whole = ~np.isnan(signals).any(axis=1)
        good = known & whole
        starts = good & np.append(True, ~good[:-1] | (label[1:] != label[:-1]) | breaks[1:])
        begins = np.flatnonzero(starts)
        ends = np.append(begins, len(label))[1:]
        used = 0
        for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
            rows = int(good[begin:end].sum())  # all of them stand at its beginning
            windows = cut(rows, self.length, self.step)
            for start in windows:
                self._x.append(signals[begin + start : begin + start + self.length].T.astype(np.float32))
                self._columns.append((self.labels[int(label[begin])], person, self._runs, start))
            used += windows[-1] + self.length if windows else 0
            self._runs += 1
        lost = len(label) - used - int((~known).sum()) - int((known & ~whole).sum())
        counted = (len(label), used, int((~known).sum()), int((known & ~whole).sum()), lost)
        self.counts.update(dict(zip(COUNTED, counted, strict=True)))
        self.counts["values filled"] += filled

    def windows(self, test: tuple[int, ...]) -> Windows:
        """All windows; ``test`` are the people of the test side."""
        label, person, recording, start = np.array(self._columns, np.int64).reshape(-1, 4).T.copy()
        x = np.stack(self._x) if self._x else np.empty((0, 0, self.length), np.float32)
        return Windows(np.ascontiguousarray(x), label, person, np.isin(person, test), recording, start)


def fill(signals: Floats, most: int, breaks: npt.NDArray[np.bool_]) -> tuple[Floats, int]:
    """Signals with short stretches of missing values filled on a straight line, and how many values that were.

    A stretch at an end, or beside a break, has no value on both sides and stays.
    """
    out, filled = signals.copy(), 0
    part = np.cumsum(breaks)
    for column in out.T:
        missing = np.isnan(column)
        edges = np.flatnonzero(np.diff(np.concatenate([[False], missing, [False]]).astype(np.int8)))
        for begin, end in edges.reshape(-1, 2).tolist():
            inside = begin > 0 and end < len(column) and end - begin <= most and part[begin - 1] == part[end]
            if inside:
                column[begin:end] = np.linspace(column[begin - 1], column[end], end - begin + 2)[1:-1]
                filled += end - begin
    return out, filled


@dataclass(frozen=True)
class Original:
    """What the files are said to hold."""

    people: tuple[int, ...]
    rows: int


class PublishedFormat(Dataset):
    """A dataset of one text file a person, read by its published format since its bytes were never seen here.

    Class attributes:
        known: what the files are said to hold.
        columns: of a line.
        labels: what the files write, to the number of the class.
        length: samples of a window; windows are cut every half of it.
        fill: values missing in a row that are filled.
        test_people: the test side.
    """

    fixed = False
    known: ClassVar[Original]
    columns: ClassVar[int]
    labels: ClassVar[Mapping[int, int]]
    length: ClassVar[int]
    fill: ClassVar[int]
    test_people: ClassVar[tuple[int, ...]]

    @staticmethod
    @abstractmethod
    def member(person: int) -> str:
        """The file of a person."""

    @abstractmethod
    def recording(self, source: Source, member: str, table: Floats) -> Recording:
        """What a file's numbers, a line each, are.

        Raises:
            KdbenchError: a line is not what the format says.
        """

    def fingerprint(self, source: Source) -> str:
        # Whatever else lies beside these files is not read.
        total = hashlib.sha256()
        for person in self.known.people:
            total.update(hashlib.sha256(source.read(self.member(person))).digest())
        return total.hexdigest()

    def parse(self, source: Source | None) -> Windows:
        """Read every person's file and cut it into windows.

        Raises:
            KdbenchError: a file is missing, malformed (with its line), or gives no window.
        """
        source = self.given(source)
        cutter = Cutter(self.labels, length=self.length, step=self.length // 2, fill=self.fill)
        for person in self.known.people:
            member = self.member(person)
            table = numbers(source, member, columns=self.columns, missing=True)
            before = cutter.counts.copy()
            cutter.add(person, *self.recording(source, member, table))
            counts = cutter.counts - before
            if not counts["rows in windows"]:
                lost = ", ".join(f"{counts[key]} {key.removeprefix('rows ')}" for key in COUNTED[2:])
                what = f"has no run of {self.length} rows under one activity: {lost}"
                raise KdbenchError(f"{source.path}: {member} (person {person}) {what}, of {counts['rows']}")
        self._report = {**cutter.counts, "as many rows as published": cutter.counts["rows"] == self.known.rows}
        return cutter.windows(self.test_people)
