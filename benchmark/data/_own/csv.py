"""A user's own recordings: CSV files, cut into windows."""

from __future__ import annotations

import csv
import io
from array import array
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from kdbench.data._archive import Source
from kdbench.data._base import cut
from kdbench.data._own.people import People
from kdbench.data._own.toml import TOML, UNITS, About, Parts
from kdbench.data._text import refuse, shown
from kdbench.errors import KdbenchError, nearest

RATE_TOLERANCE = 0.1
"""Share by which the median step between two times may differ from what the rate says."""

_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, eq=False)
class _Run:
    """Rows that follow each other, of one person and label; ``signals`` (rows, C)."""

    where: str
    person: int
    label: int
    signals: npt.NDArray[np.float64]


NARROW = f"; if it is none of the recordings, narrow files in {TOML}"


class _Reader:
    """The runs of CSV files, read row by row."""

    def __init__(self, source: Source, about: About) -> None:
        assert about.recordings is not None
        self.source, self.about, self.spec = source, about, about.recordings
        self.gap = self.spec.gap or 1.5 / about.rate
        names = {name: label for label, name in enumerate(about.classes)}
        self.labels = {text: names[name] for text, name in (self.spec.labels or {n: n for n in names}).items()}
        self.people = People()
        self.rows = self.left_out = 0
        self.runs: list[_Run] = []
        self.steps = array("d")

    def read(self, member: str) -> None:
        """Add the runs of a file."""
        try:
            text = self.source.read(member).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            refuse(self.source, member, line, f"is not UTF-8 text{NARROW}")
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=self.spec.delimiter, strict=True)
        try:
            self._runs(member, rows)
        except csv.Error as error:
            refuse(self.source, member, rows.line_num, f"is not valid CSV ({error}){NARROW}")

    def _runs(self, member: str, rows: Any) -> None:
        header = [name.strip() for name in next(rows, [])]
        person, label, *channels = (
            self._column(member, header, name) for name in (self.spec.person, self.spec.label, *self.about.columns)
        )
        clock = self._column(member, header, self.spec.time) if self.spec.time else None
        run: tuple[int, str] | None = None
        first = 0  # line of the run
        now, values = 0.0, array("d")
        for row in rows:
            if not row:
                continue
            if len(row) != len(header):
                refuse(self.source, member, rows.line_num, f"has {len(row)} fields, wanted {len(header)}")
            what, line = row[label].strip(), rows.line_num
            here = None
            if what not in self.spec.unlabelled:
                if what not in self.labels:
                    refuse(self.source, member, line, f"has label {shown(what)}: {self._unknown(what)}")
                here = (self.people.index(row[person], f"{self.source.path}: {member} line {line}"), what)
            self.rows += 1
            before, goes_on = now, run is not None and run == here
            if clock is not None:
                now = self._number(member, line, self.spec.time, row[clock]) / UNITS[self.spec.time_unit]
                if goes_on:
                    goes_on = 0 < now - before <= self.gap
                    if now > before:
                        self.steps.append(now - before)
            if not goes_on:
                self._end(member, first, run, values)
                run, first, values = here, line, array("d")
            if run is None:
                self.left_out += 1
                continue
            for column, name in zip(channels, self.about.columns, strict=True):
                values.append(self._number(member, line, name, row[column]))
        self._end(member, first, run, values)

    def _unknown(self, what: str) -> str:
        return nearest("classes" if self.spec.labels is None else "labels", what, self.labels)

    def _end(self, member: str, line: int, run: tuple[int, str] | None, values: array[float]) -> None:
        if run is not None:
            signals = np.array(values, np.float64).reshape(-1, len(self.about.columns))
            self.runs.append(_Run(f"{member} line {line}", run[0], self.labels[run[1]], signals))

    def _column(self, member: str, header: list[str], name: str) -> int:
        if header.count(name) != 1:
            what = nearest("its columns", name, header) if name not in header else f"names column {name!r} twice"
            raise KdbenchError(f"{self.source.path}: {member} line 1: {what}{NARROW}")
        return header.index(name)

    def _number(self, member: str, line: int, column: str, text: str) -> float:
        try:
            value = float("?" if "_" in text else text)
        except ValueError:
            self._wrong(member, line, column, text, "wanted a number")
        if not abs(value) <= _LARGEST:
            self._wrong(member, line, column, text, "a value that is not finite")
        return value

    def _wrong(self, member: str, line: int, column: str, text: str, what: str) -> NoReturn:
        refuse(self.source, member, line, f"holds {shown(text)} in column {column!r}, {what}")


def read_recordings(source: Source, about: About) -> Parts:
    reader = _Reader(source, about)
    files = about.files(source, reader.spec.files)
    for member in files:
        reader.read(member)
    _check_rate(source, about, reader)
    spec = reader.spec
    x: list[npt.NDArray[np.float32]] = []
    columns, short = [], 0
    for number, run in enumerate(reader.runs):
        short += len(run.signals) < spec.length
        for start in cut(len(run.signals), spec.length, spec.step):
            x.append(run.signals[start : start + spec.length].T.astype(np.float32))
            columns.append((run.label, run.person, number, start))
    if not x:
        raise KdbenchError(f"{source.path}: no run of one person and label has {spec.length} samples")
    label, person, recording, start = np.array(columns, np.int64).T.copy()
    report = {
        "files": len(files),
        "rows": reader.rows,
        "rows without a label": reader.left_out,
        "runs": len(reader.runs),
        "runs too short for a window": short,
    }
    recordings = [f"the run from {run.where}" for run in reader.runs]
    people = reader.people.names
    return Parts(np.ascontiguousarray(np.stack(x)), label, person, recording, start, people, recordings, report)


def _check_rate(source: Source, about: About, reader: _Reader) -> None:
    """Times that disagree with the rate are a wrong rate or a wrong unit of time."""
    if not reader.steps:
        return
    median = float(np.median(np.array(reader.steps)))
    if abs(median * about.rate - 1) > RATE_TOLERANCE:
        raise KdbenchError(
            f"{source.path}: {TOML}: rate is {about.rate:g} Hz, but column {reader.spec.time!r} in "
            f"{reader.spec.time_unit} gives {1 / median:.4g} Hz; wanted equal"
        )
