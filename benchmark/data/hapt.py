"""HAPT: thirty people, a phone on the waist, six activities and the changes between them, as recorded."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt

from kdbench.data._archive import Source
from kdbench.data._base import Channel, Dataset, Description, Windows, cut
from kdbench.data._text import foreign, integers, numbers, refuse
from kdbench.errors import KdbenchError
from kdbench.settings import Choice

LENGTH = 128
STEP = LENGTH // 2
CHANNELS = tuple(f"{signal}_{axis}" for signal in ("total_acc", "body_gyro") for axis in "xyz")
CLASSES = (
    *("walking", "walking_upstairs", "walking_downstairs", "sitting", "standing", "laying"),
    *("stand_to_sit", "sit_to_stand", "sit_to_lie", "lie_to_sit", "stand_to_lie", "lie_to_stand"),
)
BASIC = 6
TEST_PEOPLE = (2, 4, 9, 10, 12, 13, 18, 20, 24)
LABELS = "RawData/labels.txt"
SIDES = (("Train", False), ("Test", True))


@dataclass(frozen=True)
class Original:
    """What the archive is known to hold.

    ``labels``: SHA-256 of ``labels.txt`` as little-endian int64. ``experiments``: for each, the first 16 digits of the
    SHA-256 of its six signals as little-endian float32. Neither line ends nor packing matter.
    """

    people: tuple[int, ...]
    labels: str
    experiments: tuple[str, ...]


_EXPERIMENTS = """
bc1a8a8a359fc9ad 2a2ac3219e454120 2c479a70e26110ff d7bd3734f7597790 ce3d79c2bd1a0baf f2b0b54ad6ecaded
fbdb5c70de993ea4 6fe7284e14b673a0 5b8793e56ac7043a fa7e3a26673067bf 77efeb0cb13b4746 5c0d1afeeb1f005a
0e00da6e4d88f83c 3268b12ad9e13eb4 382c8f456e8e3876 00b67be728da41bd 462515bd4e300675 61235a76df2d0ee6
64cb697b89a25251 8acdc4b02fdb820e 6aa000caef9f79dc 9ca43b242cc56c4f e264c01a2bf71e8c 38356484f7bf0dcc
7ae4df43d599f98c 9bfa7b7f7f75d8ac 05b55ce83a357db2 bf0c0069bc177b90 15d1bca8de50b701 5847bf7eaa1a3779
c53c538306459716 7da81976fac11325 ad3f3c9dc5438c95 de5ecba614299d98 a43282120ef1e8e6 ccdaf9890e1ff5ef
61b57f34f3413fe0 95aae3363975b303 acae8cc381384efe dfc403e4512a0ac5 fc8d5154426b2e80 abcc78033b091387
68e67c92cfc7d664 754314795388db05 c827bc10c1626820 73d9ea92cf58ac4c 3ceedf386e55502c 0746074e7b60dc79
2912f95f113d41a1 a5008a0efeb4e857 df96b6ff66c0b6db 9219433e3fdb93e3 6553bd02c0d39138 fdbd9a598d041541
726299e4ad0ef92e daf79c657750de36 3059ae7cf2ccbde9 351b77a80c128c85 64cd83b003f3667a 7d5973ca6ceb4dd4
48fae5e12ff8472b
"""
ORIGINAL = Original(
    people=tuple(range(1, 31)),
    labels="8c9305a36e75cca280446f5b9834ce2d1c3cf325411b5dfcafa0352c829182fb",
    experiments=tuple(_EXPERIMENTS.split()),
)
"""Computed from members that are the same in at least three public repositories."""


class Hapt(Dataset):
    """Smartphone-Based Recognition of Human Activities and Postural Transitions 2.1, 7767 and 3162 windows.

    Six channels of 128 samples at 50 Hz: acceleration with gravity in g, rotation in rad/s, as recorded, unfiltered.
    Windows are cut every 64 samples inside every labelled segment, those of training people first, in the order of
    ``labels.txt``: this gives the distributed ``y`` and ``subject_id`` row by row, which is checked where the archive
    holds them. The 561 derived features are not used. Labels are the archive's, less one.
    Test people: 2 4 9 10 12 13 18 20 24, as in UCI HAR.

    People and sessions are those of UCI HAR: results on the two are not independent.

    Source: Reyes-Ortiz, Oneto, Samà, Parra, Anguita, "Transition-Aware Human Activity Recognition Using Smartphones",
    Neurocomputing 2016; UCI Machine Learning Repository, dataset 341.

    Args:
        classes: 12, or 6 without the changes of posture (7415 and 2996 windows).
    """

    name = "hapt"
    people_of = "uci_har"
    archives = (
        "HAPT Data Set.zip",
        "smartphone+based+recognition+of+human+activities+and+postural+transitions.zip",
        "HAPT Data Set",
        "smartphone+based+recognition+of+human+activities+and+postural+transitions",
    )
    marker = LABELS
    urls: ClassVar[tuple[str, ...]] = (
        "https://archive.ics.uci.edu/static/public/341/"
        "smartphone+based+recognition+of+human+activities+and+postural+transitions.zip",
    )
    known: ClassVar[Original] = ORIGINAL

    def __init__(self, *, classes: Annotated[int, Choice(6, 12)] = 12) -> None:
        self.classes = classes

    @property
    def description(self) -> Description:
        return Description(
            name=self.name,
            title="HAPT (Smartphone-Based Recognition of Human Activities and Postural Transitions)",
            channels=tuple(Channel(name, "rad/s" if "gyro" in name else "g") for name in CHANNELS),
            rate=50.0,
            length=LENGTH,
            classes=CLASSES[: self.classes],
            citation="J.-L. Reyes-Ortiz, L. Oneto, A. Samà, X. Parra, D. Anguita. Transition-Aware Human Activity "
            "Recognition Using Smartphones. Neurocomputing, 2016.",
            licence="CC BY 4.0 by the UCI Machine Learning Repository; the archive's README prohibits commercial use",
            url="https://archive.ics.uci.edu/dataset/341/"
            "smartphone+based+recognition+of+human+activities+and+postural+transitions",
            people=self.known.people,
        )

    def parse(self, source: Source | None) -> Windows:
        """Read the recordings and cut the labelled segments into windows.

        Raises:
            KdbenchError: a member is missing, malformed (with its line), disagrees with another, or is not the
                original's.
        """
        source = self.given(source)
        labels = integers(source, LABELS, columns=5)
        owners = _owners(source, labels)
        signals = {experiment: _signals(source, experiment, owner) for experiment, owner in owners.items()}
        for number, (experiment, _, _, _, end) in enumerate(labels.tolist(), start=1):
            rows = signals[experiment].shape[1]
            if end > rows:
                refuse(source, LABELS, number, f"ends at sample {end}; experiment {experiment} has {rows}")
        segments, starts = _cut(labels)
        for side, is_test in SIDES:
            _agree(source, side, labels[segments[np.isin(labels[segments, 1], TEST_PEOPLE) == is_test]])
        self._recognise(source, labels, signals)
        kept = labels[segments, 2] <= self.classes
        segments, starts = segments[kept], starts[kept]
        recording, person, label = labels[segments, :3].T
        x = np.empty((len(segments), len(CHANNELS), LENGTH), np.float32)
        for window, (experiment, start) in enumerate(zip(recording.tolist(), starts.tolist(), strict=True)):
            x[window] = signals[experiment][:, start : start + LENGTH]
        return Windows(x, label - 1, person.copy(), np.isin(person, TEST_PEOPLE), recording.copy(), starts)

    def _recognise(
        self, source: Source, labels: npt.NDArray[np.int64], signals: dict[int, npt.NDArray[np.float32]]
    ) -> None:
        """Hold what was read against what is known of the original."""
        if hashlib.sha256(labels.astype("<i8").tobytes()).hexdigest() != self.known.labels:
            raise foreign(source, LABELS, "its values differ", Hapt.urls[0])
        # The labels are right, so the experiments are 1, 2, 3 and so on.
        for experiment, digest in enumerate(self.known.experiments, start=1):
            if hashlib.sha256(signals[experiment].astype("<f4").tobytes()).hexdigest()[:16] != digest:
                what = f"RawData/acc_exp{experiment:02} or gyro_exp{experiment:02}"
                raise foreign(source, what, "its values differ", Hapt.urls[0])


def _owners(source: Source, labels: npt.NDArray[np.int64]) -> dict[int, int]:
    """Experiment to person; every line of the labels is checked as far as it can be without the signals."""
    owners: dict[int, int] = {}
    for number, (experiment, person, label, start, end) in enumerate(labels.tolist(), start=1):
        if not 1 <= label <= len(CLASSES):
            refuse(source, LABELS, number, f"has activity {label}, wanted 1 to {len(CLASSES)}")
        if not 1 <= start <= end:
            refuse(source, LABELS, number, f"goes from sample {start} to {end}, wanted 1 or later and ascending")
        if owners.setdefault(experiment, person) != person:
            what = f"gives experiment {experiment} to person {person}, not {owners[experiment]}"
            refuse(source, LABELS, number, what)
    return owners


def _signals(source: Source, experiment: int, person: int) -> npt.NDArray[np.float32]:
    """Acceleration and rotation of an experiment, (6, rows)."""
    members = [f"RawData/{kind}_exp{experiment:02}_user{person:02}.txt" for kind in ("acc", "gyro")]
    acc, gyro = (numbers(source, member, columns=3) for member in members)
    if len(acc) != len(gyro):
        raise KdbenchError(
            f"{source.path}: {members[0]} has {len(acc)} lines and {members[1]} {len(gyro)}; wanted equal"
        )
    return np.ascontiguousarray(np.hstack([acc, gyro]).T.astype(np.float32))


def _cut(labels: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Line of the labels and first sample (from 0) of every window, training people first."""
    rows, starts = [], []
    for is_test in (False, True):
        for row in np.flatnonzero(np.isin(labels[:, 1], TEST_PEOPLE) == is_test):
            first, last = int(labels[row, 3]) - 1, int(labels[row, 4])
            inside = cut(last - first, LENGTH, STEP)
            rows += [row] * len(inside)
            starts += [first + start for start in inside]
    return np.array(rows, np.int64), np.array(starts, np.int64)


def _agree(source: Source, side: str, made: npt.NDArray[np.int64]) -> None:
    """Hold the windows of one side, as lines of the labels, against the distributed rows where they are there."""
    for member, column in ((f"y_{side.lower()}.txt", 2), (f"subject_id_{side.lower()}.txt", 1)):
        member = f"{side}/{member}"
        if source.find(member) is None:  # a folder that was unpacked in part
            continue
        rows = integers(source, member, columns=1)[:, 0]
        if len(rows) != len(made):
            raise KdbenchError(
                f"{source.path}: {member} has {len(rows)} lines, but {LABELS} makes {len(made)} windows; wanted equal"
            )
        differ = np.flatnonzero(rows != made[:, column])
        if len(differ):
            what = f"is {rows[differ[0]]}, but {LABELS} makes it {made[differ[0], column]}"
            refuse(source, member, int(differ[0]) + 1, what)
