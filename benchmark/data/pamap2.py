"""PAMAP2: nine people, sensors on hand, chest and ankle, twelve activities."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

import numpy as np

from kdbench.data._archive import Source
from kdbench.data._base import Channel, Description
from kdbench.data._labelled import Floats, Original, PublishedFormat, Recording
from kdbench.data._text import refuse
from kdbench.errors import KdbenchError

RATE, LENGTH, FILL = 100.0, 256, 10
PLACES = ("hand", "chest", "ankle")
COLUMNS = 54
FIRST, EACH = 3, 17
"""Column from which the three sensors stand, and columns of each: temperature, then what is read, then what is not."""

ACC, GYRO = slice(1, 4), slice(7, 10)
CLASSES: Mapping[int, str] = MappingProxyType(
    {
        **{1: "lying", 2: "sitting", 3: "standing", 4: "walking", 5: "running", 6: "cycling", 7: "nordic_walking"},
        **{12: "ascending_stairs", 13: "descending_stairs", 16: "vacuum_cleaning", 17: "ironing", 24: "rope_jumping"},
    }
)
"""Of the protocol, by the number in the files; 0 is what lies between them."""

OTHERS = frozenset({0, 9, 10, 11, 18, 19, 20})
TEST_PEOPLE = (102, 105, 108)

ORIGINAL = Original(people=tuple(range(101, 110)), rows=2872533)


class Pamap2(PublishedFormat):
    """PAMAP2, the protocol's files, nine people, sensors on hand, chest and ankle, windows of 2.56 s.

    The original was not at hand: the file is read by its published format and tested on generated text in it.

    Eighteen channels of 256 samples at 100 Hz: of each place acceleration with gravity in m/s² (the sensor with the
    range of 16 g, as the authors advise) and rotation in rad/s. Windows are cut every 128 samples inside rows that
    follow each other under one activity. Up to 10 values in a row that were lost on the way (``NaN``) are filled on a
    straight line, more end the run, as a pause or a step back of the time stamps does; what lies between activities
    (label 0) is left out. ``report`` counts all rows by what became of them, and says whether there are as many as
    published. Test people: 102 105 108; no split is official. Person 109 did nothing but jump rope.

    Source: Reiss, Stricker, "Introducing a New Benchmarked Dataset for Activity Monitoring", ISWC 2012; UCI Machine
    Learning Repository, dataset 231.
    """

    name = "pamap2"
    archives = ("PAMAP2_Dataset.zip", "pamap2+physical+activity+monitoring.zip", "PAMAP2_Dataset")
    marker = "Protocol/subject101.dat"
    urls: ClassVar[tuple[str, ...]] = (
        "https://archive.ics.uci.edu/static/public/231/pamap2+physical+activity+monitoring.zip",
    )
    known: ClassVar[Original] = ORIGINAL
    columns = COLUMNS
    labels: ClassVar[Mapping[int, int]] = MappingProxyType({number: label for label, number in enumerate(CLASSES)})
    length = LENGTH
    fill = FILL
    test_people = TEST_PEOPLE

    @property
    def description(self) -> Description:
        channels = [
            Channel(f"{place}_{signal}_{axis}", unit)
            for place in PLACES
            for signal, unit in (("acc", "m/s²"), ("gyro", "rad/s"))
            for axis in "xyz"
        ]
        return Description(
            name=self.name,
            title="PAMAP2 (protocol)",
            channels=tuple(channels),
            rate=RATE,
            length=LENGTH,
            classes=tuple(CLASSES.values()),
            citation="A. Reiss, D. Stricker. Introducing a New Benchmarked Dataset for Activity Monitoring. ISWC 2012.",
            licence="CC BY 4.0, as the UCI Machine Learning Repository states",
            url="https://archive.ics.uci.edu/dataset/231",
            people=self.known.people,
        )

    @staticmethod
    def member(person: int) -> str:
        return f"Protocol/subject{person}.dat"

    def recording(self, source: Source, member: str, table: Floats) -> Recording:
        times, label = table[:, 0], table[:, 1]
        wrong = np.flatnonzero(np.isnan(times) | ~np.isin(label, [*CLASSES, *OTHERS]))
        if len(wrong):
            row = int(wrong[0])
            what = f"begins with {times[row]:g} {label[row]:g}, wanted a time and an activity of PAMAP2"
            refuse(source, member, row + 1, what)
        step = np.diff(times, prepend=times[0])
        ahead = step[step > 0]
        if len(ahead) and not 1 / 1.5 < (own := 1 / float(np.median(ahead))) / RATE < 1.5:
            raise KdbenchError(f"{source.path}: {member} goes at {own:.4g} Hz by its times, wanted {RATE:g} Hz")
        breaks = (step <= 0) | (step > 1.5 / RATE)
        signals = [table[:, FIRST + EACH * place :][:, part] for place in range(3) for part in (ACC, GYRO)]
        return np.hstack(signals), label.astype(np.int64), breaks
