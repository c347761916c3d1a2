"""A user's own windows: arrays in ``.npz`` files."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kdbench.data._archive import DAMAGE, MEMBER_LIMIT, Source, reason
from kdbench.data._own.people import Name, People
from kdbench.data._own.table import TOML
from kdbench.data._own.toml import About, Integers, Parts
from kdbench.errors import KdbenchError, nearest

NARROW = f"; if it is none of the windows, narrow files in {TOML}"


def read_windows(source: Source, about: About) -> Parts:
    assert about.windows is not None
    spec = about.windows
    x: list[npt.NDArray[np.float32]] = []
    y: list[Integers] = []
    person: list[int] = []
    people = People()
    origins: list[Integers] = []
    files = about.files(source, spec.files)
    for number, member in enumerate(files):
        with _Npz(source, member) as npz:
            signals = npz.read(spec.x)
            rows = len(signals) if signals.ndim else 0
            wanted = (len(about.channels), *x[0].shape[2:]) if x else (len(about.channels),)
            if signals.ndim != 3 or signals.shape[1 : 1 + len(wanted)] != wanted or not signals.size:
                shape = ", ".join(["N", *map(str, wanted), "T"][:3])
                raise KdbenchError(
                    f"{npz.where(spec.x)} has shape {signals.shape}, wanted ({shape}): window, channel, time"
                )
            x.append(_finite(npz.where(spec.x), signals))
            y.append(_class_numbers(npz, about, rows))
            person += _people(npz, spec.person, rows, people)
            if spec.recording:
                recording, start = (npz.whole(name, rows) for name in (spec.recording, spec.start))
                if (start < 0).any():
                    row = int(np.argmax(start < 0))
                    raise KdbenchError(
                        f"{npz.where(spec.start)} is {start[row]} in row {row}, counted from 0; wanted 0 or later"
                    )
                origins.append(np.stack([np.full(rows, number), recording, start]))
    if origins:
        file, recording, start = np.concatenate(origins, axis=1)
        distinct, recording = np.unique(np.stack([file, recording]), axis=1, return_inverse=True)
        recording = recording.reshape(-1).astype(np.int64)
        recordings = [f"{files[file]} recording {number}" for file, number in distinct.T.tolist()]
    else:
        recording, start = np.array(person, np.int64), np.zeros(len(person), np.int64)
        recordings = ["the windows"] * len(people.names)
    signals = np.ascontiguousarray(np.concatenate(x))
    report = {"files": len(files), "windows": len(signals)}
    owners = np.array(person, np.int64)
    return Parts(signals, np.concatenate(y), owners, recording, start, people.names, recordings, report)


def window_length(source: Source, about: About) -> int:
    assert about.windows is not None
    with _Npz(source, about.files(source, about.windows.files)[0]) as npz:
        shape = npz.shape(about.windows.x)
        if len(shape) != 3:
            raise KdbenchError(f"{npz.where(about.windows.x)} has shape {shape}, wanted (N, C, T)")
        return shape[2]


class _Npz:
    """The arrays of an ``.npz`` file. Nothing is unpickled, and nothing is made larger than the file says it is."""

    def __init__(self, source: Source, member: str) -> None:
        self.source, self.member = source, member
        try:
            self.zip = zipfile.ZipFile(io.BytesIO(source.read(member)))
        except (OSError, *DAMAGE) as error:
            raise KdbenchError(f"{source.path}: {member} is not an .npz file ({reason(error)}){NARROW}") from None

    def __enter__(self) -> _Npz:
        return self

    def __exit__(self, *error: object) -> None:
        self.zip.close()

    def where(self, name: str) -> str:
        return f"{self.source.path}: {self.member}: array {name!r}"

    def shape(self, name: str) -> tuple[int, ...]:
        return self._open(name)[0]

    def read(self, name: str) -> npt.NDArray[Any]:
        """An array of numbers, truth values or texts."""
        shape, fortran, dtype, content = self._open(name)
        if dtype.kind not in "biufU":
            raise KdbenchError(f"{self.where(name)} is of type {dtype}, wanted numbers or texts")
        flat = np.frombuffer(content, dtype)
        return flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)

    def whole(self, name: str, rows: int) -> Integers:
        """(rows,) whole numbers."""
        array = self.read(name)
        if array.shape != (rows,) or array.dtype.kind not in "iu":
            raise KdbenchError(
                f"{self.where(name)} has shape {array.shape} and type {array.dtype}, wanted ({rows},) whole numbers"
            )
        large = array > np.iinfo(np.int64).max
        if large.any():
            row = int(np.argmax(large))
            raise KdbenchError(
                f"{self.where(name)} is {array[row]} in row {row}, counted from 0; wanted less than 2^63"
            )
        return array.astype(np.int64)

    def texts(self, name: str, rows: int) -> list[str] | None:
        """(rows,) texts; None if it is of another type."""
        array = self.read(name)
        if array.dtype.kind != "U":
            return None
        if array.shape != (rows,):
            raise KdbenchError(f"{self.where(name)} has shape {array.shape}, wanted ({rows},)")
        raw, size = array.tobytes(), array.dtype.itemsize
        encoding = "utf-32-be" if array.dtype.str.startswith(">") else "utf-32-le"
        try:  # numpy itself stumbles over numbers that are no characters
            return [raw[at : at + size].decode(encoding).rstrip("\0") for at in range(0, len(raw), size)]
        except UnicodeDecodeError as error:
            raise KdbenchError(f"{self.where(name)} holds no text ({reason(error)})") from None

    def _open(self, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], bytes]:
        known = [entry.removesuffix(".npy") for entry in self.zip.namelist() if entry.endswith(".npy")]
        if name not in known:
            what = nearest(f"the arrays of {self.member}", name, known)
            raise KdbenchError(f"{self.source.path}: {what}{NARROW}")
        info = self.zip.getinfo(f"{name}.npy")
        if info.file_size > MEMBER_LIMIT:
            raise KdbenchError(f"{self.where(name)} has {info.file_size} bytes, more than the {MEMBER_LIMIT} allowed")
        try:
            content = io.BytesIO(self.zip.read(info))
            major, _ = np.lib.format.read_magic(content)
        except (OSError, RuntimeError, *DAMAGE) as error:
            raise KdbenchError(f"{self.where(name)} cannot be read ({reason(error)})") from None
        header = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        try:
            shape, fortran, dtype = header(content)
        except Exception as error:  # numpy parses it as Python, and lets out whatever that raises
            raise KdbenchError(f"{self.where(name)} has a header that cannot be read ({reason(error)})") from None
        if any(type(size) is not int for size in shape):  # numpy takes a truth value for a number there
            raise KdbenchError(f"{self.where(name)} has a header that cannot be read (shape {shape})")
        rest = content.read()
        wanted = dtype.itemsize
        for size in shape:
            wanted *= size
        if dtype.hasobject or not dtype.itemsize or wanted != len(rest) or min(shape, default=0) < 0:
            raise KdbenchError(f"{self.where(name)} has {len(rest)} bytes, wanted those of {dtype} {shape}")
        return shape, fortran, dtype, rest


def _finite(where: str, signals: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    if signals.dtype.kind not in "iuf":
        raise KdbenchError(f"{where} is of type {signals.dtype}, wanted numbers")
    with np.errstate(over="ignore"):
        out: npt.NDArray[np.float32] = signals.astype(np.float32)
    bad = ~np.isfinite(out).all(axis=(1, 2))
    if bad.any():
        raise KdbenchError(f"{where} holds a value that is not finite in row {int(np.argmax(bad))}, counted from 0")
    return out


def _class_numbers(npz: _Npz, about: About, rows: int) -> Integers:
    assert about.windows is not None
    name, classes = about.windows.y, about.classes
    texts = npz.texts(name, rows)
    if texts is not None:
        for row, text in enumerate(texts):
            if text not in classes:
                raise KdbenchError(f"{npz.where(name)} row {row}, counted from 0: {nearest('classes', text, classes)}")
        return np.array([classes.index(text) for text in texts], np.int64)
    y = npz.whole(name, rows)
    bad = (y < 0) | (y >= len(classes))
    if bad.any():
        row = int(np.argmax(bad))
        raise KdbenchError(
            f"{npz.where(name)} is {y[row]} in row {row}, counted from 0; wanted 0 to {len(classes) - 1}"
        )
    return y


def _people(npz: _Npz, name: str, rows: int, people: People) -> list[int]:
    texts = npz.texts(name, rows)
    written: Sequence[Name] = npz.whole(name, rows).tolist() if texts is None else texts
    return [people.index(who, f"{npz.where(name)} row {row}, counted from 0,") for row, who in enumerate(written)]
