"""The description of a user's own dataset: a ``dataset.toml``, read and checked."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from kdbench.data._archive import Source
from kdbench.data._base import Channel, Description
from kdbench.data._own.account import Account
from kdbench.data._own.people import Name, person_name
from kdbench.data._own.settings import RecordingFiles, WindowFiles, recording_files, window_files
from kdbench.data._own.table import TOML, Table
from kdbench.data._protocols import draw_people
from kdbench.errors import KdbenchError, nearest

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Parts:
    """Windows whose people still go by name: ``person`` (N,) is an index into ``people``.

    ``recording`` (N,) is one into ``recordings``, which say where each comes from. ``account``: what became of every
    row, where windows were cut from rows.
    """

    x: npt.NDArray[np.float32]
    y: Integers
    person: Integers
    recording: Integers
    start: Integers
    people: list[Name]
    recordings: Sequence[str]
    report: Mapping[str, Any]
    account: Account | None = None


@dataclass(frozen=True)
class About:
    """A ``dataset.toml``, checked. ``member`` is where it lies; the other files lie beside it."""

    member: str
    name: str
    rate: float
    classes: tuple[str, ...]
    channels: tuple[Channel, ...]
    columns: tuple[str, ...]
    parts: tuple[str, ...]
    texts: Mapping[str, str]
    test: tuple[Name, ...] | None
    fraction: float
    seed: int
    windows: WindowFiles | None
    recordings: RecordingFiles | None

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
            return cls._checked(member, Table("", whole))
        except KdbenchError as error:
            raise KdbenchError(f"{source.path}: {TOML}: {error}") from None

    @classmethod
    def _checked(cls, member: str, table: Table) -> About:
        table.only(
            *("name", "title", "citation", "licence", "url", "rate", "classes", "channels"),
            *("split", "windows", "recordings"),
        )
        name = table.text("name")
        classes = table.list("classes", str)
        channels, columns, parts = _channels(table)
        if not all(map(str.strip, classes)):
            raise table.wrong("classes", "", "a list of names")
        _no_twins("classes", classes)
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
        recordings = recording_files(table.table("recordings"), classes) if "recordings" in table.values else None
        known = recordings.parts if recordings else ()
        for number, part in enumerate(parts):
            if part and part not in known:
                raise KdbenchError(f"channels[{number}].part: {nearest('recordings.parts', part, known)}")
        return cls(
            member=member,
            name=name,
            rate=table.number("rate", 1e-6, 1e6),
            classes=tuple(classes),
            channels=tuple(Channel(channel.text("name"), channel.text("unit")) for channel in channels),
            columns=tuple(columns),
            parts=tuple(part or next(iter(known), "") for part in parts),
            texts={key: table.text(key, "") for key in ("title", "citation", "licence", "url")},
            test=tuple(rule.list("test", int, str)) if "test" in rule.values else None,
            fraction=rule.number("fraction", 1e-6, 1 - 1e-6, default=0.0),
            seed=rule.whole("seed", 0, 2**63 - 1, 0),
            windows=window_files(table.table("windows")) if "windows" in table.values else None,
            recordings=recordings,
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

    def test_people(
        self, source: Source, numbers: Mapping[Name, int], person: Integers, y: Integers, why: Callable[[Name], str]
    ) -> list[int]:
        """Numbers of the people on the test side; ``why`` says how one comes to have no window.

        Raises:
            KdbenchError: the rule names someone who is not there, or leaves one side empty.
        """
        people = sorted(set(person.tolist()))
        where = f"{source.path}: {TOML}: split"
        if len(people) < 2:
            lost = [who for who, number in numbers.items() if number not in people]
            hint = f"; {lost[0]!r} has none: {why(lost[0])}" if lost else ""
            raise KdbenchError(f"{where} wants two people or more with windows, found {len(people)}{hint}")
        if self.test is None:
            count = min(max(round(self.fraction * len(people)), 1), len(people) - 1)
            return draw_people(self.name, person, y, count=count, seed=self.seed)
        chosen = set()
        for who in map(person_name, self.test):
            if who not in numbers:
                raise KdbenchError(f"{where}: {nearest('the people', str(who), map(str, numbers))}")
            if numbers[who] not in people:
                raise KdbenchError(f"{where}: test person {who!r} has no window; {why(who)}")
            chosen.add(numbers[who])
        if not 0 < len(chosen) < len(people):
            raise KdbenchError(f"{where}: test names {len(chosen)} of {len(people)} people; wanted some, and some left")
        return sorted(chosen)


def _channels(table: Table) -> tuple[list[Table], list[str], list[str]]:
    """Channels as they are described, their columns, and the parts of a recording that have them, empty for any."""
    channels = [Table(f"channels[{i}].", entry) for i, entry in enumerate(table.list("channels", dict))]
    for channel in channels:
        channel.only("name", "unit", "column", "part")
    columns = [channel.text("column", channel.text("name")) for channel in channels]
    parts = [channel.text("part", "") for channel in channels]
    whole = [" of ".join(filter(None, pair)) for pair in zip(columns, parts, strict=True)]
    _no_twins("channels", [channel.text("name") for channel in channels])
    _no_twins("columns of channels", whole)
    return channels, columns, parts


def _no_twins(key: str, values: Sequence[str]) -> None:
    if twice := [value for value in values if values.count(value) > 1]:
        raise KdbenchError(f"{key} names {twice[0]!r} twice")


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
