"""Every network of a matrix trained alone: how well it does, beside what it costs."""

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from statistics import median
from typing import TypeVar

from kdbench.results.entry import Entry
from kdbench.results.metrics import LOWER_IS_BETTER
from kdbench.results.place import RowRole
from kdbench.results.tables.model import Score
from kdbench.results.tables.scores import tabulate

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class NetworkRow:
    """A network on a dataset."""

    dataset: str
    network: str
    scores: tuple[Score, ...]
    """One for each metric."""
    costs: Mapping[str, float]
    """Each the median over runs; empty while there is no run."""
    front: bool
    """No complete network does better in the first metric with as many multiply-adds, or as well with fewer."""

    @property
    def point(self) -> tuple[float, float] | None:
        """Multiply-adds, and the mean of the first metric; None while one of them is missing."""
        first, work = self.scores[0], self.costs.get("multiply_adds")
        return None if first.mean is None or not first.complete or work is None else (work, first.mean)


def tabulate_networks(entries: Sequence[Entry], metrics: Sequence[str]) -> list[NetworkRow]:
    """A row for each network of each dataset, by multiply-adds; those without costs come last.

    Raises:
        ValueError: as `tabulate` does.
    """
    runs = alone(entries)
    costs = median_costs(runs, lambda entry: (entry.place.dataset, entry.place.row))
    tables = [tabulate(runs, metric) for metric in metrics] if runs else []
    rows: list[NetworkRow] = []
    for number, block in enumerate(tables[0].blocks if tables else ()):
        found = [
            NetworkRow(
                block.dataset,
                row.label,
                tuple(table.rows[line].scores[number] for table in tables),
                costs.get((block.dataset, row.label), {}),
                front=False,
            )
            for line, row in enumerate(tables[0].rows)
        ]
        rows += _fronted(found, -1 if metrics[0] in LOWER_IS_BETTER else 1)
    return rows


def alone(entries: Sequence[Entry]) -> list[Entry]:
    """Each run of a network alone once, under the network's name: a network may stand in many pairs."""
    found: dict[tuple[str, str, int, int], Entry] = {}
    for entry in entries:
        place = entry.place
        if place.role in (RowRole.TEACHER, RowRole.STUDENT):
            key = (place.dataset, place.network, place.seed, place.fold)
            # As references, so that none of them is ranked as a method or compared with a student.
            reference = replace(place, row=place.network, pair="", kind="reference", role=RowRole.TEACHER)
            found.setdefault(key, replace(entry, place=reference))
    return list(found.values())


def median_costs(entries: Sequence[Entry], key: Callable[[Entry], Key]) -> dict[Key, dict[str, float]]:
    """Each cost's median over the runs that recorded it, by a key of the entries, in their order."""
    recorded: dict[Key, list[Mapping[str, float]]] = {}
    for entry in entries:
        runs = recorded.setdefault(key(entry), [])
        if entry.status == "done" and entry.record is not None:
            runs.append(entry.record.costs)
    return {
        each: {cost: median(run[cost] for run in runs if cost in run) for cost in dict.fromkeys(chain(*runs))}
        for each, runs in recorded.items()
    }


def _fronted(rows: Sequence[NetworkRow], sign: int) -> list[NetworkRow]:
    """The rows of one dataset by multiply-adds, with the Pareto front marked; ``sign`` is -1 where lower is better."""
    points = [(row.point[0], sign * row.point[1]) for row in rows if row.point]

    def beaten(work: float, good: float) -> bool:
        return any(w <= work and g >= good and (w, g) != (work, good) for w, g in points)

    def order(row: NetworkRow) -> tuple[float, float]:
        return (row.point[0], -sign * row.point[1]) if row.point else (row.costs.get("multiply_adds", math.inf), 0)

    return [
        replace(row, front=row.point is not None and not beaten(row.point[0], sign * row.point[1]))
        for row in sorted(rows, key=order)
    ]
