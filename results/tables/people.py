"""The people behind a table: every method's score on each of them, which is what differences are judged by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kdbench.results.entry import Entry
from kdbench.results.statistics.tests import Floats
from kdbench.results.tables.model import Block, Row, Table

PER_PERSON = {"accuracy": "accuracy", "person_accuracy": "accuracy", "macro_f1": "f1", "person_f1": "f1"}
"""Metrics that a person alone has, and what they are called there: F1 over the classes that the person has."""

_Runs = dict[int, dict[str, float]]
"""A row's scores in a block, by seed and person."""


@dataclass(frozen=True, eq=False)
class Panel:
    """What complete rows scored on people; those of datasets that share their people are one and the same."""

    rows: tuple[Row, ...]
    """M of the table."""
    blocks: tuple[Block, ...]
    """B of the table."""
    people: tuple[str, ...]
    """n of them, such as "3"."""
    groups: tuple[str, ...]
    """(n,) the group that each is of."""
    seeds: tuple[int, ...]
    """S of them."""
    values: Floats
    """(M, B, S, n), fractions; NaN where a person is not in a block."""

    @cached_property
    def weights(self) -> Floats:
        """(n,) how much of the average over blocks each person is; they sum to 1."""
        there = ~np.isnan(self.values[0, :, 0, :])  # (B, n)
        return np.asarray((there / there.sum(axis=1, keepdims=True)).mean(axis=0), dtype=np.float64)

    @cached_property
    def by_seed(self) -> Floats:
        """(M, S, n) what each person contributes to a row's mean: people first, then blocks."""
        count = (~np.isnan(self.values[:1, :, :1, :])).sum(axis=3, keepdims=True)  # (1, B, 1, 1)
        return np.asarray(np.nansum(self.values / count, axis=1) / len(self.blocks), dtype=np.float64)

    @cached_property
    def parts(self) -> Floats:
        """(M, n) the same, averaged over seeds."""
        return np.asarray(self.by_seed.mean(axis=1), dtype=np.float64)

    @property
    def by_person(self) -> Floats:
        """(M, B, n) scores averaged over seeds."""
        return np.asarray(self.values.mean(axis=2), dtype=np.float64)

    @property
    def block_means(self) -> Floats:
        """(M, B) means over people of those."""
        return np.asarray(np.nanmean(self.by_person, axis=2), dtype=np.float64)

    @property
    def witnesses(self) -> int:
        """How many groups of people there are."""
        return len(set(self.groups))

    def number(self, label: str) -> int:
        """Where a row stands."""
        return [row.label for row in self.rows].index(label)


def panel(entries: Sequence[Entry], table: Table, rows: Sequence[Row], blocks: Sequence[Block]) -> Panel | str:
    """The people of rows that are complete in these blocks, or why nothing is known of them, in words."""
    metric = PER_PERSON.get(table.metric)
    if metric is None:
        return "this metric is not one of single people"
    labels, wanted = {row.label for row in rows}, set(blocks)
    found: dict[tuple[str, Block], _Runs] = {}
    groups: dict[Block, str] = {}
    for entry in entries:
        place = entry.place
        block = Block(place.dataset, place.pair)
        if place.row not in labels or block not in wanted or entry.record is None:
            continue
        groups[block] = place.group
        people = entry.record.metrics["student"].get("by_person")
        if not people:
            return f"nothing is known of single people ({place.row} has no predictions kept)"
        scores = found.setdefault((place.row, block), {}).setdefault(place.seed, {})
        scores.update({f"{name}": float(score[metric]) for name, score in people.items()})
    return _arranged(rows, blocks, groups, found, table.seeds)


def _arranged(
    rows: Sequence[Row],
    blocks: Sequence[Block],
    groups: Mapping[Block, str],
    found: Mapping[tuple[str, Block], _Runs],
    seeds: Sequence[int],
) -> Panel | str:
    """The panel of those people of each block whom every run has."""
    known: dict[Block, set[str]] = {}
    for (_, block), runs in found.items():
        for scores in runs.values():
            known[block] = known.get(block, scores.keys()) & scores.keys()
    for block in blocks:
        if not known.get(block):
            return f"no person of {block.dataset} is in every run"
    everyone = sorted({(groups[block], name) for block in blocks for name in known[block]}, key=_natural)
    column = {person: number for number, person in enumerate(everyone)}
    values = np.full((len(rows), len(blocks), len(seeds), len(everyone)), np.nan)
    for b, block in enumerate(blocks):
        names = sorted(known[block])
        columns = [column[groups[block], name] for name in names]
        for m, row in enumerate(rows):
            for s, seed in enumerate(seeds):
                scores = found[row.label, block][seed]
                values[m, b, s, columns] = [scores[name] for name in names]
    people, of = tuple(name for _, name in everyone), tuple(group for group, _ in everyone)
    return Panel(tuple(rows), tuple(blocks), people, of, tuple(seeds), values)


def _natural(person: tuple[str, str]) -> tuple[str, int, str]:
    """Numbers in their own order, then names."""
    group, name = person
    return group, int(name) if name.isdecimal() else 10**12, name
