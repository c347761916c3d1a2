"""A dataset of the user's own: a folder with a description in TOML beside windows or recordings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kdbench.data._archive import Source
from kdbench.data._base import Dataset, Description, Windows
from kdbench.data._own_csv import read_recordings
from kdbench.data._own_npz import read_windows, window_length
from kdbench.data._own_toml import TOML, About
from kdbench.errors import KdbenchError


class Own(Dataset):
    """Your own windows or recordings, from a folder with a dataset.toml, without any Python.

    The folder, or a zip or tar of it, holds ``dataset.toml`` and beside it either windows in ``.npz`` files or
    recordings in CSV files. The whole folder's content is part of the cache's key: after any change it is read anew.

    ``dataset.toml``, with what may be left out in brackets::

        name = "my_study"
        [title, citation, licence, url = texts]
        rate = 50.0                                  # Hz
        classes = ["walking", "sitting"]
        channels = [{ name = "acc_x", unit = "g" }, { name = "acc_y", unit = "g" }]

        [split]                                      # who is on the test side of subject-v1: either
        test = [3, 7]                                # these people
        # or
        fraction = 0.3                               # this share of the people, drawn by the seed
        [seed = 0]

        [windows]                                    # either: arrays in .npz files
        [files = "*.npz"]
        [x = "x"]                                    # (N, C, T), any real type
        [y = "y"]                                    # (N,), from 0, or names of classes
        [person = "person"]                          # (N,), whole numbers or texts
        [recording, start = names of arrays]         # (N,), which recording a window was cut from, and where it starts

        [recordings]                                 # or: CSV files with a line of column names
        [files = "*.csv"]
        person = "subject"                           # names of columns; a channel's is its name, or given as
        label = "activity"                           # { name = "acc_x", unit = "g", column = "ax" }
        [time = "t", time_unit = "s" | "ms" | "us" | "ns"]
        [gap = 0.03]                                 # s; a longer pause ends a run; 1.5 samples
        length = 128                                 # samples of a window
        step = 64
        [delimiter = ","]
        [labels = { W = "walking" }]                 # what the file writes, to the class; names of classes otherwise
        [unlabelled = ["", "null"]]                  # labels whose rows are left out

    Windows of recordings are cut inside runs: rows of one file that follow each other, of one person and one label,
    where ``time`` is given without a pause or a step back. Where ``.npz`` files do not say which windows overlap, all
    windows of a person count as overlapping. People written as texts are numbered from 1 in their order, which
    ``report`` gives. A value that is not a finite number, a class that is not described, and a column or array that is
    not there are errors that name the file and line.

    Args:
        path: the folder; if relative, from the current one.
    """

    name = "own"
    fixed = False

    def __init__(self, *, path: str = "") -> None:
        self.path = path
        self._report: Mapping[str, Any] = {}
        self._described: Description | None = None

    @property
    def place(self) -> Path:
        """The folder."""
        if not self.path:
            raise KdbenchError(f"own: path is missing; wanted own(path=FOLDER), a folder that holds {TOML}")
        place = Path(self.path).expanduser().absolute()
        if not place.exists():
            raise KdbenchError(f"own: {place} does not exist; wanted a folder that holds {TOML}")
        return place

    @property
    def description(self) -> Description:
        """What ``dataset.toml`` says; for windows, with the length that the arrays have."""
        if self._described is not None:
            return self._described
        with Source(self.place) as source:
            about = About.read(source)
            length = about.recordings.length if about.recordings else window_length(source, about)
        return about.description(length)

    @property
    def report(self) -> Mapping[str, Any]:
        return self._report

    def parse(self, source: Source | None) -> Windows:
        """Read the windows, or cut the recordings into windows.

        Raises:
            KdbenchError: something is missing, malformed (with its line or row) or not described.
        """
        if source is None:
            raise KdbenchError(f"{self.name}: wanted a folder to read")
        about = About.read(source)
        parts = read_recordings(source, about) if about.recordings else read_windows(source, about)
        numbers = _numbered(parts.people)
        person = np.array([numbers[who] for who in parts.people], np.int64)[parts.person]
        test = np.isin(person, about.test_people(source, numbers, person, parts.y))
        named = {str(number): who for who, number in numbers.items() if isinstance(who, str)}
        self._described = about.description(parts.x.shape[2])
        self._report = {**parts.report, **({"people": named} if named else {})}
        return Windows(parts.x, parts.y, person, test, parts.recording, parts.start)


def _numbered(people: Iterable[int | str]) -> dict[int | str, int]:
    """Numbers for people as written: their own, or from 1 in the order of the texts."""
    everyone = set(people)
    if all(isinstance(who, int) for who in everyone):
        return {who: int(who) for who in sorted(everyone, key=int)}
    return {who: number for number, who in enumerate(sorted(everyone, key=str), start=1)}
