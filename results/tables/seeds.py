"""Whether more seeds would make the gains of a table surer; judged by variance alone, never by a p-value."""

from collections.abc import Sequence
from typing import NamedTuple

from kdbench.results.entry import Entry
from kdbench.results.tables.family import judge
from kdbench.results.tables.scores import tabulate


class Need(NamedTuple):
    """Of the gain over student alone that seeds matter most to, in any block."""

    share: float
    """The seeds' share of the variance of its mean, in 0..1."""
    wanted: float
    """How many seeds would bring that down to what is enough; maybe infinite."""


def seeds_needed(entries: Sequence[Entry], metric: str) -> Need | None:
    """What the least settled gain needs; None where no gain can be split into people and seeds.

    Raises:
        ValueError: as `tabulate` does.
    """
    judged = judge(entries, tabulate(entries, metric))
    found = []
    for family in judged.families:
        if family is None or family.student is None:
            continue
        for row in family.rows:
            split = family.difference(row.label, family.student.label).split
            if row is not family.student and split is not None:
                found.append(Need(split.share, split.wanted(len(judged.table.seeds))))
    return max(found, default=None)
