"""A dataset of the user's own: a folder with a description in TOML beside windows or recordings."""

from __future__ import annotations

import csv
import io
import tomllib
import zipfile
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from kdbench.data._archive import DAMAGE, MEMBER_LIMIT, Source
from kdbench.data._base import Channel, Dataset, Description, Windows
from kdbench.data._protocols import draw_people
from kdbench.data._text import refuse, shown
from kdbench.errors import KdbenchError, nearest

TOML = "dataset.toml"
UNITS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
RATE_TOLERANCE = 0.1
"""Share by which the median step between two times may differ from what the rate says."""

_LARGEST = float(np.finfo(np.float32).max)

Integers = npt.NDArray[np.int64]


class Own(Dataset):
    """Your own windows or recordings, from a folder with a dataset.toml, without any Python.

    The folder, or a zip or tar of it, holds ``dataset.toml`` and beside it either windows in ``.npz`` files or
    recordings in CSV files. The whole folder's content is part of the cache's key: after any change it is read anew.

    ``dataset.toml``, with what may be left out in brackets::

        name = "my_study"
        [title, citation, licence, url = texts]
        rate = 50.0                                  # Hz
        classes = ["walking", "sitting"]
        channels = [{ name = "acc_x", unit = "g" }, { name = "acc_y", unit = "g" }]

        [split]                                      # who is on the test side of subject-v1: either
        test = [3, 7]                                # these people
        # or
        fraction = 0.3                               # this share of the people, drawn by the seed
        [seed = 0]

        [windows]                                    # either: arrays in .npz files
        [files = "*.npz"]
        [x = "x"]                                    # (N, C, T), any real type
        [y = "y"]                                    # (N,), from 0, or names of classes
        [person = "person"]                          # (N,), whole numbers or texts
        [recording, start = names of arrays]         # (N,), which recording a window was cut from, and where it starts

        [recordings]                                 # or: CSV files with a line of column names
        [files = "*.csv"]
        person = "subject"                           # names of columns; a channel's is its name, or given as
        label = "activity"                           # { name = "acc_x", unit = "g", column = "ax" }
        [time = "t", time_unit = "s" | "ms" | "us" | "ns"]
        [gap = 0.03]                                 # s; a longer pause ends a run; 1.5 samples
        length = 128                                 # samples of a window
        step = 64
        [delimiter = ","]
        [labels = { W = "walking" }]                 # what the file writes, to the class; names of classes otherwise
        [unlabelled = ["", "null"]]                  # labels whose rows are left out

    Windows of recordings are cut inside runs: rows of one file that follow each other, of one person and one label,
    where ``time`` is given without a pause or a step back. Where ``.npz`` files do not say which windows overlap, all
    windows of a person count as overlapping. People written as texts are numbered from 1 in their order, which
    ``report`` gives. A value that is not a finite number, a class that is not described, and a column or array that is
    not there are errors that name the file and line.

    Args:
        path: the folder; if relative, from the current one.
    """

    name = "own"
    fixed = False

    def __init__(self, *, path: str = "") -> None:
        self.path = path
        self._report: Mapping[str, Any] = {}
        self._described: Description | None = None

    @property
    def place(self) -> Path:
        """The folder."""
        if not self.path:
            raise KdbenchError(f"own: path is missing; wanted own(path=FOLDER), a folder that holds {TOML}")
        place = Path(self.path).expanduser().absolute()
        if not place.exists():
            raise KdbenchError(f"own: {place} does not exist; wanted a folder that holds {TOML}")
        return place

    @property
    def description(self) -> Description:
        """What ``dataset.toml`` says; for windows, with the length that the arrays have."""
        if self._described is not None:
            return self._described
        with Source(self.place) as source:
            about = _About.read(source)
            length = about.recordings.length if about.recordings else _npz_length(source, about)
        return about.description(length)

    @property
    def report(self) -> Mapping[str, Any]:
        return self._report

    def parse(self, source: Source | None) -> Windows:
        """Read the windows, or cut the recordings into windows.

        Raises:
            KdbenchError: something is missing, malformed (with its line or row) or not described.
        """
        if source is None:
            raise KdbenchError(f"{self.name}: wanted a folder to read")
        about = _About.read(source)
        parts = _recordings(source, about) if about.recordings else _windows(source, about)
        numbers = _numbered(parts.people)
        person = np.array([numbers[who] for who in parts.people], np.int64)[parts.person]
        test = np.isin(person, about.test_people(source, numbers, person, parts.y))
        named = {str(number): who for who, number in numbers.items() if isinstance(who, str)}
        self._described = about.description(parts.x.shape[2])
        self._report = {**parts.report, **({"people": named} if named else {})}
        return Windows(parts.x, parts.y, person, test, parts.recording, parts.start)


@dataclass(frozen=True, eq=False)
class _Parts:
    """Windows whose people are still as written; ``person`` (N,) is an index into ``people``."""

    x: npt.NDArray[np.float32]
    y: Integers
    person: Integers
    recording: Integers
    start: Integers
    people: Sequence[int | str]
    report: Mapping[str, Any]


@dataclass(frozen=True)
class _WindowFiles:
    """The table ``[windows]``."""

    files: str = "*.npz"
    x: str = "x"
    y: str = "y"
    person: str = "person"
    recording: str = ""
    start: str = ""


@dataclass(frozen=True)
class _RecordingFiles:
    """The table ``[recordings]``."""

    person: str
    label: str
    length: int
    step: int
    files: str = "*.csv"
    time: str = ""
    time_unit: str = "s"
    gap: float = 0.0
    delimiter: str = ","
    labels: Mapping[str, str] | None = None
    unlabelled: tuple[str, ...] = ()


@dataclass(frozen=True)
class _About:
    """A ``dataset.toml``, checked. ``member`` is where it lies; the other files lie beside it."""

    member: str
    name: str
    rate: float
    classes: tuple[str, ...]
    channels: tuple[Channel, ...]
    columns: tuple[str, ...]
    texts: Mapping[str, str]
    test: tuple[int | str, ...] | None
    fraction: float
    seed: int
    windows: _WindowFiles | None
    recordings: _RecordingFiles | None

    @classmethod
    def read(cls, source: Source) -> _About:
        """Read and check the description.

        Raises:
            KdbenchError: it is missing, or something in it is missing, unknown or of the wrong form.
        """
        member = source.find(TOML)
        if member is None:
            raise KdbenchError(f"{source.path} holds no {TOML}; see `kdbench show own` for what to write into it")
        try:
            whole = tomllib.loads(source.read(TOML).decode("utf-8-sig"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise KdbenchError(f"{source.path}: {TOML} is not valid TOML: {error}") from None
        try:
            return cls._checked(member, _Table("", whole))
        except KdbenchError as error:
            raise KdbenchError(f"{source.path}: {TOML}: {error}") from None

    @classmethod
    def _checked(cls, member: str, table: _Table) -> _About:
        table.only(
            *("name", "title", "citation", "licence", "url", "rate", "classes", "channels"),
            *("split", "windows", "recordings"),
        )
        name = table.text("name")
        channels = [_Table(f"channels[{i}].", entry) for i, entry in enumerate(table.list("channels", dict))]
        for channel in channels:
            channel.only("name", "unit", "column")
        names = [channel.text("name") for channel in channels]
        classes = table.list("classes", str)
        for key, values in (("channels", names), ("classes", classes)):
            if twice := [value for value in values if values.count(value) > 1]:
                raise KdbenchError(f"{key} names {twice[0]!r} twice")
        if not channels or len(classes) < 2:
            raise KdbenchError("wanted one channel and two classes or more")
        if ("windows" in table.values) == ("recordings" in table.values):
            raise KdbenchError("wanted either a table [windows] or a table [recordings]")
        rule = table.table("split")
        rule.only("test", "fraction", "seed")
        if ("test" in rule.values) == ("fraction" in rule.values):
            raise KdbenchError("split: wanted either test, a list of people, or fraction, a share of them")
        return cls(
            member=member,
            name=name,
            rate=table.number("rate", 1e-6, 1e6),
            classes=tuple(classes),
            channels=tuple(Channel(channel.text("name"), channel.text("unit")) for channel in channels),
            columns=tuple(channel.text("column", channel.text("name")) for channel in channels),
            texts={key: table.text(key, "") for key in ("title", "citation", "licence", "url")},
            test=tuple(rule.list("test", int, str)) if "test" in rule.values else None,
            fraction=rule.number("fraction", 1e-6, 1 - 1e-6, 0.0),
            seed=rule.whole("seed", 0, 2**63 - 1, 0),
            windows=_window_files(table.table("windows")) if "windows" in table.values else None,
            recordings=_recording_files(table.table("recordings"), classes) if "recordings" in table.values else None,
        )

    def description(self, length: int) -> Description:
        """What is known of the dataset; ``length`` is that of a window."""
        return Description(
            name=self.name,
            title=self.texts["title"] or self.name,
            channels=self.channels,
            rate=self.rate,
            length=length,
            classes=self.classes,
            citation=self.texts["citation"],
            licence=self.texts["licence"],
            url=self.texts["url"],
        )

    def files(self, source: Source, pattern: str) -> list[str]:
        """Members beside the description, or in folders beside it, that fit a pattern."""
        beside = self.member.removesuffix(TOML)
        found = [
            name
            for name in source.names()
            if name.startswith(beside) and fnmatchcase(name.removeprefix(beside), pattern)
        ]
        if not found:
            raise KdbenchError(f"{source.path} holds no file {pattern!r} beside {self.member}")
        return found

    def test_people(self, source: Source, numbers: Mapping[int | str, int], person: Integers, y: Integers) -> list[int]:
        """Numbers of the people on the test side.

        Raises:
            KdbenchError: the rule names someone who is not there, or leaves one side empty.
        """
        people = sorted(set(person.tolist()))
        where = f"{source.path}: {TOML}: split"
        if len(people) < 2:
            raise KdbenchError(f"{where} wants two people or more with windows, found {len(people)}")
        if self.test is None:
            count = min(max(round(self.fraction * len(people)), 1), len(people) - 1)
            return draw_people(self.name, person, y, count=count, seed=self.seed)
        known = {str(who): number for who, number in numbers.items() if number in people}
        for who in map(str, self.test):
            if who not in known:
                raise KdbenchError(f"{where}: {nearest('the people', who, known)}")
        chosen = sorted({known[who] for who in map(str, self.test)})
        if not 0 < len(chosen) < len(people):
            raise KdbenchError(f"{where}: test names {len(chosen)} of {len(people)} people; wanted some, and some left")
        return chosen


class _Table:
    """A table of a TOML file; ``where`` begins its keys in messages."""

    def __init__(self, where: str, values: Mapping[str, Any]) -> None:
        self.where, self.values = where, values

    def only(self, *known: str) -> None:
        for key in self.values:
            if key not in known:
                raise KdbenchError(nearest(f"keys of {self.where.rstrip('.') or TOML}", key, known))

    def get(self, key: str, wanted: str, types: tuple[type, ...], default: Any = None) -> Any:
        value = self.values.get(key, default)
        if value is None:
            raise KdbenchError(f"{self.where}{key} is missing, wanted {wanted}")
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise self.wrong(key, value, wanted)
        return value

    def wrong(self, key: str, value: object, wanted: str) -> KdbenchError:
        return KdbenchError(f"{self.where}{key} is {ascii(value)[:40]}, wanted {wanted}")

    def text(self, key: str, default: str | None = None) -> str:
        value: str = self.get(key, "a text", (str,), default)
        if (not value and default is None) or not value.isprintable():
            raise self.wrong(key, value, "a text of one line")
        return value

    def number(self, key: str, low: float, high: float, default: float | None = None) -> float:
        wanted = f"a number from {low:g} to {high:g}"
        value = float(self.get(key, wanted, (int, float), default))
        if value != default and not low <= value <= high:
            raise self.wrong(key, value, wanted)
        return value

    def whole(self, key: str, low: int, high: int, default: int | None = None) -> int:
        wanted = f"a whole number from {low} to {high}"
        value: int = self.get(key, wanted, (int,), default)
        if not low <= value <= high:
            raise self.wrong(key, value, wanted)
        return value

    def list(self, key: str, *types: type, default: Sequence[Any] | None = None) -> list[Any]:
        wanted = "a list of " + " or ".join({str: "texts", int: "whole numbers", dict: "tables"}[t] for t in types)
        value = list(self.get(key, wanted, (list, tuple), default))
        for item in value:
            if not isinstance(item, types) or isinstance(item, bool) or (isinstance(item, str) and not _plain(item)):
                raise self.wrong(key, item, wanted)
        return value

    def table(self, key: str) -> _Table:
        return _Table(f"{self.where}{key}.", self.get(key, "a table", (dict,)))


def _plain(text: str) -> bool:
    return text.isprintable()


def _window_files(table: _Table) -> _WindowFiles:
    table.only(*_WindowFiles.__dataclass_fields__)
    found = _WindowFiles(**{key: table.text(key) for key in table.values})
    if bool(found.recording) != bool(found.start):
        raise KdbenchError("windows: wanted both recording and start, or neither")
    return found


def _recording_files(table: _Table, classes: Sequence[str]) -> _RecordingFiles:
    table.only(*_RecordingFiles.__dataclass_fields__)
    labels = None
    if "labels" in table.values:
        given = table.table("labels")
        labels = {key: given.text(key) for key in given.values}
        for name in labels.values():
            if name not in classes:
                raise KdbenchError(f"recordings.labels: {nearest('classes', name, classes)}")
    unit, delimiter = table.text("time_unit", "s"), table.get("delimiter", "one character", (str,), ",")
    if unit not in UNITS:
        raise KdbenchError(f"recordings.time_unit: {nearest('units', unit, UNITS)}")
    if len(delimiter) != 1 or delimiter in '\r\n"':
        raise table.wrong("delimiter", delimiter, "one character")
    return _RecordingFiles(
        person=table.text("person"),
        label=table.text("label"),
        length=table.whole("length", 2, 100_000),
        step=table.whole("step", 1, 100_000),
        files=table.text("files", "*.csv"),
        time=table.text("time", ""),
        time_unit=unit,
        gap=table.number("gap", 1e-9, 1e9, 0.0),
        delimiter=delimiter,
        labels=labels,
        unlabelled=tuple(table.list("unlabelled", str, default=())),
    )


def _numbered(people: Iterable[int | str]) -> dict[int | str, int]:
    """Numbers for people as written: their own, or from 1 in the order of the texts."""
    everyone = set(people)
    if all(isinstance(who, int) for who in everyone):
        return {who: int(who) for who in sorted(everyone, key=int)}
    return {who: number for number, who in enumerate(sorted(everyone, key=str), start=1)}


# ------------------------------------------------------------------------------------------------- windows in .npz


def _windows(source: Source, about: _About) -> _Parts:
    assert about.windows is not None
    spec = about.windows
    x: list[npt.NDArray[np.float32]] = []
    y: list[Integers] = []
    written: list[int | str] = []
    origins: list[Integers] = []
    files = about.files(source, spec.files)
    for number, member in enumerate(files):
        with _Npz(source, member) as npz:
            signals = npz.read(spec.x)
            rows = len(signals) if signals.ndim else 0
            wanted = (len(about.channels), *x[0].shape[2:]) if x else (len(about.channels),)
            if signals.ndim != 3 or signals.shape[1 : 1 + len(wanted)] != wanted or not signals.size:
                shape = ", ".join(["N", *map(str, wanted), "T"][:3])
                raise KdbenchError(
                    f"{npz.where(spec.x)} has shape {signals.shape}, wanted ({shape}): window, channel, time"
                )
            x.append(_finite(npz.where(spec.x), signals))
            y.append(_class_numbers(npz, about, rows))
            written += _people(npz, spec.person, rows)
            if spec.recording:
                recording, start = (npz.whole(name, rows) for name in (spec.recording, spec.start))
                origins.append(np.stack([np.full(rows, number), recording, start]))
    place = {who: index for index, who in enumerate(dict.fromkeys(written))}
    person = np.array([place[who] for who in written], np.int64)
    if origins:
        file, recording, start = np.concatenate(origins, axis=1)
        _, recording = np.unique(np.stack([file, recording]), axis=1, return_inverse=True)
        recording = recording.reshape(-1).astype(np.int64)
    else:
        recording, start = person.copy(), np.zeros(len(person), np.int64)
    signals = np.ascontiguousarray(np.concatenate(x))
    report = {"files": len(files), "windows": len(signals)}
    return _Parts(signals, np.concatenate(y), person, recording, start, list(place), report)


def _npz_length(source: Source, about: _About) -> int:
    assert about.windows is not None
    with _Npz(source, about.files(source, about.windows.files)[0]) as npz:
        shape = npz.shape(about.windows.x)
        if len(shape) != 3:
            raise KdbenchError(f"{npz.where(about.windows.x)} has shape {shape}, wanted (N, C, T)")
        return shape[2]


class _Npz:
    """The arrays of an ``.npz`` file. Nothing is unpickled, and nothing is made larger than the file says it is."""

    def __init__(self, source: Source, member: str) -> None:
        self.source, self.member = source, member
        try:
            self.zip = zipfile.ZipFile(io.BytesIO(source.read(member)))
        except (OSError, *DAMAGE) as error:
            raise KdbenchError(
                f"{source.path}: {member} is not an .npz file ({' '.join(str(error).split())})"
            ) from None

    def __enter__(self) -> _Npz:
        return self

    def __exit__(self, *error: object) -> None:
        self.zip.close()

    def where(self, name: str) -> str:
        return f"{self.source.path}: {self.member}: array {name!r}"

    def shape(self, name: str) -> tuple[int, ...]:
        return self._open(name)[0]

    def read(self, name: str) -> npt.NDArray[Any]:
        """An array of numbers, truth values or texts."""
        shape, fortran, dtype, content = self._open(name)
        if dtype.kind not in "biufU":
            raise KdbenchError(f"{self.where(name)} is of type {dtype}, wanted numbers or texts")
        flat = np.frombuffer(content, dtype)
        return flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)

    def whole(self, name: str, rows: int) -> Integers:
        """(rows,) whole numbers."""
        array = self.read(name)
        if array.shape != (rows,) or array.dtype.kind not in "iu":
            raise KdbenchError(
                f"{self.where(name)} has shape {array.shape} and type {array.dtype}, wanted ({rows},) whole numbers"
            )
        return array.astype(np.int64)

    def _open(self, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], bytes]:
        known = [entry.removesuffix(".npy") for entry in self.zip.namelist()]
        if name not in known:
            raise KdbenchError(f"{self.source.path}: {nearest(f'the arrays of {self.member}', name, known)}")
        info = self.zip.getinfo(f"{name}.npy")
        if info.file_size > MEMBER_LIMIT:
            raise KdbenchError(f"{self.where(name)} has {info.file_size} bytes, more than the {MEMBER_LIMIT} allowed")
        try:
            content = io.BytesIO(self.zip.read(info))
            major, _ = np.lib.format.read_magic(content)
            header = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = header(content)
            rest = content.read()
        except (OSError, RuntimeError, *DAMAGE) as error:
            raise KdbenchError(f"{self.where(name)} cannot be read ({' '.join(str(error).split())})") from None
        wanted = dtype.itemsize
        for size in shape:
            wanted *= size
        if dtype.hasobject or wanted != len(rest) or min(shape, default=0) < 0:
            raise KdbenchError(f"{self.where(name)} has {len(rest)} bytes, wanted those of {dtype} {shape}")
        return shape, fortran, dtype, rest


def _finite(where: str, signals: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    if signals.dtype.kind not in "iuf":
        raise KdbenchError(f"{where} is of type {signals.dtype}, wanted numbers")
    with np.errstate(over="ignore"):
        out: npt.NDArray[np.float32] = signals.astype(np.float32)
    bad = ~np.isfinite(out).all(axis=(1, 2))
    if bad.any():
        raise KdbenchError(f"{where} holds a value that is not finite in row {int(np.argmax(bad))}, counted from 0")
    return out


def _class_numbers(npz: _Npz, about: _About, rows: int) -> Integers:
    assert about.windows is not None
    name, classes = about.windows.y, about.classes
    y = npz.read(name)
    if y.shape == (rows,) and y.dtype.kind == "U":
        for row, text in enumerate(y.tolist()):
            if text not in classes:
                raise KdbenchError(f"{npz.where(name)} row {row}, counted from 0: {nearest('classes', text, classes)}")
        return np.array([classes.index(text) for text in y.tolist()], np.int64)
    y = npz.whole(name, rows)
    bad = (y < 0) | (y >= len(classes))
    if bad.any():
        row = int(np.argmax(bad))
        raise KdbenchError(
            f"{npz.where(name)} is {y[row]} in row {row}, counted from 0; wanted 0 to {len(classes) - 1}"
        )
    return y


def _people(npz: _Npz, name: str, rows: int) -> list[int | str]:
    people = npz.read(name)
    if people.dtype.kind != "U":
        return list(npz.whole(name, rows).tolist())
    if people.shape != (rows,):
        raise KdbenchError(f"{npz.where(name)} has shape {people.shape}, wanted ({rows},)")
    return list(people.tolist())


# ------------------------------------------------------------------------------------------------ recordings in CSV


@dataclass(frozen=True, eq=False)
class _Run:
    """Rows that follow each other, of one person and label; ``signals`` (rows, C)."""

    person: int | str
    label: int
    signals: npt.NDArray[np.float64]


class _Reader:
    """The runs of CSV files, read row by row."""

    def __init__(self, source: Source, about: _About) -> None:
        assert about.recordings is not None
        self.source, self.about, self.spec = source, about, about.recordings
        self.gap = self.spec.gap or 1.5 / about.rate
        names = {name: label for label, name in enumerate(about.classes)}
        self.labels = {text: names[name] for text, name in (self.spec.labels or {n: n for n in names}).items()}
        self.rows = self.left_out = 0
        self.runs: list[_Run] = []
        self.steps = array("d")

    def read(self, member: str) -> None:
        """Add the runs of a file."""
        try:
            text = self.source.read(member).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            refuse(self.source, member, line, "is not UTF-8 text")
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=self.spec.delimiter, strict=True)
        try:
            self._runs(member, rows)
        except csv.Error as error:
            refuse(self.source, member, rows.line_num, f"is not valid CSV ({error})")

    def _runs(self, member: str, rows: Any) -> None:
        header = [name.strip() for name in next(rows, [])]
        person, label, *channels = (
            self._column(member, header, name) for name in (self.spec.person, self.spec.label, *self.about.columns)
        )
        clock = self._column(member, header, self.spec.time) if self.spec.time else None
        run: tuple[str, str] | None = None
        now, values = 0.0, array("d")
        for row in rows:
            if not row:
                continue
            if len(row) != len(header):
                refuse(self.source, member, rows.line_num, f"has {len(row)} fields, wanted {len(header)}")
            who, what = row[person].strip(), row[label].strip()
            self.rows += 1
            before, goes_on = now, run == (who, what)
            if clock is not None:
                now = self._number(member, rows.line_num, self.spec.time, row[clock]) / UNITS[self.spec.time_unit]
                if goes_on:
                    goes_on = 0 < now - before <= self.gap
                    if now > before:
                        self.steps.append(now - before)
            if not goes_on:
                self._end(run, values)
                values = array("d")
                run = None if what in self.spec.unlabelled else (who, what)
                if run is not None and what not in self.labels:
                    refuse(self.source, member, rows.line_num, f"has label {shown(what)}: {self._unknown(what)}")
                if run is not None and not who:
                    refuse(self.source, member, rows.line_num, f"has no {self.spec.person}")
            if run is None:
                self.left_out += 1
                continue
            for column, name in zip(channels, self.about.columns, strict=True):
                values.append(self._number(member, rows.line_num, name, row[column]))
        self._end(run, values)

    def _unknown(self, what: str) -> str:
        return nearest("classes" if self.spec.labels is None else "labels", what, self.labels)

    def _end(self, run: tuple[str, str] | None, values: array[float]) -> None:
        if run is not None:
            signals = np.array(values, np.float64).reshape(-1, len(self.about.columns))
            self.runs.append(_Run(run[0], self.labels[run[1]], signals))

    def _column(self, member: str, header: list[str], name: str) -> int:
        if header.count(name) != 1:
            what = nearest("its columns", name, header) if name not in header else f"names column {name!r} twice"
            raise KdbenchError(f"{self.source.path}: {member} line 1: {what}")
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


def _recordings(source: Source, about: _About) -> _Parts:
    reader = _Reader(source, about)
    files = about.files(source, reader.spec.files)
    for member in files:
        reader.read(member)
    _check_rate(source, about, reader)
    spec = reader.spec
    written = [_as_number(run.person) for run in reader.runs]
    if not all(isinstance(who, int) for who in written):
        written = [run.person for run in reader.runs]
    place = {who: index for index, who in enumerate(dict.fromkeys(written))}
    x: list[npt.NDArray[np.float32]] = []
    columns, short = [], 0
    for number, (run, who) in enumerate(zip(reader.runs, written, strict=True)):
        short += len(run.signals) < spec.length
        for start in range(0, len(run.signals) - spec.length + 1, spec.step):
            x.append(run.signals[start : start + spec.length].T.astype(np.float32))
            columns.append((run.label, place[who], number, start))
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
    return _Parts(np.ascontiguousarray(np.stack(x)), label, person, recording, start, list(place), report)


def _as_number(who: int | str) -> int | str:
    return int(who) if isinstance(who, str) and who.isascii() and who.isdecimal() and len(who) < 19 else who


def _check_rate(source: Source, about: _About, reader: _Reader) -> None:
    """Times that disagree with the rate are a wrong rate or a wrong unit of time."""
    if not reader.steps:
        return
    median = float(np.median(np.array(reader.steps)))
    if abs(median * about.rate - 1) > RATE_TOLERANCE:
        raise KdbenchError(
            f"{source.path}: {TOML}: rate is {about.rate:g} Hz, but column {reader.spec.time!r} in "
            f"{reader.spec.time_unit} gives {1 / median:.4g} Hz; wanted equal"
        )
