"""Small pieces of what people read."""

from __future__ import annotations

from itertools import zip_longest


def aligned(rows: list[list[str]]) -> list[str]:
    """Lines of a table with its columns aligned; rows may differ in length."""
    widths = [max(map(len, column)) for column in zip_longest(*rows, fillvalue="")]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in rows]


def first_line(error: BaseException) -> str:
    """What an error says in one line, or its kind where it says nothing."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def counted(count: int, thing: str) -> str:
    """``1 cell``, ``2 cells``."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
