"""CSV files of a user's own recordings: from text to arrays of one length."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from kdbench.data._archive import Source
from kdbench.data._own.people import ABSENT, People
from kdbench.data._own.settings import ISO, UNITS, Told
from kdbench.data._own.table import TOML
from kdbench.data._own.times import dates, is_date
from kdbench.data._own.toml import About, Integers
from kdbench.data._text import refuse, shown
from kdbench.errors import KdbenchError, nearest

Floats = npt.NDArray[np.float64]

NARROW = f"; if it is none of the recordings, narrow files in {TOML}"
LOOKED_AT = 2000
"""Rows by which it is judged whether devices stand in turn."""

_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, eq=False)
class Rows:
    """N rows of a file, in its order.

    ``person`` is an index into the names of all people, ``label`` of a class, ``recording`` of what the file's column
    for it says; -1 where nothing is said. ``time`` is in seconds, ``values`` (N, C) NaN where one is missing or the
    row has no label. ``turns`` is a column that nobody named and that goes to and fro row by row.
    """

    member: str
    line: Integers
    person: Integers
    label: Integers
    recording: Integers
    time: Floats | None
    unit: str
    values: Floats
    turns: str = ""


@dataclass(frozen=True, eq=False)
class _Text:
    """A file's columns as they are written, by name; ``first`` are the first rows, with every column."""

    member: str
    header: list[str]
    line: Integers
    columns: dict[str, list[str]]
    first: list[list[str]]


class Reader:
    """Reads files of one dataset; people are numbered as they are met."""

    def __init__(self, source: Source, about: About, people: People) -> None:
        assert about.recordings is not None
        self.source, self.about, self.spec, self.people = source, about, about.recordings, people
        names = {name: label for label, name in enumerate(about.classes)}
        self.unlabelled: Counter[tuple[str, str]] = Counter()  # rows without a label, by file and what names a person
        self.labels = {text: names[name] for text, name in (self.spec.labels or {n: n for n in names}).items()}

    def rows(self, member: str, columns: Sequence[str], *, labelled: bool = True) -> Rows:
        """The rows of a file with some columns of values; people and labels are left out where it has none.

        Raises:
            KdbenchError: a line that is malformed, or something in it that is not described.
        """
        told = (self.spec.person, self.spec.label, self.spec.recording) if labelled else ()
        wanted = [*(column for each in told for column in each.columns), *columns]
        text = self._text(member, [*wanted, *filter(None, [self.spec.time])])
        count = len(text.line)
        nothing = np.zeros(count, np.int64)
        label = self._labels(text) if labelled else nothing
        person = self._people(text, label) if labelled else nothing
        recording = self._recordings(text) if labelled else nothing
        time, unit = self._times(text)
        values = np.full((count, len(columns)), np.nan)
        rows = np.flatnonzero(label >= 0)
        for number, column in enumerate(columns):
            values[rows, number] = self._numbers(text, column, rows)
        turns = self._turns(text, wanted) if labelled else ""
        return Rows(member, text.line, person, label, recording, time, unit, values, turns)

    def _text(self, member: str, wanted: Sequence[str]) -> _Text:
        reader = csv.reader(io.StringIO(self._decoded(member), newline=""), delimiter=self.spec.delimiter, strict=True)
        lines: list[int] = []
        first: list[list[str]] = []
        try:
            header = [name.strip() for name in next(reader, [])]
            if not any(header):
                refuse(self.source, member, 1, f"is empty, wanted names of columns{NARROW}")
            places = [self._place(member, header, name) for name in wanted]
            cells: list[list[str]] = [[] for _ in places]
            for row in reader:
                if not row:
                    continue
                if len(row) != len(header):
                    refuse(self.source, member, reader.line_num, f"has {len(row)} fields, wanted {len(header)}")
                lines.append(reader.line_num)
                if len(first) < LOOKED_AT:
                    first.append(row)
                for cell, place in zip(cells, places, strict=True):
                    cell.append(row[place])
        except csv.Error as error:
            refuse(self.source, member, reader.line_num, f"is not valid CSV ({error}){NARROW}")
        return _Text(member, header, np.array(lines, np.int64), dict(zip(wanted, cells, strict=True)), first)

    def _decoded(self, member: str) -> str:
        content = self.source.read(member)
        wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        try:
            return content.decode("utf-16" if wide else "utf-8-sig")
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            refuse(self.source, member, line, f"is not UTF-8 text{NARROW}")

    def _place(self, member: str, header: list[str], name: str) -> int:
        if header.count(name) == 1:
            return header.index(name)
        what = f"names column {name!r} twice" if name in header else nearest("its columns", name, map(_plain, header))
        other = next((sign for sign in ";\t|, " if sign in "".join(header)), "") if len(header) == 1 else ""
        hint = f"; with delimiter = {other!a} it has more columns" if other and name in header[0] else NARROW
        raise KdbenchError(f"{self.source.path}: {member} line 1: {what}{hint}")

    def _labels(self, text: _Text) -> Integers:
        spec = self.spec
        written = self._said(text, spec.label)
        known: dict[str, int] = {}
        label = np.empty(len(written), np.int64)
        for row, raw in enumerate(written):
            if raw not in known:
                what = raw.strip()
                if what in spec.unlabelled:
                    known[raw] = -1
                elif what in self.labels:
                    known[raw] = self.labels[what]
                else:
                    near = nearest("classes" if spec.labels is None else "labels", what, self.labels)
                    hint = "; unlabelled = [...] names labels whose rows are left out"
                    self._refuse(text, row, f"has label {shown(what)}: {near}{hint}")
            label[row] = known[raw]
        return label

    def _people(self, text: _Text, label: Integers) -> Integers:
        """Who each row is of; of rows without a label only where someone is known by that name."""
        written = self._said(text, self.spec.person)
        known: dict[str, int] = {}
        person = np.full(len(written), -1)
        for row, (who, what) in enumerate(zip(written, label.tolist(), strict=True)):
            if what >= 0 and who not in known:
                parts = [text.columns[name][row] for name in self.spec.person.columns]
                lacking = next(filter(self._missing, parts), who)  # one of several columns is enough
                known[who] = self.people.index(lacking, f"{self.source.path}: {text.member} line {text.line[row]}")
            person[row] = known.get(who, -1)
            if what < 0:
                self.unlabelled[text.member, who] += 1
        return person

    def _recordings(self, text: _Text) -> Integers:
        if not self.spec.recording.columns:
            return np.zeros(len(text.line), np.int64)
        known: dict[str, int] = {}
        said = self._said(text, self.spec.recording)
        return np.array([known.setdefault(name.strip(), len(known)) for name in said], np.int64)

    def _said(self, text: _Text, told: Told) -> list[str]:
        """What is told of each row."""
        if told.name:
            try:
                return [told.of(text.member)] * len(text.line)
            except KdbenchError as error:
                raise KdbenchError(f"{self.source.path}: {error}{NARROW}") from None
        columns = [text.columns[name] for name in told.columns]
        return (
            columns[0] if len(columns) == 1 else [" ".join(map(str.strip, row)) for row in zip(*columns, strict=True)]
        )

    def _times(self, text: _Text) -> tuple[Floats | None, str]:
        column, unit = self.spec.time, self.spec.time_unit
        if not column:
            return None, ""
        written = text.columns[column]
        if unit == ISO or (not unit and is_date(next(filter(str.strip, written), "0"))):
            try:
                return dates(written, self._missing), ISO
            except ValueError as error:
                row, what = error.args
                self._refuse(text, row, f"holds {shown(written[row])} in column {column!r}, {what}")
        unit = unit or "s"
        return self._numbers(text, column, np.arange(len(written))) / UNITS[unit], unit

    def _numbers(self, text: _Text, column: str, rows: Integers) -> Floats:
        """A column's numbers in some rows."""
        written = text.columns[column]
        if len(rows) < len(written):
            written = [written[row] for row in rows.tolist()]
        if self.spec.decimal != ".":
            written = [each.replace(".", "?").replace(self.spec.decimal, ".") for each in written]
        try:
            values = np.array(list(map(float, written)), np.float64)
            if bool((np.abs(values) <= _LARGEST).all()) and not any("_" in each for each in written):
                return values
        except ValueError:
            pass
        numbers = (self._number(text, int(row), column, each) for row, each in zip(rows, written, strict=True))
        return np.array(list(numbers), np.float64)

    def _number(self, text: _Text, row: int, column: str, written: str) -> float:
        said = f"holds {shown(text.columns[column][row])} in column {column!r},"
        try:
            value = float("?" if "_" in written else written)
        except ValueError:
            value = None
        if self._missing(written):
            if self.spec.fill is not None:
                return float("nan")
            way = '; missing = "drop" leaves such rows out, missing = "fill N" fills up to N in a row'
        else:
            way = ""
            if value is not None and abs(value) <= _LARGEST:
                return value
        if value is not None:
            self._refuse(text, row, f"{said} a value that is not finite{way}")
        if re.fullmatch(r"\s*[-+]?\d+,\d+\s*", written):
            way = "; decimal = ',' reads such numbers"
        self._refuse(text, row, f"{said} wanted a number{way}")

    def _missing(self, written: str) -> bool:
        return written.strip().lower() in ABSENT

    def _turns(self, text: _Text, used: Sequence[str]) -> str:
        """A column of few texts, not used, that goes to and fro from most rows to the next."""
        if self.spec.recording.columns or len(text.first) < 8:
            return ""
        for place, name in enumerate(text.header):
            if name in used or name == self.spec.time or not name:
                continue
            said = [row[place] for row in text.first]
            changes = sum(one != other for one, other in itertools.pairwise(said))
            if 2 <= len(set(said)) <= 8 and 2 * changes > len(said) and all(each.strip() for each in said):
                return name
        return ""

    def _refuse(self, text: _Text, row: int, what: str) -> NoReturn:
        refuse(self.source, text.member, int(text.line[row]), what)


def _plain(name: str) -> str:
    return name if name.isprintable() else ascii(name)
