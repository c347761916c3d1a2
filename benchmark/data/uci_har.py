"""UCI HAR: thirty people, a phone on the waist, six activities, in windows as its authors cut them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from kdbench.data._archive import Source
from kdbench.data._base import Channel, Dataset, Description, Windows
from kdbench.data._text import foreign, integers, numbers, refuse
from kdbench.errors import KdbenchError

LENGTH = 128
STEP = LENGTH // 2
SIGNALS = tuple(f"{signal}_{axis}" for signal in ("body_acc", "body_gyro", "total_acc") for axis in "xyz")


@dataclass(frozen=True)
class Side:
    """What one side of the official split is known to hold.

    ``digests``: SHA-256 of the parsed values of each signal, of ``y`` and of ``subject``: little-endian float32 and
    int64, so that neither line ends nor packing matter.
    """

    windows: int
    people: tuple[int, ...]
    counts: tuple[int, ...]  # windows per class
    digests: Mapping[str, str]


ORIGINAL: Mapping[str, Side] = MappingProxyType(
    {
        "train": Side(
            windows=7352,
            people=(1, 3, 5, 6, 7, 8, 11, 14, 15, 16, 17, 19, 21, 22, 23, 25, 26, 27, 28, 29, 30),
            counts=(1226, 1073, 986, 1286, 1374, 1407),
            digests={
                "y": "cd460b6d59620a9350dfe25d01f9a017eb036929d949029523b5ab612d90def1",
                "subject": "67ee642e93b07afe660e5a3785db14ff6e65a0f6d9c66e0e253a49610c67506b",
                "body_acc_x": "d993c3579238634c781b2a0186e1f018ffa12b5d84137ba819cdf0df77023a5f",
                "body_acc_y": "9912031fb66493dbab1c2be255f8b7bd957b722b4866a0a2d4343b13852a7644",
                "body_acc_z": "3a2a743549a427347028315311d88927f928ff34ad2a8500289c9d44fdf999e0",
                "body_gyro_x": "bd72a7a81cd8cb55524126fbb6edb1e1bd7c6e360de844574db31bbed9486962",
                "body_gyro_y": "79327f76cf814cbb93341b6fe4c84043404f40c17058ef087aa998cc0858a315",
                "body_gyro_z": "5a2e001de994f7c0578df67d75d0181b1f71da6d0f0f544b84668e3f3fac2d14",
                "total_acc_x": "bb5061564cefb898a9688f141a03364270bb1d97183d292e7269240374a7fe8b",
                "total_acc_y": "e14a1d088cecc2b26015b92eae318c59aa04251d79145ef0945b69357cae25a1",
                "total_acc_z": "c62d658dbf1f62da78791afdb714fdb8283ef9dd4281aa27b896fb6e439faa41",
            },
        ),
        "test": Side(
            windows=2947,
            people=(2, 4, 9, 10, 12, 13, 18, 20, 24),
            counts=(496, 471, 420, 491, 532, 537),
            digests={
                "y": "081eb2f66cb00f17ef74021dc4528bdca213c28812e0e047287502925c0fd162",
                "subject": "0c2bbe9b52e81376ace1e9ea7b18a5c6c94f655c96cfb18d6c9783300f143b2a",
                "body_acc_x": "1a4748d29b8984016d0eb288a1518f5d66515bbefd75a74ed53f14fb7ed8973c",
                "body_acc_y": "8838f3e2354cfefda74b19a5d8f5e02ce51c932a869f537fe69f09f516fce020",
                "body_acc_z": "4e1ffd62d4efeef0c37fd7f93c765d7d95740097f2fb1d2c214b0d5be54531f8",
                "body_gyro_x": "e19b6f9e0f06dd3c8876b959965769d121ebcfed56b2ed1a1c3a5ccaf99c129a",
                "body_gyro_y": "5485b16684849f2315312da68386b5343da30f1c9c07e6469cd134c96240e64d",
                "body_gyro_z": "120b6ec054d875c3044da1598162169125ce7e1d7f3e0113a1b3889e819d3bcc",
                "total_acc_x": "218a30081ffdf5594ae39eed4e3f89e2a1adf410ac7c4e09f3d50ebac7c6ef2e",
                "total_acc_y": "bb41db4db81cb7aba9ada6b4837b6d70fdcacac0374860a3e47f184b995ec891",
                "total_acc_z": "c3878e7affbdd9aaa10bf411356caef7030bc4126a6cf938c32c32de1096cf2d",
            },
        ),
    }
)
"""Computed from members whose git blob ids are those that eight public repositories record."""


class UciHar(Dataset):
    """Human Activity Recognition Using Smartphones, 7352 training and 2947 test windows.

    Nine channels of 128 samples at 50 Hz, overlapping by half: acceleration of the body and in total in g, rotation
    in rad/s, filtered by the authors (median, 20 Hz low-pass; gravity split off at 0.3 Hz). The 561 derived
    features of the archive are not used. Labels are the archive's, less one. Test people: 2 4 9 10 12 13 18 20 24.

    The archive does not say which windows follow each other. Two consecutive ones of a person are taken to overlap
    where the second half of the one is the first half of the other in all three ``total_acc`` channels.

    Source: Anguita, Ghio, Oneto, Parra, Reyes-Ortiz, "A Public Domain Dataset for Human Activity Recognition Using
    Smartphones", ESANN 2013; UCI Machine Learning Repository, dataset 240.
    """

    name = "uci_har"
    archives = (
        "UCI HAR Dataset.zip",
        "human+activity+recognition+using+smartphones.zip",
        "UCI HAR Dataset",
        "human+activity+recognition+using+smartphones",
    )
    marker = "train/Inertial Signals/body_acc_x_train.txt"
    urls: ClassVar[tuple[str, ...]] = (
        "https://archive.ics.uci.edu/static/public/240/human+activity+recognition+using+smartphones.zip",
    )
    known: ClassVar[Mapping[str, Side]] = ORIGINAL

    @property
    def description(self) -> Description:
        return Description(
            name=self.name,
            title="UCI HAR (Human Activity Recognition Using Smartphones)",
            channels=tuple(Channel(signal, "rad/s" if "gyro" in signal else "g") for signal in SIGNALS),
            rate=50.0,
            length=LENGTH,
            classes=("walking", "walking_upstairs", "walking_downstairs", "sitting", "standing", "laying"),
            citation="D. Anguita, A. Ghio, L. Oneto, X. Parra, J. L. Reyes-Ortiz. A Public Domain Dataset for Human "
            "Activity Recognition Using Smartphones. ESANN 2013.",
            licence="CC BY 4.0 by the UCI Machine Learning Repository; the archive's README prohibits commercial use",
            url="https://archive.ics.uci.edu/dataset/240/human+activity+recognition+using+smartphones",
        )

    def parse(self, source: Source | None) -> Windows:
        """Read both sides, training windows first, each in the archive's order.

        Raises:
            KdbenchError: a member is missing, malformed (with its line), or not the original's.
        """
        source = self.given(source)
        sides = [self._side(source, side) for side in ("train", "test")]
        x = np.concatenate([side[0] for side in sides])
        y = np.concatenate([side[1] for side in sides]) - 1
        person = np.concatenate([side[2] for side in sides])
        is_test = np.repeat([False, True], [len(side[1]) for side in sides])
        recording, start = _stretches(x, person, is_test)
        return Windows(x, y, person, is_test, recording, start)

    def _side(
        self, source: Source, side: str
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """x (N, 9, 128), labels as in the archive, and people of one side, each held against what is known."""
        known, of_y, of_person = self.known[side], f"{side}/y_{side}.txt", f"{side}/subject_{side}.txt"
        y = _integers(source, of_y, high=len(self.description.classes))
        person = _integers(source, of_person, high=30)
        if len(person) != len(y):
            raise KdbenchError(f"{source.path}: {of_person} has {len(person)} lines and {of_y} {len(y)}; wanted equal")
        counts = tuple(np.bincount(y, minlength=7)[1:].tolist())
        people = tuple(np.unique(person).tolist())
        if len(y) != known.windows:
            raise foreign(source, of_y, f"{len(y)} windows, wanted {known.windows}", UciHar.urls[0])
        if counts != known.counts:
            raise foreign(source, of_y, f"{counts} windows per class, wanted {known.counts}", UciHar.urls[0])
        if people != known.people:
            raise foreign(source, of_person, f"people {people}, wanted {known.people}", UciHar.urls[0])
        self._compare(source, of_y, known.digests["y"], y.astype("<i8"))
        self._compare(source, of_person, known.digests["subject"], person.astype("<i8"))
        x = np.empty((len(y), len(SIGNALS), LENGTH), np.float32)
        for channel, signal in enumerate(SIGNALS):
            member = f"{side}/Inertial Signals/{signal}_{side}.txt"
            table = numbers(source, member, columns=LENGTH)
            if len(table) != len(y):
                raise KdbenchError(f"{source.path}: {member} has {len(table)} lines, wanted one per label, {len(y)}")
            x[:, channel] = table
            self._compare(source, member, known.digests[signal], x[:, channel].astype("<f4"))
        return x, y, person

    def _compare(self, source: Source, member: str, digest: str, values: npt.NDArray[np.generic]) -> None:
        if hashlib.sha256(values.tobytes()).hexdigest() != digest:
            raise foreign(source, member, "its values differ", UciHar.urls[0])


def _integers(source: Source, member: str, *, high: int) -> npt.NDArray[np.int64]:
    """One integer per line, from 1 to ``high``."""
    values = integers(source, member, columns=1)[:, 0]
    wrong = np.flatnonzero((values < 1) | (values > high))
    if len(wrong):
        refuse(source, member, int(wrong[0]) + 1, f"is {values[wrong[0]]}, wanted an integer 1 to {high}")
    return values


def _stretches(
    x: npt.NDArray[np.float32], person: npt.NDArray[np.int64], is_test: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Recording and first sample of every window, from the overlaps of neighbours."""
    total = slice(SIGNALS.index("total_acc_x"), None)
    goes_on = (x[:-1, total, STEP:] == x[1:, total, :STEP]).all(axis=(1, 2))
    goes_on &= (person[:-1] == person[1:]) & (is_test[:-1] == is_test[1:])
    first = np.concatenate([[True], ~goes_on])
    recording = np.cumsum(first) - 1
    row = np.arange(len(x))
    return recording, STEP * (row - row[first][recording])
