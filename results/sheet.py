"""A table as it is shown, before it has a format: every format is one function over a `Sheet`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from kdbench.results.tables.model import Standing

Value = str | int | float | bool | None
"""What a cell holds for programs; numbers are in full precision."""


class Mark(StrEnum):
    """A sign beside a number; the caption explains those that are used."""

    WORSE = "↓"
    SHOWN_WORSE = "⇓"
    UNSHOWN = "°"
    UNTAUGHT = "‡"
    STALE = "†"


@dataclass(frozen=True, slots=True)
class Cell:
    """One thing that a sheet says; texts are as they are meant, without markup and nothing escaped."""

    value: Value
    text: str | None = None
    """How people read it; None where they read the value itself."""
    spread: str = ""
    """What follows ±."""
    note: str = ""
    """What follows in brackets."""
    standing: Standing | None = None
    marks: tuple[Mark, ...] = ()
    runs: tuple[str, ...] = ()
    """Digests of the runs that it comes from."""

    @property
    def body(self) -> str:
        """What people read, but for the note, the standing and the marks: ``91.6 ± 0.8``."""
        text = self.text if self.text is not None else "" if self.value is None else str(self.value)
        return f"{text} ± {self.spread}" if self.spread else text


@dataclass(frozen=True)
class Column:
    """A column's heading."""

    heading: str
    key: str = ""
    """What programs call it, where that is not the heading."""
    numeric: bool = True
    """Numbers stand at the right, words at the left."""

    @property
    def name(self) -> str:
        return self.key or self.heading


@dataclass(frozen=True)
class Sheet:
    """Columns, and rows with a cell for each of them.

    Raises ``ValueError`` where a row is longer or shorter than the columns are many.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    title: str = ""
    """What stands above it on a page."""
    caption: str = ""
    """One paragraph on what it shows."""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"sheet: a row of {len(row)} cells came, {len(self.columns)} columns are wanted")


@dataclass(frozen=True)
class Page:
    """A title, then sheets and paragraphs in their order."""

    title: str
    parts: tuple[Sheet | str, ...]


def plain_sheet(names: Sequence[str], lines: Iterable[Sequence[Value]]) -> Sheet:
    """A sheet for programs: named columns of values, with nothing to be said beside them."""
    return Sheet(tuple(map(Column, names)), tuple(tuple(map(Cell, line)) for line in lines))
