"""Small pieces of what people read."""

from __future__ import annotations

from datetime import timedelta
from itertools import zip_longest


def aligned(rows: list[list[str]]) -> list[str]:
    """Lines of a table with its columns aligned; rows may differ in length."""
    widths = [max(map(len, column)) for column in zip_longest(*rows, fillvalue="")]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in rows]


LONGEST = 500
"""Characters of an error that are told; the rest is in the traceback."""


def first_line(error: BaseException) -> str:
    """What an error says in one line that can be printed, or its kind where it says nothing or cannot say it."""
    try:
        said = next(iter(str(error).splitlines()), "")
    except Exception:
        said = ""
    return printable(said[:LONGEST]) or type(error).__name__


def described(error: BaseException) -> str:
    """An error with its kind, as ``ValueError('no')``, in one line that can be printed."""
    try:
        said = repr(error)
    except Exception:
        said = f"{type(error).__name__}()"
    return " ".join(printable(said[:LONGEST]).split("\n"))


def printable(text: str) -> str:
    """A text without what no encoding has, such as half a pair of surrogates, and without control characters."""
    whole = text.encode("utf-8", "backslashreplace").decode()
    return "".join(each if each.isprintable() or each in "\n\t" else repr(each)[1:-1] for each in whole)


def counted(count: int, thing: str, things: str = "") -> str:
    """``1 cell``, ``2 cells``; of what has no plural in s, as ``person``, that stands in ``things``."""
    return f"{count} {thing}" if count == 1 else f"{count} {things or thing + 's'}"


def duration(seconds: float) -> str:
    """``0:14:05``; ``2 days, 0:14:05``."""
    return str(timedelta(seconds=round(seconds)))
