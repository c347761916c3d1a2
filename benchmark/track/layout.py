"""Which experiment and which parent run each place of a plan belongs to. Follows from the plan alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice

from kdbench.plan.model import Plan, Planned
from kdbench.results.place import Place

LIMIT = 1000
"""Runs that one experiment has at most: MLflow's pages get slow beyond."""


@dataclass(frozen=True)
class Group:
    """What one parent run stands for: a dataset with a pair, or a part of one that has too many places.

    Args:
        dataset: as tables call it.
        pair: likewise.
        places: its children to be, those that no cell can fill left out.
        experiment: which of the matrix's experiments it is in, from 1.
        part: which part of the dataset with the pair it is, from 1.
        parts: how many there are.
    """

    dataset: str
    pair: str
    places: tuple[Planned, ...]
    experiment: int = 1
    part: int = 1
    parts: int = 1

    @property
    def name(self) -> str:
        """What its run is called."""
        more = f" part {self.part} of {self.parts}" if self.parts > 1 else ""
        return f"{self.dataset} {self.pair}{more}"

    @property
    def key(self) -> str:
        """What its run is known by in its matrix."""
        return hashed(self.dataset, self.pair, self.part)

    def holds(self, place: Place) -> bool:
        """Whether a place is of its dataset with its pair."""
        return (place.dataset, place.pair) == (self.dataset, self.pair)


def groups(plan: Plan, limit: int = LIMIT) -> list[Group]:
    """The groups of a plan in its order, in as few experiments as hold no more than ``limit`` runs each."""
    found: list[Group] = []
    number, room = 1, limit
    for group in _whole(plan, limit - 1):
        size = 1 + len(group.places)
        if size > room:
            number, room = number + 1, limit
        room -= size
        found.append(replace(group, experiment=number))
    return found


def key_of(place: Place) -> str:
    """What the run of a place is known by in its matrix."""
    return hashed(place.dataset, place.pair, place.row, place.seed, place.fold)


def hashed(*parts: object) -> str:
    """A short name for something known by several things, free of signs that a search would have to escape."""
    return hashlib.sha256("\n".join(map(repr, parts)).encode()).hexdigest()[:16]


def _whole(plan: Plan, size: int) -> Iterator[Group]:
    """Every dataset with a pair, in parts of no more than ``size`` places; seeds and folds stay together."""

    def block(planned: Planned) -> tuple[str, str]:
        return planned.place.dataset, planned.place.pair

    for (dataset, pair), each in groupby(plan.places, block):
        places = [planned for planned in each if planned.digest is not None]
        if len(places) > size:
            places.sort(key=lambda planned: (planned.place.seed, planned.place.fold))
        parts = list(_cut(places, size)) or [()]
        for number, part in enumerate(parts, 1):
            yield Group(dataset, pair, part, part=number, parts=len(parts))


def _cut(places: Sequence[Planned], size: int) -> Iterator[tuple[Planned, ...]]:
    rest = iter(places)
    while part := tuple(islice(rest, size)):
        yield part
