"""What `take` made of the rows of a matrix, as the table and the figure of it are made from."""

from __future__ import annotations

import math
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


@dataclass(frozen=True)
class TakenRow:
    """A row of a block, over its cells that were taken.

    Args:
        place: of its first cell.
        digests: of its cells.
        taken: how the forms of those that were taken did, in the same order.
    """

    place: Place
    digests: tuple[str, ...]
    taken: tuple[Deployed, ...]

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

        None where an older kdbench took the cells, or of fewer than two people.
        """
        people: dict[str, list[float]] = {}
        for each in self.taken:
            for person, scores in each.people.items():
                people.setdefault(person, []).append(100 * scores["f1"])
        if len(people) < 2:
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
    digests = tuple(digest for _, digest in found)
    return TakenRow(found[0][0], digests, tuple(filter(None, (deployed(store, digest) for digest in digests))))


COSTS: dict[str, Callable[[Deployed], float]] = {
    "size": lambda form: form.size,
    "latency": lambda form: form.latency_ms,
}
"""What the figure sets macro-F1 against."""


def marks(rows: Sequence[TakenRow], cost: str) -> dict[str, list[Mark]]:
    """What is drawn of each dataset; a network alone stands once, whoever else teaches or is taught."""
    networks = len({row.place.network for row in rows if row.taken}) > 1
    found: dict[str, dict[tuple[str, str], Mark]] = {}
    for row in rows:
        if not row.taken:
            continue
        place, costs = row.place, [COSTS[cost](form) for form in row.taken]
        alone = place.role is not RowRole.METHOD
        label = row.label if not networks else f"{'alone' if alone else row.label}, {place.network}"
        mark = Mark(
            label=label,
            kind="reference" if alone else place.kind,
            cost=fmean(costs),
            costs=(min(costs), max(costs)),
            value=row.f1,
            interval=row.interval,
            bits=tuple(bits for bits in (8, 32) if row.of_bits(bits)),
        )
        found.setdefault(place.dataset, {}).setdefault((label, "" if alone else place.pair), mark)
    return {dataset: list(each.values()) for dataset, each in found.items()}
