"""MHEALTH: ten people, sensors on chest, left ankle and right arm, twelve activities."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

import numpy as np

from kdbench.data._archive import Source
from kdbench.data._base import Channel, Description
from kdbench.data._labelled import Floats, Original, PublishedFormat, Recording
from kdbench.data._text import refuse

RATE, LENGTH, FILL = 50.0, 128, 5
CLASSES = (
    *("standing", "sitting", "lying", "walking", "climbing_stairs", "waist_bends_forward"),
    *("frontal_elevation_of_arms", "knees_bending", "cycling", "jogging", "running", "jump_front_and_back"),
)
"""From the files' number 1; 0 is no class."""

SIGNALS = (("chest_acc", 0), ("ankle_acc", 5), ("ankle_gyro", 8), ("arm_acc", 14), ("arm_gyro", 17))
"""What is read, and its first column of 24; the others are two of an ECG and six of magnetometers, then the label."""

COLUMNS = 24
TEST_PEOPLE = (3, 6, 9)

ORIGINAL = Original(people=tuple(range(1, 11)), rows=1215745)


class MHealth(PublishedFormat):
    """MHEALTH, ten people, sensors on chest, left ankle and right lower arm, windows of 2.56 s.

    The original was not at hand: the file is read by its published format and tested on generated text in it.

    Fifteen channels of 128 samples at 50 Hz: acceleration with gravity in m/s² of all three places and rotation in
    deg/s of ankle and arm. Windows are cut every 64 samples inside rows that follow each other under one activity; the
    files have no times, so a sample that was lost cannot be seen. Up to 5 values in a row that are missing (``NaN``)
    are filled on a straight line, more end the run; rows of no activity (label 0) are left out. ``report`` counts all
    rows by what became of them, and says whether there are as many as published. Test people: 3 6 9; no split is
    official.

    Source: Banos, Garcia, Holgado-Terriza, Damas, Pomares, Rojas, Saez, Villalonga, "mHealthDroid: a novel framework
    for agile development of mobile health applications", IWAAL 2014; UCI Machine Learning Repository, dataset 319.
    """

    name = "mhealth"
    archives = ("MHEALTHDATASET.zip", "mhealth+dataset.zip", "MHEALTHDATASET")
    marker = "mHealth_subject1.log"
    urls: ClassVar[tuple[str, ...]] = ("https://archive.ics.uci.edu/static/public/319/mhealth+dataset.zip",)
    known: ClassVar[Original] = ORIGINAL
    columns = COLUMNS
    labels: ClassVar[Mapping[int, int]] = MappingProxyType({label + 1: label for label in range(len(CLASSES))})
    length = LENGTH
    fill = FILL
    test_people = TEST_PEOPLE

    @property
    def description(self) -> Description:
        return Description(
            name=self.name,
            title="MHEALTH",
            channels=tuple(
                Channel(f"{signal}_{axis}", "deg/s" if "gyro" in signal else "m/s²")
                for signal, _ in SIGNALS
                for axis in "xyz"
            ),
            rate=RATE,
            length=LENGTH,
            classes=CLASSES,
            citation="O. Banos et al. mHealthDroid: a novel framework for agile development of mobile health "
            "applications. IWAAL 2014.",
            licence="CC BY 4.0, as the UCI Machine Learning Repository states",
            url="https://archive.ics.uci.edu/dataset/319",
            people=self.known.people,
        )

    @staticmethod
    def member(person: int) -> str:
        return f"mHealth_subject{person}.log"

    def recording(self, source: Source, member: str, table: Floats) -> Recording:
        label = table[:, -1]
        wrong = np.flatnonzero(~np.isin(label, range(len(CLASSES) + 1)))
        if len(wrong):
            row = int(wrong[0])
            refuse(source, member, row + 1, f"ends with {label[row]:g}, wanted an activity, 0 to {len(CLASSES)}")
        signals = np.hstack([table[:, first : first + 3] for _, first in SIGNALS])
        return signals, label.astype(np.int64), np.zeros(len(label), np.bool_)
