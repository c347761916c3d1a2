"""selfBACK: thirty-four people, sensors on the thigh and on the wrist at once, nine activities."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt

from kdbench.data._archive import Source
from kdbench.data._base import Channel, Dataset, Description, Windows, cut
from kdbench.data._resample import resampled
from kdbench.data._text import foreign, numbers, refuse, shown
from kdbench.errors import KdbenchError
from kdbench.settings import Choice

RATE, LENGTH = 50.0, 128
STEP = LENGTH // 2
CLASSES = (
    *("downstairs", "jogging", "lying", "sitting", "standing", "upstairs"),
    *("walk_fast", "walk_mod", "walk_slow"),
)
SIX: Mapping[str, str] = MappingProxyType(
    {
        **{name: name for name in ("downstairs", "jogging", "sitting", "standing", "upstairs")},
        "walk_mod": "walking",
    }
)
"""What the authors' version with six classes calls the folders that it has."""

PLACES = ("thigh", "wrist")
COLUMNS = MappingProxyType({"thigh": ("x", "y", "z", "class"), "wrist": ("x", "y", "z")})
PEOPLE = (
    *(26, 27, 28, 29, 30, 31, 33, 34, 35, 36, 39, 40, 41, 42, 43, 44, 46, 47, 48, 49, 50, 51, 52, 53),
    *(54, 55, 56, 57, 58, 59, 60, 61, 62, 63),
)
TEST_PEOPLE = (28, 31, 35, 40, 43, 47, 50, 53, 56, 59, 62)
LARGEST_GAP = 0.05
"""Seconds between two rows of the original, at most."""

RANGE_END = 7.98
"""g; what is larger lies at the end of the sensor's range."""

DECIMALS = 5
"""Of resampled values, in g: far below the sensor's step of 1/64, and processors whose last bits differ agree on it."""

URL = "https://github.com/rgu-selfback/Datasets"
_STAMP = "0000-00-00 00:00:00.000"
_DIGITS = np.array([at for at, sign in enumerate(_STAMP) if sign == "0"])
_SIGNS = np.array([at for at, sign in enumerate(_STAMP) if sign != "0"])

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Folder:
    """What the files of a class at a place are known to hold together.

    ``digest``: SHA-256 of the milliseconds since 1970 as little-endian int64 and of the signals (n, 3) as little-endian
    float32 of every file in turn.
    """

    rows: int
    digest: str


@dataclass(frozen=True)
class Original:
    """What the archive is known to hold; ``folders`` by place and class."""

    people: tuple[int, ...]
    folders: Mapping[tuple[str, str], Folder]


ORIGINAL = Original(
    people=PEOPLE,
    folders=MappingProxyType(
        {
            ("thigh", "downstairs"): Folder(236711, "3f85a69501f6090a07b55e532adcedb5563486a93472c4961c9afef007e85217"),
            ("thigh", "jogging"): Folder(808560, "d98ffb6715bcd5569aa39c6f9830e74fbc18378a54524cf7f6dbffa67e6ea0f9"),
            ("thigh", "lying"): Folder(602696, "45f40b7c39a4bc7badef4e2ef1d03cb1771402a9c23e10bc8625ec728f9c3a9f"),
            ("thigh", "sitting"): Folder(592482, "5042eb1b1b5f151ad52004999006ffa7d2cd9bec3fa545abb89d63c6cd0af835"),
            ("thigh", "standing"): Folder(616743, "329433aa05d7ba2a3c17dd1464f471f7f392e0dcd20be873a0af684cc88f0050"),
            ("thigh", "upstairs"): Folder(262292, "9419f249962b4f10f48fe3981dd34922a370eec80978c87d644a5556454a2929"),
            ("thigh", "walk_fast"): Folder(605860, "08e04b16dc419d8e8692db44ed6f9b818d250bb279955c39a56b0994193f65be"),
            ("thigh", "walk_mod"): Folder(599348, "6f0568838600e20051036f6cc22a37256b6c3dd9d3ccc9e23c85f5c934a7d98f"),
            ("thigh", "walk_slow"): Folder(611576, "5fd1e4f2e27f0a402b7bde53c746697b7a127315c4ea94065c5e2a3fa99c744f"),
            ("wrist", "downstairs"): Folder(240691, "edddeda21ebfbd83b2a22392c53364065d3f6e0ffe58517336d565c1ab0b784f"),
            ("wrist", "jogging"): Folder(813704, "efec2802d96c6fa593981563a8ab163d3d4719a364feb1f7ec4b15d226c2786a"),
            ("wrist", "lying"): Folder(610090, "4a4f45cedcae86398d53c95231dbf07b9c25a219d2d85439ad05ebe5a7d861c3"),
            ("wrist", "sitting"): Folder(599978, "a8774aaa0b727ff9bbe505dc8ae8985f8d2fe4cd03886ac50ae8f509fcc03da5"),
            ("wrist", "standing"): Folder(617108, "f3dc68e6f7aa7d4d8295a25ccc5e39c5c8a1c865e44dc7ab3df226beaec240ab"),
            ("wrist", "upstairs"): Folder(266515, "e7eb2644e1ff42d48c86c22b88226709bf46bc4b39bd6cb67ab32ffb7584321e"),
            ("wrist", "walk_fast"): Folder(609354, "adde6ac1717963227a8410b850dd917cfaeb146c6000bbe12af2e4252141a52f"),
            ("wrist", "walk_mod"): Folder(599973, "690de178d732dead595f9772a47d811b037a08365926e0564e9eaf7a7030f5b9"),
            ("wrist", "walk_slow"): Folder(612221, "4de85e718e1425329d77bb909f3b8f96c37db23423d1bc5adbfcd14d4d645831"),
        }
    ),
)
"""Computed from files whose git ids are those of the authors' repository."""


class SelfBack(Dataset):
    """selfBACK, thigh and wrist, 34 people, windows of 2.56 s.

    Acceleration with gravity in g, of the thigh, of the wrist, or of both. The two sensors have clocks and rates of
    their own (97 to 103 Hz where 100 is meant): both are brought by time to one grid of 50 Hz over the time that they
    share, which removes what lies above 25 Hz. Windows of 128 samples are cut every 64 inside every recording. The grid
    is the same whatever the places, so window k of ``places=wrist`` is the wrist's part of window k of ``places=both``.
    Test people: every third, 28 31 35 40 43 47 50 53 56 59 62; no split is official.

    Three of the nine classes are speeds of walking that people chose themselves: they are confused.

    Source: Sani, Massie, Wiratunga, Cooper, "Learning Deep and Shallow Features for Human Activity Recognition",
    KSEM 2017; https://github.com/rgu-selfback/Datasets, folder raw/9_class.

    Args:
        places: thigh, wrist or both.
        classes: 9, or 6 as the authors have them, without lying, fast and slow walking.
    """

    name = "selfback"
    archives = ("selfBACK_9_class_34.zip", "Datasets-master.zip", "Datasets-master")
    marker = "raw/9_class/thigh34/walk_mod/026.csv"
    known: ClassVar[Original] = ORIGINAL

    def __init__(
        self,
        *,
        places: Annotated[str, Choice("thigh", "wrist", "both")] = "both",
        classes: Annotated[int, Choice(6, 9)] = 9,
    ) -> None:
        self.places, self.classes = places, classes

    @property
    def description(self) -> Description:
        return Description(
            name=self.name,
            title="selfBACK (thigh and wrist)",
            channels=tuple(Channel(f"{place}_acc_{axis}", "g") for place in self._worn for axis in "xyz"),
            rate=RATE,
            length=LENGTH,
            classes=tuple(self._called.values()),
            citation="S. Sani, S. Massie, N. Wiratunga, K. Cooper. Learning Deep and Shallow Features for Human "
            "Activity Recognition. KSEM 2017.",
            licence="none stated by the authors, who ask for the citation; the UCI Machine Learning Repository "
            "distributes the same collection as dataset 521",
            url=URL,
            people=self.known.people,
        )

    @property
    def _worn(self) -> tuple[str, ...]:
        return PLACES if self.places == "both" else (self.places,)

    @property
    def _called(self) -> Mapping[str, str]:
        """Folders to classes."""
        return SIX if self.classes == len(SIX) else {name: name for name in CLASSES}

    def parse(self, source: Source | None) -> Windows:
        """Read the recordings of both places, bring them to one grid and cut them into windows.

        Raises:
            KdbenchError: a file is missing, malformed (with its line), or not the original's.
        """
        source = self.given(source)
        x: list[npt.NDArray[np.float32]] = []
        columns: list[tuple[int, int, int, int]] = []  # label, person, recording, start of every window
        counts = dict.fromkeys(PLACES, 0)
        ends = dict.fromkeys(PLACES, 0)
        for label, folder in enumerate(self._called):
            for number, (person, pair) in enumerate(self._pairs(source, folder)):
                for place, (_, signals) in pair.items():
                    counts[place] += len(signals)
                    ends[place] += int((np.abs(signals) > RANGE_END).sum())
                gridded = self._gridded(pair)
                for start in cut(len(gridded), LENGTH, STEP):
                    x.append(gridded[start : start + LENGTH].T)
                    columns.append((label, person, label * len(self.known.people) + number, start))
        self._report = {f"{place} rows": counts[place] for place in self._worn}
        self._report |= {f"{place} values at the end of the range": ends[place] for place in self._worn}
        y, person_of, recording, begun = np.array(columns, np.int64).T.copy()
        return Windows(
            np.ascontiguousarray(np.stack(x)), y, person_of, np.isin(person_of, TEST_PEOPLE), recording, begun
        )

    def _pairs(self, source: Source, folder: str) -> Iterator[tuple[int, dict[str, tuple[Floats, Floats]]]]:
        """Every person's times and signals at both places; held against what is known when all were read."""
        rows = dict.fromkeys(PLACES, 0)
        digests = {place: hashlib.sha256() for place in PLACES}
        for person in self.known.people:
            pair = {}
            for place in PLACES:
                times, signals = _read(source, place, folder, person)
                rows[place] += len(times)
                digests[place].update(np.round(times * 1000).astype("<i8").data)
                digests[place].update(signals.astype("<f4").data)
                pair[place] = times, signals
            yield person, pair
        for place in PLACES:
            where, known = f"raw/9_class/{place}34/{folder}", self.known.folders[place, folder]
            if rows[place] != known.rows:
                raise foreign(source, where, f"{rows[place]} rows, wanted {known.rows}", URL)
            if digests[place].hexdigest() != known.digest:
                raise foreign(source, where, "values differ", URL)

    def _gridded(self, pair: Mapping[str, tuple[Floats, Floats]]) -> npt.NDArray[np.float32]:
        """Signals of what is worn, (samples, C), from when both sensors run until one stops."""
        start = max(times[0] for times, _ in pair.values())
        stop = min(times[-1] for times, _ in pair.values())
        parts = [resampled(*pair[place], RATE, start=start, stop=stop) for place in self._worn]
        return np.ascontiguousarray(np.concatenate(parts, axis=1).round(DECIMALS).astype(np.float32))


def _read(source: Source, place: str, folder: str, person: int) -> tuple[Floats, Floats]:
    """Seconds since 1970 and signals (n, 3) of a file."""
    member = f"raw/9_class/{place}34/{folder}/{person:03}.csv"
    content = source.read(member).replace(b"\r\n", b"\n")
    columns = COLUMNS[place]
    named = b"," + folder.encode() if place == "thigh" else b""
    times, rest = _stamps(source, member, content, ",".join(("time", *columns)).encode())
    if named:
        lines = rest.count(b"\n")
        if rest.count(named + b"\n") != lines:
            wrong = next(n for n, line in enumerate(rest.splitlines()) if not line.endswith(named))
            refuse(source, member, wrong + 2, f"is not of class {folder}, as its folder says")
        rest = rest.replace(named + b"\n", b"\n")
    signals = numbers(source, member, columns=3, separator=",", content=rest, above=1)
    late = np.flatnonzero((np.diff(times) <= 0) | (np.diff(times) > LARGEST_GAP + 1e-6))
    if len(late):
        row = int(late[0])
        refuse(source, member, row + 3, f"is {times[row + 1] - times[row]:.3f} s after the line before it")
    return times, signals


def _stamps(source: Source, member: str, content: bytes, header: bytes) -> tuple[Floats, bytes]:
    """Times in the first 23 signs of every line, and what follows them, without the header."""
    first, _, body = content.partition(b"\n")
    if first != header:
        refuse(source, member, 1, f"is {shown(first)}, wanted {header.decode()}")
    body = body.rstrip() + b"\n"
    signs = np.frombuffer(body, np.uint8)
    ends = np.flatnonzero(signs == ord("\n"))
    begins = np.concatenate([[0], ends[:-1] + 1])
    width = len(_STAMP) + 1
    short = np.flatnonzero(ends - begins <= width)
    if len(short):
        refuse(source, member, int(short[0]) + 2, f"has no time and numbers, wanted {header.decode()}")
    stamps = signs[begins[:, None] + np.arange(width)]
    digits = stamps[:, _DIGITS].astype(np.int64) - ord("0")
    wanted = np.frombuffer(f"{_STAMP},".encode(), np.uint8)
    fits = (stamps[:, [*_SIGNS, width - 1]] == wanted[[*_SIGNS, width - 1]]).all(axis=1)
    fits &= ((digits >= 0) & (digits <= 9)).all(axis=1)
    if not fits.all():
        refuse(source, member, int(np.argmin(fits)) + 2, f"has no time like {_STAMP}")
    year, month, day, hour, minute, second, fraction = (
        digits[:, part] @ 10 ** np.arange(part.stop - part.start)[::-1]
        for part in map(slice, (0, 4, 6, 8, 10, 12, 14), (4, 6, 8, 10, 12, 14, 17))
    )
    days, which = np.unique(np.stack([year, month, day]), axis=1, return_inverse=True)
    try:
        since = np.array([date(*day).toordinal() for day in days.T.tolist()]) - date(1970, 1, 1).toordinal()
    except ValueError:
        raise KdbenchError(f"{source.path}: {member} has a time that is on no day") from None
    clock = ((since[which.reshape(-1)] * 24 + hour) * 60 + minute) * 60 + second
    kept = np.ones(len(signs), np.bool_)
    kept[begins[:, None] + np.arange(width)] = False
    return clock + fraction / 1000, signs[kept].tobytes()
