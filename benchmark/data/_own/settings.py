"""The tables ``[windows]`` and ``[recordings]`` of a ``dataset.toml``, checked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from kdbench.data._own.table import Table
from kdbench.errors import KdbenchError, nearest

UNITS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
"""How many of them a second has."""

ISO = "iso"
"""The unit of times that are written as ISO 8601 has them."""


@dataclass(frozen=True)
class Told:
    """Where something is told of a row: in columns, or in the name of its file or folder.

    ``pattern`` picks its first group out of the name, or the whole match where it has none.
    """

    columns: tuple[str, ...] = ()
    name: str = ""  # "file" or "folder"
    pattern: str = ""

    def of(self, member: str) -> str:
        """What the file's or folder's name says.

        Raises:
            KdbenchError: it does not fit the pattern, or there is no folder.
        """
        path = PurePosixPath(member)
        text = path.stem if self.name == "file" else path.parent.name
        found = re.search(self.pattern, text) if self.pattern else re.fullmatch(r".*", text)
        said = "" if found is None else (found[1] if found.re.groups else found[0]) or ""
        if not said.strip():
            wanted = f"what fits {self.pattern!r}" if self.pattern else f"a {self.name}"
            raise KdbenchError(f"{member}: its {self.name} is called {text!r}, wanted {wanted}")
        return said

    def __str__(self) -> str:
        return ", ".join(map(repr, self.columns)) or f"the {self.name}'s name"


@dataclass(frozen=True)
class WindowFiles:
    """The table ``[windows]``."""

    files: str = "*.npz"
    x: str = "x"
    y: str = "y"
    person: str = "person"
    recording: str = ""
    start: str = ""


@dataclass(frozen=True)
class RecordingFiles:
    """The table ``[recordings]``. ``fill``: how many missing values in a row are filled; None: they are refused."""

    person: Told
    label: Told
    length: int
    step: int
    files: str = "*.csv"
    recording: Told = Told()
    parts: tuple[str, ...] = ()
    time: str = ""
    time_unit: str = ""
    gap: float = 0.0
    resample: bool = False
    fill: int | None = None
    delimiter: str = ","
    decimal: str = "."
    labels: Mapping[str, str] | None = None
    unlabelled: tuple[str, ...] = ("",)


def window_files(table: Table) -> WindowFiles:
    table.only(*WindowFiles.__dataclass_fields__)
    found = WindowFiles(**{key: table.text(key) for key in table.values})
    if bool(found.recording) != bool(found.start):
        raise KdbenchError("windows: wanted both recording and start, or neither")
    return found


def recording_files(table: Table, classes: Sequence[str]) -> RecordingFiles:
    table.only(*RecordingFiles.__dataclass_fields__.keys() - {"fill"}, "missing")
    person, label = _told(table, "person"), _told(table, "label")
    if person == label:
        what = f"column, {label.columns[0]!r}" if label.columns else str(label)
        raise KdbenchError(f"recordings: person and label name one {what}; wanted two")
    unit, delimiter = table.text("time_unit", ""), _sign(table, "delimiter", ",")
    if unit not in ("", ISO, *UNITS):
        raise KdbenchError(f"recordings.time_unit: {nearest('units', unit, (*UNITS, ISO))}")
    resample: bool = table.get("resample", "true or false", (bool,), False)
    wanting = [key for key in ("time_unit", "gap", "resample", "parts") if key in table.values]
    if wanting and not table.values.get("time"):
        raise KdbenchError(f"recordings: {wanting[0]} wants time, the name of a column")
    decimal = _sign(table, "decimal", ".")
    if decimal == delimiter:
        raise KdbenchError(f"recordings: decimal and delimiter are both {decimal!r}; wanted two")
    parts = tuple(table.list("parts", str, default=()))
    if len({*parts}) != len(parts) or len(parts) == 1 or not all(parts):
        raise table.wrong("parts", list(parts), "a list of two texts or more, each once, that names of files hold")
    return RecordingFiles(
        person=person,
        label=label,
        length=table.whole("length", 2, 100_000),
        step=table.whole("step", 1, 100_000),
        files=table.text("files", "*.csv"),
        recording=_told(table, "recording") if "recording" in table.values else Told(),
        parts=parts,
        time=table.text("time", ""),
        time_unit=unit,
        gap=table.number("gap", 1e-9, 1e9, default=0.0),
        resample=resample,
        fill=_fill(table),
        delimiter=delimiter,
        decimal=decimal,
        labels=_labels(table, classes),
        unlabelled=tuple(table.list("unlabelled", str, default=("",))),
    )


def _told(table: Table, key: str) -> Told:
    """The name of a column, a list of them, or a table that says where else to look."""
    value = table.get(key, "the name of a column, or { from = 'file' }", (str, list, dict))
    if isinstance(value, str):
        return Told((table.text(key),))
    if isinstance(value, list):
        names = table.list(key, str)
        if not names or not all(names):
            raise table.wrong(key, value, "names of columns")
        return Told(tuple(names))
    inner = table.table(key)
    inner.only("from", "pattern")
    source, pattern = inner.text("from"), inner.text("pattern", "")
    if source not in ("file", "folder"):
        raise inner.wrong("from", source, "'file' or 'folder'")
    try:
        re.compile(pattern)
    except re.error as error:
        raise inner.wrong("pattern", pattern, f"a regular expression ({error})") from None
    return Told(name=source, pattern=pattern)


def _labels(table: Table, classes: Sequence[str]) -> Mapping[str, str] | None:
    if "labels" not in table.values:
        return None
    given = table.table("labels")
    labels = {key: given.text(key) for key in given.values}
    for name in labels.values():
        if name not in classes:
            raise KdbenchError(f"recordings.labels: {nearest('classes', name, classes)}")
    return labels


def _fill(table: Table) -> int | None:
    if "missing" not in table.values:
        return None
    text = table.text("missing")
    found = re.fullmatch(r"drop|fill ([1-9]\d{0,4})", text, re.ASCII)
    if found is None:
        raise table.wrong("missing", text, "'drop', or 'fill N' for N samples in a row at most")
    return int(found[1] or 0)


def _sign(table: Table, key: str, default: str) -> str:
    sign: str = table.get(key, "one character", (str,), default)
    if len(sign) != 1 or sign in '\r\n"':
        raise table.wrong(key, sign, "one character")
    return sign
