"""What a dataset is: a description, windows, and a class that parses the one into the other."""

from __future__ import annotations

import hashlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from kdbench.data._archive import Source
from kdbench.errors import KdbenchError


@dataclass(frozen=True)
class Channel:
    """One signal of a window, e.g. ``Channel("total_acc_x", "g")``."""

    name: str
    unit: str


@dataclass(frozen=True)
class Description:
    """What there is to know about a dataset besides its numbers.

    ``rate`` is in Hz, ``length`` in samples; label k means ``classes[k]``; ``url`` is a page for people to read.
    ``people`` are the numbers of all who were recorded, ascending; empty where only the data tell, and then filled in
    when the dataset is prepared.
    """

    name: str
    title: str
    channels: tuple[Channel, ...]
    rate: float
    length: int
    classes: tuple[str, ...]
    citation: str
    licence: str
    url: str
    people: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Windows:
    """N windows of C channels and T samples, in the units of the description, not normalised.

    ``recording`` says which unbroken recording a window was cut from and ``start`` its first sample there: two
    windows share samples exactly if the recordings are equal and the starts less than T apart.
    """

    x: npt.NDArray[np.float32]  # (N, C, T), contiguous
    y: npt.NDArray[np.int64]  # (N,) label, 0 .. K-1
    person: npt.NDArray[np.int64]  # (N,)
    test: npt.NDArray[np.bool_]  # (N,) official test side
    recording: npt.NDArray[np.int64]  # (N,)
    start: npt.NDArray[np.int64]  # (N,) sample, >= 0

    def digest(self) -> str:
        """SHA-256 over name, type, shape and bytes of every array, as hexadecimal digits."""
        total = hashlib.sha256()
        for field in fields(self):
            array = np.ascontiguousarray(getattr(self, field.name))
            total.update(f"{field.name} {array.dtype.str} {array.shape};".encode())
            total.update(array.data)
        return total.hexdigest()

    def check(self, description: Description) -> None:
        """Hold the arrays against the description.

        Raises:
            KdbenchError: a wrong type or shape, a value that is not finite, a label outside the classes, other people
                than described, or a recording of more than one person.
        """
        name = description.name
        wanted = (len(self.x), len(description.channels), description.length)
        if self.x.dtype != np.float32 or self.x.shape != wanted or not self.x.flags.c_contiguous or not len(self.x):
            raise KdbenchError(
                f"{name}: x is {self.x.dtype} {self.x.shape}, wanted contiguous float32 (N, {wanted[1]}, {wanted[2]})"
            )
        for key in ("y", "person", "test", "recording", "start"):
            array, dtype = getattr(self, key), np.dtype(np.bool_ if key == "test" else np.int64)
            if array.dtype != dtype or array.shape != wanted[:1]:
                raise KdbenchError(f"{name}: {key} is {array.dtype} {array.shape}, wanted {dtype} ({wanted[0]},)")
        finite = np.isfinite(self.x).all(axis=(1, 2))
        if not finite.all():
            raise KdbenchError(f"{name}: window {int(np.argmin(finite))} holds a value that is not finite")
        if self.y.min() < 0 or self.y.max() >= len(description.classes):
            raise KdbenchError(
                f"{name}: labels from {self.y.min()} to {self.y.max()}, wanted 0 to {len(description.classes) - 1}"
            )
        if self.start.min() < 0:
            raise KdbenchError(f"{name}: a window starts at sample {self.start.min()}, wanted 0 or later")
        people = tuple(np.unique(self.person).tolist())
        if description.people and people != description.people:
            person = min({*people} ^ {*description.people})
            what = "is not among its people" if person in people else "has no window"
            raise KdbenchError(f"{name}: person {person} {what}")
        owners = np.unique(np.stack([self.recording, self.person]), axis=1)[0]
        shared = owners[:-1][owners[:-1] == owners[1:]]
        if len(shared):
            # Splits go by person, and keep overlapping windows together only if a recording has one person.
            raise KdbenchError(f"{name}: recording {shared[0]} belongs to more than one person")


def cut(rows: int, length: int, step: int) -> range:
    """First samples of the windows that fit into so many rows."""
    return range(0, rows - length + 1, step)


class Dataset(ABC):
    """One dataset. A public file of ``kdbench.data`` holds one subclass, and its file name is the dataset's name.

    Settings are keyword-only arguments of the constructor, kept under their own names; ranges are written as
    ``Annotated[int, Range(...)]``. Where the same settings come to give other windows, ``version`` must go up.

    Class attributes:
        name: the file's name.
        version: part of the cache key and of every cell.
        archives: names under which the archive, or the folder unpacked from it, may lie in a data folder; the
            first is the one that messages ask for, and that downloads are kept under. Empty: needs no file.
        marker: a member, relative to the unpacked folder, by which a data folder that is itself the unpacked
            folder is recognised.
        urls: where the archive can be downloaded, tried in turn; they hold the same archive.
        blobs: git's ids of the archive as its distributor has it, where they are known.
        whereabouts: settings that say where the data lie and not what they are; no part of a cell.
        people_of: the dataset whose people these are, with the same numbers, where that is another one: tables count
            each person once.
        usage: how to use the dataset, for lists, where it cannot be used without settings.
        fixed: whether the archive's content is known beforehand and checked by ``parse``; otherwise the content
            found becomes part of the cache key.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    archives: ClassVar[tuple[str, ...]] = ()
    marker: ClassVar[str] = ""
    urls: ClassVar[tuple[str, ...]] = ()
    blobs: ClassVar[tuple[str, ...]] = ()
    people_of: ClassVar[str] = ""
    usage: ClassVar[str] = ""
    whereabouts: ClassVar[tuple[str, ...]] = ()
    fixed: ClassVar[bool] = True
    _report: Mapping[str, Any] = MappingProxyType({})

    @property
    def place(self) -> Path | None:
        """Where the files lie, for a dataset whose settings say so; data folders and downloads are not looked at."""
        return None

    @property
    @abstractmethod
    def description(self) -> Description:
        """The description of what ``parse`` returns; where it is part of the data, valid after ``parse``."""

    @abstractmethod
    def parse(self, source: Source | None) -> Windows:
        """Read the windows; ``source`` is None exactly if there are neither ``archives`` nor a ``place``.

        Raises:
            KdbenchError: the source is not what it should be; the message names the member.
        """

    def given(self, source: Source | None) -> Source:
        """The source of a dataset that needs one.

        Raises:
            KdbenchError: there is none.
        """
        if source is None:
            raise KdbenchError(f"{self.name}: wanted an archive or a folder to read")
        return source

    @property
    def report(self) -> Mapping[str, Any]:
        """What was counted or noticed on the way, for people to read: plain data, which ``parse`` sets."""
        return self._report

    def fingerprint(self, source: Source) -> str:
        """What the cache knows the content of a folder by, where it is not ``fixed``; a file is known by its bytes."""
        return source.fingerprint()

    @property
    def settings(self) -> dict[str, object]:
        """The constructor's keyword arguments, as this instance holds them."""
        names = [
            name
            for name, parameter in inspect.signature(type(self).__init__).parameters.items()
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY
        ]
        return {name: getattr(self, name) for name in names}
