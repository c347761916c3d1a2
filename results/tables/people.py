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
    return arranged(people_behind(entries), table, rows, blocks)


@dataclass(frozen=True, eq=False)
class People:
    """Every person's scores in every run of a table, whatever the metric: read once for all its blocks."""

    scores: Mapping[tuple[str, Block], Mapping[int, Mapping[str, Mapping[str, float]]]]
    """By row and block, then seed, then person, then name of the score; a seed's folds are put together."""
    groups: Mapping[Block, str]
    """The group that the people of a block are of."""
    unknown: frozenset[tuple[str, Block]]
    """Rows of blocks in which nothing is known of single people: no predictions were kept."""


def people_behind(entries: Sequence[Entry]) -> People:
    """The people of all runs that have a record."""
    scores: dict[tuple[str, Block], dict[int, Mapping[str, Mapping[str, float]]]] = {}
    groups: dict[Block, str] = {}
    unknown: set[tuple[str, Block]] = set()
    for entry in entries:
        place = entry.place
        if entry.record is None or "student" not in entry.record.metrics:
            continue
        block = Block(place.dataset, place.pair)
        groups[block] = place.group
        people = entry.record.metrics["student"].get("by_person")
        if not people:
            unknown.add((place.row, block))
            continue
        runs = scores.setdefault((place.row, block), {})
        runs[place.seed] = {**runs[place.seed], **people} if place.seed in runs else people
    return People(scores, groups, frozenset(unknown))


def arranged(people: People, table: Table, rows: Sequence[Row], blocks: Sequence[Block]) -> Panel | str:
    """The panel of those people of each block whom every run of these rows has, or why there is none, in words.

    The rows are complete in these blocks.
    """
    metric = PER_PERSON.get(table.metric)
    if metric is None:
        return "this metric is not one of single people"
    without = next((row.label for block in blocks for row in rows if (row.label, block) in people.unknown), None)
    if without is not None:
        return f"nothing is known of single people ({without} has no predictions kept)"
    known: dict[Block, list[str]] = {}
    for block in blocks:
        known[block] = _shared([people.scores[row.label, block][seed] for row in rows for seed in table.seeds])
        if not known[block]:
            return f"no person of {block.dataset} is in every run"
    everyone = sorted({(people.groups[block], name) for block in blocks for name in known[block]}, key=_natural)
    column = {person: number for number, person in enumerate(everyone)}
    values = np.full((len(rows), len(blocks), len(table.seeds), len(everyone)), np.nan)
    for b, block in enumerate(blocks):
        names = known[block]
        columns = [column[people.groups[block], name] for name in names]
        for m, row in enumerate(rows):
            runs = people.scores[row.label, block]
            found = [[scores[name][metric] for name in names] for scores in map(runs.__getitem__, table.seeds)]
            values[m, b, :, columns] = np.array(found).T
    called, of = tuple(name for _, name in everyone), tuple(group for group, _ in everyone)
    return Panel(tuple(rows), tuple(blocks), called, of, tuple(table.seeds), values)


def _shared(runs: Sequence[Mapping[str, object]]) -> list[str]:
    """The people whom every run has, by name."""
    shared = set(runs[0])
    for run in runs:
        if run.keys() != shared:
            shared &= run.keys()
    return sorted(shared)


def _natural(person: tuple[str, str]) -> tuple[str, int, str]:
    """Numbers in their own order, then names."""
    group, name = person
    return group, int(name) if name.isdecimal() else 10**12, name
