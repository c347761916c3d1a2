"""A dataset of the user's own: a folder with a description in TOML beside windows or recordings."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from kdbench.data._archive import Source
from kdbench.data._base import Dataset, Description, Windows
from kdbench.data._own.account import report
from kdbench.data._own.npz import read_windows, window_length
from kdbench.data._own.people import Name, numbered
from kdbench.data._own.recordings import read_recordings
from kdbench.data._own.table import TOML
from kdbench.data._own.toml import About, Parts
from kdbench.errors import DataUnavailable, KdbenchError

VARIED = 16
"""Different values in a window that two people do not come to share by chance, as they may a sensor at rest."""


class Own(Dataset):
    """Your own windows or recordings, from a folder with a dataset.toml, without any Python.

    The folder, or a zip or tar of it, holds ``dataset.toml`` and beside it either windows in ``.npz`` files or
    recordings in CSV files. The content of what is read is part of the cache's key: after any change it is read anew.

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
        [files = "*.npz"]                            # beside dataset.toml; "**/*.npz" goes into folders; none hidden
        [x = "x"]                                    # (N, C, T), any real type
        [y = "y"]                                    # (N,), from 0, or names of classes
        [person = "person"]                          # (N,), whole numbers or texts
        [recording, start = names of arrays]         # (N,), which recording a window was cut from, and where it starts

        [recordings]                                 # or: CSV files with a line of column names
        [files = "*.csv"]
        person = "subject"                           # names of columns; a channel's is its name, or given as
        label = "activity"                           # { name = "acc_x", unit = "g", column = "ax" }
        [recording = "device"]                       # tells recordings (devices, trials) in one file apart
        [time = "t"]                                 # numbers, since whenever, or ISO 8601
        [time_unit = "s" | "ms" | "us" | "ns" | "iso"]
        [gap = 0.03]                                 # s; a longer pause ends a run; 1.5 samples
        [resample = true]                            # bring every file to the rate by its times
        [missing = "drop" | "fill 5"]                # leave rows out, or fill up to so many in a row; else refused
        length = 128                                 # samples of a window
        step = 64
        [delimiter = ",", decimal = "."]
        [labels = { W = "walking" }]                 # what the file writes, to the class; names of classes otherwise
        [unlabelled = [""]]                          # labels whose rows are left out
        [parts = ["acc", "gyro"]]                    # one recording in several files whose names differ in these;
                                                     # channels of the second: { ..., part = "gyro" }

    ``person``, ``label`` and ``recording`` may be a list of columns, or ``{ from = "file" }`` or
    ``{ from = "folder" }``, the name, of which ``pattern``, a regular expression, picks its first group.

    Windows of recordings are cut inside runs: rows of one file that follow each other, of one person, one label and one
    recording, where ``time`` is given without a pause or a step back. Where there is ``time`` or ``recording``, people
    in turn are read apart as well. Where ``.npz`` files do not say which windows overlap, all windows of a person count
    as overlapping.

    ``report`` counts every row by what became of it: in windows, unlabelled, or lost by a pause, a time that does not
    go on, a change of label or person, missing values or the rest of a run; by file, person and class. Where more than
    a tenth of the labelled rows is lost, or a class on a side, or a person, results say so.

    ``"01"``, ``" 1"``, ``"1.0"`` and 1 are one person. Unless all people are numbers, they are numbered from 1 in the
    order of their names, which ``report`` gives. Names that differ in blanks, signs, capitals or zeros around a number
    alone are refused, as are what stands for a missing value in place of a name, a recording of two people, rows and
    windows that two people have, and a file whose times contradict the rate (with ``resample``, by far), as a whole or
    in a class or a stretch of it. A file that is another one again is left out, and said.

    A value that is not a finite number, a class that is not described or of which there is no window, and a column or
    array that is not there are errors that name the file and line; ``report`` names classes that only test people have.

    Args:
        path: the folder; if relative, from the current one.
    """

    name = "own"
    version = 4
    fixed = False
    whereabouts = ("path",)
    usage = "own(path=FOLDER) is a folder of yours; `kdbench show own` tells what to put there"

    def __init__(self, *, path: str = "") -> None:
        self.path = path
        self._described: Description | None = None

    @property
    def place(self) -> Path:
        """The folder."""
        if not self.path:
            raise KdbenchError(f"own: path is missing; wanted own(path=FOLDER), a folder that holds {TOML}")
        place = Path(self.path).expanduser().absolute()
        if not place.exists():
            raise DataUnavailable(f"own: {place} does not exist; wanted a folder that holds {TOML}")
        return place

    @property
    def description(self) -> Description:
        """What ``dataset.toml`` says; for windows, with the length that the arrays have."""
        if self._described is not None:
            return self._described
        with Source(self.place, advice="check it") as source:
            about = About.read(source)
            length = about.recordings.length if about.recordings else window_length(source, about)
        return about.description(length)

    def fingerprint(self, source: Source) -> str:
        """That of the description and the files that it names; whatever else lies beside them is not read."""
        about = About.read(source)
        spec = about.recordings or about.windows
        assert spec is not None
        total = hashlib.sha256()
        for member in (about.member, *about.files(source, spec.files)):
            total.update(f"{hashlib.sha256(source.read(member)).hexdigest()} {member}\n".encode())
        return total.hexdigest()

    def parse(self, source: Source | None) -> Windows:
        """Read the windows, or cut the recordings into windows.

        Raises:
            KdbenchError: something is missing, malformed (with its line or row) or not described.
        """
        source = self.given(source)
        about = About.read(source)
        parts = read_recordings(source, about) if about.recordings else read_windows(source, about)
        numbers = numbered(parts.people)
        person = np.array([numbers[who] for who in parts.people], np.int64)[parts.person]
        _check_people(source, parts)
        test = np.isin(person, about.test_people(source, numbers, person, parts.y, _why(parts)))
        taught, met = set(parts.y[~test].tolist()), set(parts.y.tolist())
        for label, name in enumerate(about.classes):
            if label not in met:
                lost = bool(parts.account and parts.account.counts(label=label))
                why = parts.account.why(label=label) if parts.account and lost else "wanted one, or no such class"
                raise KdbenchError(f"{source.path}: class {name!r} has no window; {why}")
        self._described = about.description(parts.x.shape[2])
        found = dict(parts.report)
        alone = [about.classes[label] for label in sorted(met - taught)]
        if alone:
            found["classes of test people alone"] = alone
        if any(isinstance(who, str) for who in parts.people):
            found["people"] = {str(number): str(who) for who, number in numbers.items()}
        if parts.account:
            found |= report(parts.account, set(parts.person[test].tolist()), _counted(parts))
        if alone:
            said = f"only test people have windows of class {', '.join(alone)}: no network can learn it"
            found["warnings"] = [*found.get("warnings", ()), said]
        self._report = found
        return Windows(parts.x, parts.y, person, test, parts.recording, parts.start)


def _counted(parts: Parts) -> Counter[tuple[int, int]]:
    """Windows by person and label."""
    return Counter(zip(parts.person.tolist(), parts.y.tolist(), strict=True))


def _why(parts: Parts) -> Callable[[Name], str]:
    """How a person comes to have no window."""
    account = parts.account
    if account is None:
        return lambda who: "wanted one or more"
    return lambda who: account.why(person=parts.people.index(who))


def _check_people(source: Source, parts: Parts) -> None:
    """Refuse a recording, and a window, of two people: they may come to be on two sides."""
    owner: dict[int, int] = {}
    seen: dict[bytes, int] = {}
    for window, (recording, person) in enumerate(zip(parts.recording.tolist(), parts.person.tolist(), strict=True)):
        who, here = parts.people[person], parts.recordings[recording]
        if (other := owner.setdefault(recording, person)) != person:
            what = f"{here} is of {parts.people[other]!r} and of {who!r}; wanted one person"
            raise KdbenchError(f"{source.path}: {what}")
        first = seen.setdefault(hashlib.sha256(parts.x[window].data).digest(), window)
        if parts.person[first] != person and len(np.unique(parts.x[window])) >= VARIED:
            other, there = parts.people[parts.person[first]], parts.recordings[parts.recording[first]]
            what = f"{there} of {other!r} and {here} of {who!r} hold one window; wanted it under one person"
            raise KdbenchError(f"{source.path}: {what}")
