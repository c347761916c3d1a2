"""MotionSense: twenty-four people, a phone in the trouser pocket, six activities in fifteen trials."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from kdbench.data._archive import Source
from kdbench.data._base import Channel, Dataset, Description, Windows, cut
from kdbench.data._text import foreign, numbers, refuse
from kdbench.errors import KdbenchError

LENGTH = 128
STEP = LENGTH // 2
CHANNELS = tuple(f"{signal}_{axis}" for signal in ("total_acc", "rotation_rate") for axis in "xyz")
CLASSES: Mapping[str, str] = MappingProxyType(
    {
        "dws": "downstairs",
        "ups": "upstairs",
        "sit": "sitting",
        "std": "standing",
        "wlk": "walking",
        "jog": "jogging",
    }
)
"""What a trial's name begins with, to what it means."""

TEST_PEOPLE = (18, 19, 20, 21, 22, 23, 24)
COLUMNS = (
    "",
    *(f"attitude.{angle}" for angle in ("roll", "pitch", "yaw")),
    *(f"{signal}.{axis}" for signal in ("gravity", "rotationRate", "userAcceleration") for axis in "xyz"),
)
GRAVITY, ROTATION, ACCELERATION = slice(4, 7), slice(7, 10), slice(10, 13)


@dataclass(frozen=True)
class Trial:
    """What one trial is known to hold, over all people.

    ``digest``: SHA-256 of the six signals of each person in turn, as little-endian float32 (6, rows).
    """

    rows: int
    digest: str


@dataclass(frozen=True)
class Original:
    """What the archive is known to hold: every person did every trial."""

    people: tuple[int, ...]
    trials: Mapping[str, Trial]


ORIGINAL = Original(
    people=tuple(range(1, 25)),
    trials=MappingProxyType(
        {
            "dws_1": Trial(50246, "01270da31f104ffec5df280501940d7f69a7df70fd8d7b190f65f2400a421166"),
            "dws_2": Trial(59108, "ba3c691e09be97e7b00dfe344ed5fab551f355c2916e528b5c2f23d82e54c727"),
            "dws_11": Trial(22502, "49b4b824b52ad12f1af1c04aee71d229c2958c342ec172aa832805b0de935d7a"),
            "ups_3": Trial(58204, "fd91a1c2ccdbfda560b0c9e82a40eda0875261c6232444bbf7d436a9ef85a8d2"),
            "ups_4": Trial(71072, "524072bf11c0493a9531e4bd67afab7fc89bda7683a7b86a97eaf0dacb605f2a"),
            "ups_12": Trial(28009, "a6d105ae68d136eda589e8af6eb59dd02d955d547b4f2b081bce9fa396c6e53d"),
            "sit_5": Trial(234657, "126d090cfef868dd4d8d0e86bc2c2304dec498da4274ac75e8fffe3ccaa0e2c5"),
            "sit_13": Trial(104121, "31bcee742db797b181d201feb522715a7fbb4aa0cbbd4de1832f1db968011b77"),
            "std_6": Trial(224816, "fca6b5bc111066f489e498c433503875151d74d1110d7b523e442b9f3af716ed"),
            "std_14": Trial(81611, "3c2a9b4e9dfbc9a517d67a38a41ce7c7c50ddc0cb23e9b3f930a7b035e6a4d5a"),
            "wlk_7": Trial(158645, "1db0cc19527fe8cc7030b1d9b09ecddcfcaf3d75ce4c7fca18b01262069a3279"),
            "wlk_8": Trial(120371, "995911503c9a59cddae5a7f4e07533baf5af241ff6f7c88828cb2cd2993367c2"),
            "wlk_15": Trial(65272, "63436f57000aea06fe63bd0a56ce5deeddf43b95fd3431dd0eedc8587fd6af29"),
            "jog_9": Trial(104327, "733c99e49cf20f548150c739fb6ba68dd07459bc6b46c815c98238b70c41df02"),
            "jog_16": Trial(29904, "17256ebad707ad79b06ee8ab590dcde9c635f7f6ee8d70cfd91129409e67afe1"),
        }
    ),
)
"""Computed from files that are the same in two public repositories; the rows are those that the authors print."""


class MotionSense(Dataset):
    """MotionSense, 24 people with a phone in the front trouser pocket, 21539 windows.

    Six channels of 128 samples at 50 Hz: acceleration with gravity in g (``userAcceleration`` + ``gravity``) and
    rotation in rad/s. Windows are cut every 64 samples inside every file, trial by trial and person by person. No
    split by person is official: the last seven people, 18 to 24, are the test side. The authors' own split is by
    trial and has the same people on both sides.

    ``sit_5/sub_1.csv`` and ``sit_13/sub_1.csv`` are one recording, distributed twice. Files with equal signals count
    as one recording here, so that their windows are known to overlap; ``report`` names them.

    Source: Malekzadeh, Clegg, Cavallaro, Haddadi, "Mobile Sensor Data Anonymization", IoTDI 2019.
    """

    name = "motionsense"
    archives = ("A_DeviceMotion_data.zip", "A_DeviceMotion_data")
    marker = "dws_1/sub_1.csv"
    urls: ClassVar[tuple[str, ...]] = (
        "https://github.com/mmalekzadeh/motion-sense/raw/master/data/A_DeviceMotion_data.zip",
    )
    blobs = ("78f9957d9f4d0a4b6457461009e1f2e0453a872d",)
    known: ClassVar[Original] = ORIGINAL

    def __init__(self) -> None:
        self._twice: list[str] = []

    @property
    def description(self) -> Description:
        return Description(
            name=self.name,
            title="MotionSense (device motion)",
            channels=tuple(Channel(name, "rad/s" if "rotation" in name else "g") for name in CHANNELS),
            rate=50.0,
            length=LENGTH,
            classes=tuple(CLASSES.values()),
            citation="M. Malekzadeh, R. G. Clegg, A. Cavallaro, H. Haddadi. Mobile Sensor Data Anonymization. "
            "IoTDI 2019.",
            licence="MIT; citation asked for",
            url="https://github.com/mmalekzadeh/motion-sense",
            people=self.known.people,
        )

    @property
    def report(self) -> Mapping[str, Any]:
        return {"recordings found twice": self._twice} if self._twice else {}

    def parse(self, source: Source | None) -> Windows:
        """Read every file and cut it into windows.

        Raises:
            KdbenchError: a file is missing, malformed (with its line), or not the original's.
        """
        source = self.given(source)
        x: list[npt.NDArray[np.float32]] = []
        columns: list[npt.NDArray[np.int64]] = []  # each (4, windows of a file): label, person, recording, start
        first: dict[bytes, tuple[int, str, int]] = {}  # what was seen: number of the recording, file, person
        self._twice = []
        for trial, person, member, signals in self._files(source):
            recording, again, owner = first.setdefault(
                hashlib.sha256(signals.tobytes()).digest(), (len(first), member, person)
            )
            if owner != person:
                raise KdbenchError(f"{source.path}: {again} and {member} are one recording of two people")
            if again != member:
                self._twice.append(f"{again} = {member}")
            label = list(CLASSES).index(trial.partition("_")[0])
            for start in cut(signals.shape[1], LENGTH, STEP):
                x.append(signals[:, start : start + LENGTH])
                columns.append(np.array([label, person, recording, start], np.int64))
        label, person, recording, start = np.stack(columns, axis=1)
        return Windows(np.stack(x), label, person, np.isin(person, TEST_PEOPLE), recording, start)

    def _files(self, source: Source) -> Iterator[tuple[str, int, str, npt.NDArray[np.float32]]]:
        """Trial, person, name and signals (6, rows) of every file; each trial is held against what is known of it."""
        for trial, known in self.known.trials.items():
            rows, digest = 0, hashlib.sha256()
            for person in self.known.people:
                member = f"{trial}/sub_{person}.csv"
                signals = _signals(source, member)
                rows += signals.shape[1]
                digest.update(signals.astype("<f4").data)
                yield trial, person, member, signals
            if rows != known.rows:
                raise foreign(source, trial, f"{rows} rows, wanted {known.rows}", MotionSense.urls[0])
            if digest.hexdigest() != known.digest:
                raise foreign(source, trial, "values differ", MotionSense.urls[0])


def _signals(source: Source, member: str) -> npt.NDArray[np.float32]:
    """Total acceleration and rotation, (6, rows)."""
    table = numbers(source, member, columns=len(COLUMNS), separator=",", header=",".join(COLUMNS))
    astray = np.flatnonzero(table[:, 0] != np.arange(len(table)))
    if len(astray):
        row = int(astray[0])
        refuse(source, member, row + 2, f"is numbered {table[row, 0]:g}, wanted {row}")
    total = table[:, ACCELERATION] + table[:, GRAVITY]
    return np.ascontiguousarray(np.hstack([total, table[:, ROTATION]]).T.astype(np.float32))
