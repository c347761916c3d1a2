"""The description of a user's own dataset: a ``dataset.toml``, read and checked."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from kdbench.data._archive import Source
from kdbench.data._base import Channel, Description
from kdbench.data._own.people import Name, person_name
from kdbench.data._protocols import draw_people
from kdbench.errors import KdbenchError, nearest

TOML = "dataset.toml"
UNITS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Parts:
    """Windows whose people still go by name: ``person`` (N,) is an index into ``people``.

    ``recording`` (N,) is one into ``recordings``, which say where each comes from.
    """

    x: npt.NDArray[np.float32]
    y: Integers
    person: Integers
    recording: Integers
    start: Integers
    people: list[Name]
    recordings: Sequence[str]
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
class About:
    """A ``dataset.toml``, checked. ``member`` is where it lies; the other files lie beside it."""

    member: str
    name: str
    rate: float
    classes: tuple[str, ...]
    channels: tuple[Channel, ...]
    columns: tuple[str, ...]
    texts: Mapping[str, str]
    test: tuple[Name, ...] | None
    fraction: float
    seed: int
    windows: _WindowFiles | None
    recordings: _RecordingFiles | None

    @classmethod
    def read(cls, source: Source) -> About:
        """Read and check the description.

        Raises:
            KdbenchError: it is missing, or something in it is missing, unknown or of the wrong form.
        """
        member = source.find(TOML)
        if member is None:
            raise KdbenchError(f"{source.path} holds no {TOML}; see `kdbench show own` for what to write into it")
        try:
            whole = tomllib.loads(source.read(TOML).decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:  # beside TOMLDecodeError, for numbers of thousands of digits
            raise KdbenchError(f"{source.path}: {TOML} is not valid TOML: {error}") from None
        try:
            return cls._checked(member, _Table("", whole))
        except KdbenchError as error:
            raise KdbenchError(f"{source.path}: {TOML}: {error}") from None

    @classmethod
    def _checked(cls, member: str, table: _Table) -> About:
        table.only(
            *("name", "title", "citation", "licence", "url", "rate", "classes", "channels"),
            *("split", "windows", "recordings"),
        )
        name = table.text("name")
        channels = [_Table(f"channels[{i}].", entry) for i, entry in enumerate(table.list("channels", dict))]
        for channel in channels:
            channel.only("name", "unit", "column")
        names = [channel.text("name") for channel in channels]
        columns = [channel.text("column", channel.text("name")) for channel in channels]
        classes = table.list("classes", str)
        if not all(map(str.strip, classes)):
            raise table.wrong("classes", "", "a list of names")
        for key, values in (("channels", names), ("columns of channels", columns), ("classes", classes)):
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
        if {"test", "seed"} <= rule.values.keys():
            raise KdbenchError("split: seed draws a fraction; where test names the people, it does nothing")
        return cls(
            member=member,
            name=name,
            rate=table.number("rate", 1e-6, 1e6),
            classes=tuple(classes),
            channels=tuple(Channel(channel.text("name"), channel.text("unit")) for channel in channels),
            columns=tuple(columns),
            texts={key: table.text(key, "") for key in ("title", "citation", "licence", "url")},
            test=tuple(rule.list("test", int, str)) if "test" in rule.values else None,
            fraction=rule.number("fraction", 1e-6, 1 - 1e-6, default=0.0),
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
        """Members beside the description that fit a pattern as shells read it; none that is hidden.

        ``*`` does not go into folders, ``**/`` is any folder beside the description or in one, or none.
        """
        beside = self.member.removesuffix(TOML)
        inside = [name.removeprefix(beside) for name in source.names() if name.startswith(beside)]
        found = [beside + name for name in inside if _fits(name, pattern)]
        if not found:
            deeper = [name for name in inside if _fits(name, f"**/{pattern}")]
            hint = f"; {deeper[0]} is in a folder, which files = '**/{pattern}' goes into" if deeper else ""
            raise KdbenchError(f"{source.path} holds no file {pattern!r} beside {self.member}{hint}")
        return found

    def test_people(self, source: Source, numbers: Mapping[Name, int], person: Integers, y: Integers) -> list[int]:
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
        chosen = set()
        for who in map(person_name, self.test):
            if who not in numbers:
                raise KdbenchError(f"{where}: {nearest('the people', str(who), map(str, numbers))}")
            if numbers[who] not in people:
                raise KdbenchError(f"{where}: test person {who!r} has no run as long as a window; wanted one or more")
            chosen.add(numbers[who])
        if not 0 < len(chosen) < len(people):
            raise KdbenchError(f"{where}: test names {len(chosen)} of {len(people)} people; wanted some, and some left")
        return sorted(chosen)


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
        try:
            said = ascii(value)[:40]
        except ValueError:  # a number of thousands of digits
            said = "a number too long to be shown"
        return KdbenchError(f"{self.where}{key} is {said}, wanted {wanted}")

    def text(self, key: str, default: str | None = None) -> str:
        value: str = self.get(key, "a text", (str,), default)
        if (not value and default is None) or not value.isprintable():
            raise self.wrong(key, value, "a text of one line")
        return value

    def number(self, key: str, low: float, high: float, *, default: float | None = None) -> float:
        if default is not None and key not in self.values:
            return default
        wanted = f"a number from {low:g} to {high:g}"
        value = self.get(key, wanted, (int, float))
        if not low <= value <= high:
            raise self.wrong(key, value, wanted)
        return float(value)

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
            plain = item.isprintable() if isinstance(item, str) else not isinstance(item, bool)
            if not isinstance(item, types) or not plain or (isinstance(item, int) and abs(item) >= 2**63):
                raise self.wrong(key, item, wanted)
        return value

    def table(self, key: str) -> _Table:
        return _Table(f"{self.where}{key}.", self.get(key, "a table", (dict,)))


def _fits(name: str, pattern: str) -> bool:
    """Whether a path fits a pattern; in which case a suffix is written does not matter, as in ``a.CSV``."""
    parts, wanted = (PurePosixPath(_with_small_suffix(path)).parts for path in (name, pattern))
    return not any(part.startswith(".") for part in parts) and _matches(parts, wanted)


def _with_small_suffix(path: str) -> str:
    stem, dot, suffix = path.rpartition(".")
    return stem + dot + suffix.lower()


def _matches(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**" and _matches(parts, pattern[1:]):
        return True
    rest = pattern if pattern[0] == "**" else pattern[1:]
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], rest)


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
    if lonely := [key for key in ("time_unit", "gap") if key in table.values and not table.values.get("time")]:
        raise KdbenchError(f"recordings: {lonely[0]} wants time, the name of a column")
    if table.text("person") == table.text("label"):
        raise KdbenchError(f"recordings: person and label name one column, {table.text('label')!r}; wanted two")
    return _RecordingFiles(
        person=table.text("person"),
        label=table.text("label"),
        length=table.whole("length", 2, 100_000),
        step=table.whole("step", 1, 100_000),
        files=table.text("files", "*.csv"),
        time=table.text("time", ""),
        time_unit=unit,
        gap=table.number("gap", 1e-9, 1e9, default=0.0),
        delimiter=delimiter,
        labels=labels,
        unlabelled=tuple(table.list("unlabelled", str, default=())),
    )
