"""ClassyGlass, Dataset 1A: twelve people, a sensor on a pair of glasses, eleven activities."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from kdbench.data._archive import Source
from kdbench.data._base import Channel, Dataset, Description, Windows, cut
from kdbench.data._text import foreign, numbers, refuse, shown
from kdbench.errors import KdbenchError

RATE, LENGTH = 100.0, 256
STEP = LENGTH // 2
CLASSES = (
    *("reading", "writing", "typing", "browsing", "moving_head_and_body", "moving_chair", "standing_up"),
    *("standing", "walking", "running", "stairs"),
)
"""In the order of the experiments of a person."""

HEADER = "epoch (ms),time (-13:00),elapsed (s),x-axis (g),y-axis (g),z-axis (g)"
TEST_PEOPLE = (3, 6, 9, 11)
URL = "https://github.com/MU-Smart/ClassyGlass"
_MEMBER = re.compile(r"(?:^|/)Dataset_1A/User(\d+)/(\d+)_MetaWear_[^/]*_Accelerometer_[^/]*\.csv$")
_BEGIN = re.compile(rb"^(\d+),[^,\n]*,", re.MULTILINE)  # milliseconds, and the same as a date


@dataclass(frozen=True)
class Original:
    """What the archive is known to hold.

    ``recordings`` and ``rows``: of every class. ``digest``: SHA-256 of the signals of every experiment in turn, each
    (n, 3) as little-endian float32.
    """

    people: tuple[int, ...]
    recordings: tuple[int, ...]
    rows: tuple[int, ...]
    digest: str


ORIGINAL = Original(
    people=tuple(range(1, 13)),
    recordings=(11, 12, 12, 12, 11, 12, 12, 11, 12, 12, 12),
    rows=(141294, 156256, 155798, 158608, 137030, 156164, 184442, 104260, 123202, 120424, 46808),
    digest="52403cbbd60fd9ec5d5f7abd2f5be20bc4a333a1879c77fc2f78877bd62af839",
)
"""Recordings and rows as the authors' sheet says."""


class ClassyGlass(Dataset):
    """ClassyGlass, Dataset 1A, the accelerometer on the right temple of a pair of glasses, windows of 2.56 s.

    Three channels of 256 samples at 100 Hz: acceleration with gravity in g, as recorded. Windows are cut every 128
    samples inside every recording, one of each person and activity but three that are missing, as the authors say (user
    8 reading; user 12 moving head and body, standing). Test people: 3 6 9 11; no split is official.

    The sensor sits upside down for users 7 to 12, who also were recorded for longer and on other days: the two groups
    differ strongly, and both sides of the split have people of both. Reading, writing, typing and browsing differ by
    little more than how the head is held.

    Source: https://github.com/MU-Smart/ClassyGlass, folder Datasets/Dataset_1A.
    """

    name = "classyglass"
    archives = ("ClassyGlass_1A_accelerometer.zip", "ClassyGlass-main.zip", "ClassyGlass-main", "ClassyGlass")
    marker = "Datasets/Dataset_1A/Data description sheet 1A.pdf"
    known: ClassVar[Original] = ORIGINAL

    @property
    def description(self) -> Description:
        return Description(
            name=self.name,
            title="ClassyGlass 1A (smart glasses)",
            channels=tuple(Channel(f"total_acc_{axis}", "g") for axis in "xyz"),
            rate=RATE,
            length=LENGTH,
            classes=CLASSES,
            citation="MU-Smart. ClassyGlass, Dataset 1A. GitHub, 2026.",
            licence="CC BY 4.0",
            url=URL,
            people=self.known.people,
        )

    def parse(self, source: Source | None) -> Windows:
        """Read every recording and cut it into windows.

        Raises:
            KdbenchError: a file is malformed (with its line), or what is there is not the original.
        """
        source = self.given(source)
        x: list[npt.NDArray[np.float32]] = []
        columns: list[tuple[int, int, int, int]] = []  # label, person, recording, start of every window
        recordings, rows, digest = [0] * len(CLASSES), [0] * len(CLASSES), hashlib.sha256()
        for experiment, member in sorted(_members(source).items()):
            person, label = (experiment - 1) // len(CLASSES) + 1, (experiment - 1) % len(CLASSES)
            signals = _signals(source, member)
            recordings[label] += 1
            rows[label] += len(signals)
            digest.update(signals.astype("<f4").data)
            for start in cut(len(signals), LENGTH, STEP):
                x.append(signals[start : start + LENGTH].T)
                columns.append((label, person, experiment, start))
        where = "Dataset_1A"
        for label, name in enumerate(CLASSES):
            found, wanted = (recordings[label], rows[label]), (self.known.recordings[label], self.known.rows[label])
            if found != wanted:
                what = f"{found[0]} recordings of {name} with {found[1]} rows, wanted {wanted[0]} with {wanted[1]}"
                raise foreign(source, where, what, URL)
        if digest.hexdigest() != self.known.digest:
            raise foreign(source, where, "values differ", URL)
        y, person_of, recording, begun = np.array(columns, np.int64).T.copy()
        return Windows(
            np.ascontiguousarray(np.stack(x)), y, person_of, np.isin(person_of, TEST_PEOPLE), recording, begun
        )


def _members(source: Source) -> Mapping[int, str]:
    """Experiments, each with the file of its accelerometer."""
    found: dict[int, str] = {}
    for name in source.names():
        match = _MEMBER.search(name)
        if match is None:
            continue
        user, experiment = int(match[1]), int(match[2])
        if experiment < 1 or (experiment - 1) // len(CLASSES) + 1 != user:
            raise KdbenchError(f"{source.path}: {name} is experiment {experiment}, which is not of user {user}")
        if experiment in found:
            raise KdbenchError(f"{source.path}: {found[experiment]} and {name} are one experiment; wanted one file")
        found[experiment] = name
    if not found:
        raise KdbenchError(f"{source.path} holds no recording of an accelerometer in Dataset_1A; wanted those of {URL}")
    return found


def _signals(source: Source, member: str) -> npt.NDArray[np.float32]:
    """Acceleration (n, 3)."""
    first, _, content = source.read(member).replace(b"\r\n", b"\n").partition(b"\n")
    if first != HEADER.encode():
        refuse(source, member, 1, f"is {shown(first)}, wanted {HEADER}")
    content = content.rstrip()
    without, count = _BEGIN.subn(rb"\1,", content)
    if count != content.count(b"\n") + 1:
        wrong = next(n for n, line in enumerate(content.split(b"\n")) if not _BEGIN.match(line))
        refuse(source, member, wrong + 2, f"does not begin with milliseconds and a time, wanted {HEADER}")
    table = numbers(source, member, columns=5, separator=",", content=without, above=1)
    astray = np.flatnonzero(np.diff(table[:, 0]) != 1000 / RATE)
    if len(astray):
        row = int(astray[0])
        refuse(source, member, row + 3, f"is {table[row + 1, 0] - table[row, 0]:g} ms after the line before it")
    return np.ascontiguousarray(table[:, 2:].astype(np.float32))
