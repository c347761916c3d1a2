"""What `take` made of the rows of a matrix, as the table and the figure of it are made from."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from kdbench.errors import KdbenchError
from kdbench.plan.model import Plan
from kdbench.results.figures.deploy import Mark
from kdbench.results.place import Place, RowRole
from kdbench.results.statistics.intervals import Interval, score_interval
from kdbench.store.deployed import Deployed, deployed
from kdbench.store.records import Store

FEWEST_PEOPLE = 6
"""With fewer no test over people reaches p = 0.05, so an interval would say more than is known."""


@dataclass(frozen=True)
class TakenRow:
    """A row of a block, over its cells that were taken.

    Args:
        place: of its first cell.
        digests: of its cells.
        taken: how the forms of those that were taken did, in the same order.
        runs: seed and fold of each of these.
    """

    place: Place
    digests: tuple[str, ...]
    taken: tuple[Deployed, ...]
    runs: tuple[tuple[int, int], ...]

    @property
    def block(self) -> tuple[str, str]:
        return self.place.dataset, self.place.pair

    @property
    def label(self) -> str:
        return self.place.row

    @property
    def size(self) -> float:
        """Mean bytes of the forms; where 8 and 32 bits are mixed, no form has as many."""
        return fmean(each.size for each in self.taken)

    @property
    def f1(self) -> float:
        """Mean macro-F1 of the forms, in percent."""
        return 100 * fmean(each.macro_f1 for each in self.taken)

    @property
    def latency(self) -> float:
        """Mean of the forms' medians, in milliseconds."""
        return fmean(each.latency_ms for each in self.taken)

    @property
    def efficiency(self) -> float:
        """Mean of macro-F1 in percent by the binary logarithm of the bytes, form by form."""
        return fmean(100 * each.macro_f1 / math.log2(each.size) for each in self.taken)

    @property
    def interval(self) -> Interval | None:
        """Of the mean over people, each by the mean of the forms, put around the macro-F1; in percent, 95 %.

        None where an older kdbench took a cell, or of fewer people than tell anything about others.
        """
        if not all(each.people for each in self.taken):
            return None
        people: dict[str, list[float]] = {}
        for each in self.taken:
            for person, scores in each.people.items():
                people.setdefault(person, []).append(100 * scores["f1"])
        if len(people) < FEWEST_PEOPLE:
            return None
        values = np.array([fmean(each) for each in people.values()])
        found, aside = score_interval(values), self.f1 - values.mean()
        return Interval(found.low + aside, found.high + aside)

    def of_bits(self, bits: int) -> tuple[Deployed, ...]:
        """The forms whose weights have so many bits."""
        return tuple(each for each in self.taken if each.bits == bits)


def taken_rows(plan: Plan, store: Store) -> list[TakenRow]:
    """Every row of every block, those of which nothing was taken too.

    Raises:
        KdbenchError: if no cell of the matrix was taken.
    """
    places: dict[tuple[str, str, str], list[tuple[Place, str]]] = {}
    for planned in plan.places:
        place, digest = planned.place, planned.digest
        if digest is not None:
            places.setdefault((place.dataset, place.pair, place.row), []).append((place, digest))
    rows = [_row(found, store) for found in places.values()]
    if not any(row.taken for row in rows):
        raise KdbenchError(
            "no cell of this matrix was taken to a device yet; `kdbench take ROW` does, and keeps how it did"
        )
    return rows


def _row(found: Sequence[tuple[Place, str]], store: Store) -> TakenRow:
    forms = [(place, form) for place, digest in found if (form := deployed(store, digest)) is not None]
    digests, runs = (digest for _, digest in found), ((place.seed, place.fold) for place, _ in forms)
    return TakenRow(found[0][0], tuple(digests), tuple(form for _, form in forms), tuple(runs))


def comparable(rows: Sequence[TakenRow]) -> list[TakenRow]:
    """The rows that were taken at the same seeds and folds as most; of as many, those with more of these.

    Other seeds are other trainings, and other folds other people, so the rest is set beside nobody.
    """
    count = Counter(row.runs for row in rows if row.taken)
    usual = max(count, key=lambda runs: (count[runs], len(runs)), default=())
    return [row for row in rows if row.taken and row.runs == usual]


COSTS: dict[str, Callable[[Deployed], float]] = {
    "size": lambda form: form.size,
    "latency": lambda form: form.latency_ms,
}
"""What the figure sets macro-F1 against."""


def marks(rows: Sequence[TakenRow], cost: str) -> dict[str, list[Mark]]:
    """What is drawn of each dataset; a network alone stands once, whoever else teaches or is taught."""
    found: dict[str, dict[tuple[str, ...], TakenRow]] = {}
    for row in rows:
        if row.taken:
            found.setdefault(row.place.dataset, {}).setdefault(row.digests, row)
    several = len({row.place.network for each in found.values() for row in each.values()}) > 1
    return {dataset: _marks(list(each.values()), cost, several=several) for dataset, each in found.items()}


def _marks(rows: Sequence[TakenRow], cost: str, *, several: bool) -> list[Mark]:
    """Of a dataset; ``several`` says that labels name the network."""
    labels = [_label(row, several=several) for row in rows]
    count, level = Counter(labels), comparable(rows)
    drawn = []
    for row, label in zip(rows, labels, strict=True):
        costs = [COSTS[cost](form) for form in row.taken]
        part = f" ({len(row.taken)} of {len(row.digests)} cells)" if len(row.taken) < len(row.digests) else ""
        mark = Mark(
            label=f"{label}{f', {_origin(row.place)}' if count[label] > 1 else ''}{part}",
            kind=row.place.kind if row.place.role is RowRole.METHOD else "reference",
            cost=fmean(costs),
            costs=(min(costs), max(costs)),
            value=row.f1,
            interval=row.interval,
            bits=tuple(bits for bits in (8, 32) if row.of_bits(bits)),
            level=row in level,
        )
        drawn.append(mark)
    return drawn


def _label(row: TakenRow, *, several: bool) -> str:
    if not several:
        return row.label
    return f"{row.label if row.place.role is RowRole.METHOD else 'alone'}, {row.place.network}"


def _origin(place: Place) -> str:
    """What tells a row from another one of its label and network."""
    return f"taught by {place.teacher}" if place.role is RowRole.METHOD else f"of {place.pair}"
