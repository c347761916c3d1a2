"""Tables of numbers as text, read fast where they are right and named by file and line where they are not."""

from __future__ import annotations

import io
import warnings
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from kdbench.data._archive import Source
from kdbench.errors import KdbenchError


def refuse(source: Source, member: str, line: int, what: str) -> NoReturn:
    """Raise an error about a line, counted from 1."""
    raise KdbenchError(f"{source.path}: {member} line {line} {what}")


def foreign(source: Source, what: str, how: str, url: str) -> KdbenchError:
    """An error about something that is well formed but not the original's."""
    return KdbenchError(f"{source.path}: {what} is not the original's: {how}; fetch the archive from {url}")


def shown(text: bytes | str) -> str:
    """The beginning of something read, fit for one line of a message."""
    return ascii((text.decode("latin-1") if isinstance(text, bytes) else text)[:20])


def numbers(
    source: Source,
    member: str,
    *,
    columns: int,
    separator: str | None = None,
    header: str | None = None,
    content: bytes | None = None,
    above: int = 0,
    missing: bool = False,
) -> npt.NDArray[np.float64]:
    """A table of finite numbers, one row per line -> (rows, columns).

    Args:
        source: what holds the member.
        member: the end of its path.
        columns: how many numbers a line has.
        separator: between two numbers; white space by default.
        header: what the first line must be; none by default.
        content: what is left of the member where a part of it was read before.
        above: lines of the member before ``content``.
        missing: whether NaN may stand where a value is missing.

    Raises:
        KdbenchError: the first line that is not so, or a table without rows.
    """
    content = (source.read(member) if content is None else content).rstrip()
    if header is not None:
        above += 1
        first, _, content = content.partition(b"\n")
        if first.rstrip() != header.encode():
            refuse(source, member, 1, f"is {shown(first)}, wanted {shown(header)} and so on")
    if content:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that there is nothing in it, which is told below
                # Without comments; numbers are read as in C, so that 1_0 is none.
                table = np.loadtxt(io.BytesIO(content), np.float64, comments=None, delimiter=separator, ndmin=2)
        except ValueError:
            table = np.empty((0, columns))
        lines = content.count(b"\n") + 1  # loadtxt skips empty ones
        if table.shape == (lines, columns) and not _bad(table, missing).any():
            return table
    _diagnose(source, member, content, above, columns, separator, missing)


def _bad(values: npt.ArrayLike, missing: bool) -> npt.NDArray[np.bool_]:
    return np.isinf(values) if missing else ~np.isfinite(values)


def _diagnose(
    source: Source, member: str, content: bytes, above: int, columns: int, separator: str | None, missing: bool
) -> NoReturn:
    """Name the first line that is wrong."""
    lines = content.splitlines()
    for number, line in enumerate(lines, start=above + 1):
        words = line.decode("latin-1").split(separator)
        if len(words) != columns or not line.strip():
            refuse(source, member, number, f"has {len(words) if line.strip() else 0} numbers, wanted {columns}")
        for word in words:
            try:
                bad = _bad(float(word.strip() if "_" not in word else "?"), missing)
            except ValueError:
                refuse(source, member, number, f"holds {shown(word)}, wanted a number")
            if bad:
                refuse(source, member, number, f"holds {shown(word)}, a value that is not finite")
    raise KdbenchError(f"{source.path}: {member} holds no table of numbers" if lines else _empty(source, member))


def integers(source: Source, member: str, *, columns: int) -> npt.NDArray[np.int64]:
    """A table of whole numbers from 0, separated by white space, one row per line -> (rows, columns).

    Raises:
        KdbenchError: the first line that is not so, or a table without rows.
    """
    rows = []
    for number, line in enumerate(source.read(member).rstrip().splitlines(), start=1):
        words = line.split()
        if len(words) != columns or not all(word.isdigit() and len(word) < 10 for word in words):
            wanted = "a whole number" if columns == 1 else f"{columns} whole numbers"
            refuse(source, member, number, f"is {shown(line)}, wanted {wanted}")
        rows.append([int(word) for word in words])
    if not rows:
        raise KdbenchError(_empty(source, member))
    return np.array(rows, np.int64)


def _empty(source: Source, member: str) -> str:
    return f"{source.path}: {member} is empty"
