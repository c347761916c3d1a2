"""What views share: cells, and sheets of few enough columns to be read."""

import math
from collections.abc import Iterator, Sequence
from typing import TypeVar

from kdbench.results.seen import Seen
from kdbench.results.sheet import Cell, Page, Sheet
from kdbench.results.words.costs import NOTHING
from kdbench.results.words.looks import conditions
from kdbench.results.words.numbers import points

Item = TypeVar("Item")
ABREAST = 7
"""Columns of one kind side by side; more become another sheet."""


def percent(value: float | None, note: str = "") -> Cell:
    """A fraction in percent."""
    if value is None or math.isnan(value):
        return Cell(None, NOTHING)
    return Cell(value, f"{100 * value:.1f}", note=note)


def gained(value: float | None) -> Cell:
    """A difference of fractions in points."""
    return Cell(None, NOTHING) if value is None or math.isnan(value) else Cell(value, points(value))


def share(value: float | None) -> Cell:
    """A fraction in whole percent."""
    return Cell(None, NOTHING) if value is None or math.isnan(value) else Cell(value, f"{100 * value:.0f} %")


def number(value: float | None, text: str) -> Cell:
    """A number that is read as a text."""
    return Cell(None, NOTHING) if value is None or math.isnan(value) else Cell(value, text)


def abreast(items: Sequence[Item]) -> Iterator[tuple[str, Sequence[Item]]]:
    """Items in groups that fit side by side, with what a title says of each: nothing where one group holds all."""
    groups = -(-len(items) // ABREAST)
    size = -(-len(items) // max(1, groups))
    for start in range(0, len(items), max(1, size)):
        yield (f" ({start // size + 1} of {groups})" if groups > 1 else ""), items[start : start + size]


def page_of(seen: Seen, title: str, parts: Sequence[Sheet | str]) -> Page:
    """A page whose last lines say under which conditions it holds."""
    return Page(f"kdbench: {title}", (*(part for part in parts if part), conditions(seen)))
