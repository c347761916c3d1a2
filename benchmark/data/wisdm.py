"""WISDM v1.1: thirty-six people, a phone in the trouser pocket, six activities, acceleration only."""

from __future__ import annotations

import codecs
import hashlib
import re
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from kdbench.data._archive import Source, git_id
from kdbench.data._base import Channel, Dataset, Description, Windows, cut
from kdbench.data._text import shown
from kdbench.errors import KdbenchError

LENGTH = 90
STEP = LENGTH // 2
CLASSES = ("walking", "jogging", "upstairs", "downstairs", "sitting", "standing")
RAW = "WISDM_ar_v1.1_raw.txt"
TEST_PEOPLE = tuple(range(27, 37))
KINDS = ("run together", "stray comma", "missing value", "too many fields", "garbled", "empty line", "CRLF line")
TOLERANCE = 0.001
"""Share by which the records of a class may differ from the published count; readers of the file differ by a few."""

_NUMBER = rb"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
_VALUE = rb"%b|nan|[-+]?inf" % _NUMBER
_RECORD = re.compile(
    rb"([\s,]*)(\d{1,9})\s*,\s*([A-Za-z]+)\s*,\s*%b\s*,\s*(%b)\s*,\s*(%b)\s*,\s*(%b)([\s,]*)"
    % (_NUMBER, _VALUE, _VALUE, _VALUE),
    re.IGNORECASE,
)
_PERSON = re.compile(rb"\d{1,9}")
_ACTIVITY = re.compile(rb"(?!(?:nan|inf)$)[A-Za-z]+", re.IGNORECASE)
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Original:
    """What the raw file is known to hold. ``blobs``: ids that git gives to its two known forms."""

    people: tuple[int, ...]
    records: Mapping[str, int]  # per class
    blobs: tuple[str, ...]


ORIGINAL = Original(
    people=tuple(range(1, 37)),
    records=MappingProxyType(
        {
            "walking": 424400,
            "jogging": 342177,
            "upstairs": 122869,
            "downstairs": 100427,
            "sitting": 59939,
            "standing": 48395,
        }
    ),
    blobs=("f448b1ec15898a77f47f49d85e98ae1bde83185c", "e1380a4b814339af38a662a0c5cbd6a6b6f68789"),
)
"""Counts from the dataset's own description, ids from public repositories."""


@dataclass(frozen=True, eq=False)
class Records:
    """N good records, in the order of the file. ``counts`` are of lines and of what is between semicolons, by kind."""

    person: npt.NDArray[np.int64]  # (N,)
    label: npt.NDArray[np.int64]  # (N,)
    acceleration: npt.NDArray[np.float64]  # (N, 3)
    counts: Mapping[str, int]


class Wisdm(Dataset):
    """WISDM activity prediction v1.1, the raw accelerometer records, in windows of 4.5 s.

    Three channels of 90 samples at 20 Hz: acceleration with gravity, where 10 is about 1 g. Windows are cut every 45
    samples inside runs: records that follow each other in the file, of one person and activity. Neither a lost record
    nor a jump of the time stamps ends a run. Test people: 27 to 36.

    A record ends at a semicolon, at the end of its line, or where a number and an activity begin the next. Every record
    with all six fields is kept, whatever surrounds it; ``report`` counts what was met: ``run together`` (lines of
    several records, good or not) and ``stray comma`` (kept all the same), ``missing value``, ``too many fields`` and
    ``garbled`` (records lost), ``empty line``, ``CRLF line``. Where not even a comma parts two records, the second is
    taken to be of the first's person, whose number then ends the first's last value. An unknown activity or person, or
    a value that is not finite, means another file and is refused, as are counts of records per class that are off by
    more than a thousandth.

    Source: Kwapisz, Weiss, Moore, "Activity Recognition using Cell Phone Accelerometers", SensorKDD 2010. Its readme
    asks to be passed on with the data.
    """

    name = "wisdm"
    version = 2
    archives = ("WISDM_ar_latest.tar.gz", "WISDM_ar_latest.tar", "WISDM_ar_v1.1", "WISDM_ar_latest")
    marker = RAW
    urls: ClassVar[tuple[str, ...]] = (
        "https://www.cis.fordham.edu/wisdm/includes/datasets/latest/WISDM_ar_latest.tar.gz",
    )
    blobs = ("4f97f6dfdef499b201f4ffa0303ee63de841b502",)
    fixed = False  # known by its counts; the bytes were never seen here
    known: ClassVar[Original] = ORIGINAL

    @property
    def description(self) -> Description:
        return Description(
            name=self.name,
            title="WISDM v1.1 (activity prediction)",
            channels=tuple(Channel(f"total_acc_{axis}", "m/s²") for axis in "xyz"),
            rate=20.0,
            length=LENGTH,
            classes=CLASSES,
            citation="J. R. Kwapisz, G. M. Weiss, S. A. Moore. Activity Recognition using Cell Phone Accelerometers. "
            "SensorKDD 2010.",
            licence="none stated; the readme asks for the citation and to be passed on with the data",
            url="https://www.cis.fordham.edu/wisdm/dataset.php",
            people=self.known.people,
        )

    def fingerprint(self, source: Source) -> str:
        # Whatever else lies in a folder that holds the raw file is not part of the dataset.
        return hashlib.sha256(source.read(RAW)).hexdigest()

    def parse(self, source: Source | None) -> Windows:
        """Read the records and cut runs of one person and activity into windows.

        Raises:
            KdbenchError: the raw file is missing, or is not that of v1.1 (with its line where there is one).
        """
        source = self.given(source)
        content = source.read(RAW)
        try:
            records = read(content, people=self.known.people)
        except KdbenchError as error:
            raise KdbenchError(f"{source.path}: {RAW} {error}") from None
        found = dict(zip(CLASSES, np.bincount(records.label, minlength=len(CLASSES)).tolist(), strict=True))
        for name, wanted in self.known.records.items():
            if abs(found[name] - wanted) > TOLERANCE * wanted:
                raise KdbenchError(
                    f"{source.path}: {RAW} is not that of v1.1: {found[name]} records of {name}, wanted about "
                    f"{wanted}; fetch the archive from {Wisdm.urls[0]}"
                )
        self._report = {**records.counts, "byte for byte a known file": git_id(content) in self.known.blobs}
        return _windows(records)


def read(content: bytes, *, people: tuple[int, ...]) -> Records:
    """Read raw text.

    Raises:
        KdbenchError: a line that has an unknown activity or person or a value that is not finite, or no record at all.
    """
    labels = {name.encode(): label for label, name in enumerate(CLASSES)}
    known = frozenset(people)
    counts: Counter[str] = Counter(dict.fromkeys(("records", *KINDS), 0))
    counts["CRLF line"] = content.count(b"\r\n")
    person, label, values = array("q"), array("q"), array("d")
    for number, line in enumerate(content.replace(codecs.BOM_UTF8, b"").splitlines(), start=1):
        pieces = [piece for part in line.split(b";") for piece in _parted(part, known)]
        if not pieces:
            counts["empty line"] += 1
        for piece in pieces:
            match = _RECORD.fullmatch(piece)
            if match is None:
                counts[_fault(piece)] += 1
                continue
            before, given, name, *axes, after = match.groups()
            who, activity = int(given), name.lower()
            x, y, z = map(float, axes)
            if activity not in labels:
                raise KdbenchError(f"line {number} has activity {shown(name)}, wanted one of {', '.join(CLASSES)}")
            if who not in known:
                raise KdbenchError(f"line {number} has person {who}, wanted {min(known)} to {max(known)}")
            if not (abs(x) <= _LARGEST and abs(y) <= _LARGEST and abs(z) <= _LARGEST):
                raise KdbenchError(f"line {number} holds a value that is not finite")
            counts["stray comma"] += b"," in before + after
            person.append(who)
            label.append(labels[activity])
            values.extend((x, y, z))
        if len(pieces) > 1:
            counts["run together"] += 1
    if not person:
        raise KdbenchError("holds no record")
    counts["records"] = len(person)
    return Records(
        np.array(person, np.int64), np.array(label, np.int64), np.array(values, np.float64).reshape(-1, 3), counts
    )


def _parted(part: bytes, people: frozenset[int]) -> list[bytes]:
    """What stands between two semicolons, parted where a person and an activity begin another record."""
    if _RECORD.fullmatch(part) or not part.strip():
        return [part] if part.strip() else []
    pieces: list[list[bytes]] = [[]]
    fields = [field.strip() for field in part.split(b",")]
    for field, following in zip(fields, [*fields[1:], b""], strict=True):
        if _ACTIVITY.fullmatch(following):
            who, activity = pieces[-1][-5:-3] if len(pieces[-1]) >= 5 else (b"", b"")
            value = field.removesuffix(who).rstrip()
            if value != field and _ACTIVITY.fullmatch(activity) and re.fullmatch(_NUMBER, value):
                pieces[-1].append(value)  # its digits and those of the next record's person were run together
                field = who
            if any(pieces[-1]) and _PERSON.fullmatch(field) and int(field) in people:
                pieces.append([])
        pieces[-1].append(field)
    return [b",".join(piece) for piece in pieces]


def _fault(piece: bytes) -> str:
    """Why something is no record."""
    fields = [field.strip() for field in piece.strip(b", \t").split(b",")]
    if len(fields) > 6:
        return "too many fields"
    plain = all(re.fullmatch(rb"[A-Za-z]+|%b" % _NUMBER, field) for field in fields if field)
    if plain and len(fields) > 1 and sum(map(bool, fields)) < 6:
        return "missing value"
    return "garbled"


def _windows(records: Records) -> Windows:
    changes = (np.diff(records.person) != 0) | (np.diff(records.label) != 0)
    first = np.concatenate([[0], np.flatnonzero(changes) + 1])
    end = np.append(first[1:], len(records.person))
    starts = [cut(length, LENGTH, STEP) for length in (end - first).tolist()]
    if not any(starts):
        raise KdbenchError(f"wisdm: no run of one person and activity has {LENGTH} records")
    recording = np.repeat(np.arange(len(first)), [len(run) for run in starts])
    start = np.concatenate(starts).astype(np.int64)
    row = first[recording] + start
    signals = np.lib.stride_tricks.sliding_window_view(records.acceleration.astype(np.float32), LENGTH, axis=0)
    person = records.person[row]
    return Windows(
        np.ascontiguousarray(signals[row]),  # (N, 3, 90)
        records.label[row],
        person,
        np.isin(person, TEST_PEOPLE),
        recording,
        start,
    )
