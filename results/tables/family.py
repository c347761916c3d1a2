"""All pairs of the complete rows of a table, judged at once."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

import numpy as np

from kdbench.results.entry import Entry
from kdbench.results.metrics import LOWER_IS_BETTER
from kdbench.results.place import RowRole
from kdbench.results.statistics.intervals import Interval
from kdbench.results.statistics.ranks import rank_intervals, ranks
from kdbench.results.statistics.tests import Floats, holm, smallest_p
from kdbench.results.tables.differences import Difference, Differences, difference
from kdbench.results.tables.model import ROUNDING, Block, Row, Standing, Table
from kdbench.results.tables.people import Panel, People, arranged, people_behind
from kdbench.results.tables.scores import tabulate

LEVEL = 0.05
"""Nothing is called better above it."""
FEWEST_SEEDS = 2
ONE_SEED = "one seed supports no statement on what another training would give"


@dataclass(frozen=True, eq=False)
class Family:
    """Complete rows, student alone among them where it is complete, and every pair of them judged."""

    panel: Panel

    @cached_property
    def pairs(self) -> Differences:
        """Of every pair of rows, in the order of ``itertools.combinations``."""
        first, second = np.array(list(combinations(range(len(self.rows)), 2))).T
        return Differences(self.panel.by_seed[first] - self.panel.by_seed[second], self.panel.weights)

    @cached_property
    def adjusted(self) -> Floats:
        """(M, M) p-values over people and seeds, adjusted over all pairs by Holm's correction."""
        found = np.ones((len(self.rows), len(self.rows)))
        for (first, second), value in zip(combinations(range(len(self.rows)), 2), holm(self.pairs.p), strict=True):
            found[first, second] = found[second, first] = value
        return found

    @property
    def rows(self) -> tuple[Row, ...]:
        return self.panel.rows

    @cached_property
    def places(self) -> Floats:
        """(M,) average rank over blocks, 1 is best."""
        return np.asarray(ranks(self.panel.block_means.round(12)).mean(axis=1), dtype=np.float64)

    @cached_property
    def place_intervals(self) -> list[Interval]:
        """M of them, of the average rank, by drawing people again."""
        return rank_intervals(self.panel.by_person, self.panel.groups)

    def harm(self, label: str, equivalent: float) -> tuple[float, float]:
        """Shares of (block, seed) and of (block, person) worse than student alone by more than ``equivalent``.

        Raises ``ValueError`` where student alone is not in the family.
        """
        if self.student is None:
            raise ValueError("harm: student alone is incomplete")
        values, number = self.panel.values, self.panel.number
        difference = values[number(label)] - values[number(self.student.label)]  # (B, S, n)
        by_seed, by_person = np.nanmean(difference, axis=2), difference.mean(axis=1)
        by_person = by_person[~np.isnan(by_person)]
        limit = -equivalent - ROUNDING
        return float((by_seed < limit).mean()), float((by_person < limit).mean())

    @property
    def labels(self) -> list[str]:
        return [row.label for row in self.rows]

    @property
    def student(self) -> Row | None:
        """Student alone, where it is complete."""
        return next((row for row in self.rows if row.role is RowRole.STUDENT), None)

    @property
    def silent(self) -> str | None:
        """Why nothing can be shown, in words; None where something can."""
        if len(self.panel.seeds) < FEWEST_SEEDS:
            return ONE_SEED
        people, pairs = len(self.panel.people), math.comb(len(self.rows), 2)
        least = min(1.0, smallest_p(people) * pairs)
        if least > LEVEL:
            who = "one person" if people == 1 else f"{people} people"
            over = f" and {pairs} pairs" if pairs > 1 else ""
            return f"with {who}{over} no p-value over people can go below {least:.2g}"
        return None

    def gain(self, label: str) -> Difference | None:
        """Of a row over student alone; None where either is incomplete."""
        return self.difference(label, self.student.label) if self.student and label in self.labels else None

    def difference(self, first: str, second: str) -> Difference:
        """Of two rows."""
        if self.student is not None and second == self.student.label:
            return self._gains[self.panel.number(first)]
        return self.pooled([first], second)

    @cached_property
    def _gains(self) -> Differences:
        """Of all rows from student alone, judged at once, since every table asks for them."""
        assert self.student is not None
        by_seed = self.panel.by_seed
        return Differences(by_seed - by_seed[self.panel.number(self.student.label)], self.panel.weights)

    def pooled(self, firsts: Sequence[str], second: str) -> Difference:
        """Of the mean of several rows from another one."""
        numbers = [self.panel.number(label) for label in firsts]
        weighed = np.isin(np.arange(len(self.rows)), numbers) / len(numbers)
        weighed[self.panel.number(second)] -= 1
        return difference(np.tensordot(weighed, self.panel.by_seed, axes=1), self.panel.weights)

    def p(self, first: str, second: str) -> float:
        """Adjusted over all pairs."""
        return float(self.adjusted[self.panel.number(first), self.panel.number(second)])

    def shown(self, first: str, second: str) -> int:
        """1 where the first is shown better than the second, -1 where worse, else 0."""
        if self.silent or self.p(first, second) > LEVEL:
            return 0
        a, b = self.panel.number(first), self.panel.number(second)
        return int(np.sign(self.panel.parts[a].sum() - self.panel.parts[b].sum()))


def family(people: People, table: Table, blocks: Sequence[Block]) -> Family | str:
    """Student alone and the methods that are complete in these blocks, or why they cannot be judged."""
    numbers = [table.blocks.index(block) for block in blocks]
    rows = [
        row
        for row in table.rows
        if row.role in (RowRole.STUDENT, RowRole.METHOD) and all(row.scores[number].complete for number in numbers)
    ]
    if len(rows) < 2:
        return "there are not two complete rows to compare"
    found = arranged(people, table, rows, blocks)
    return found if isinstance(found, str) else Family(found)


def families_of(people: People, table: Table) -> tuple[Family | str, ...]:
    """Of each block, or why there is none."""
    return tuple(family(people, table, [block]) for block in table.blocks)


@dataclass(frozen=True)
class Judged:
    """A table whose standings say what is shown, with what they rest on."""

    table: Table
    overall: Family | None
    """Over all blocks; None where there is none."""
    families: tuple[Family | None, ...]
    """Of each of the table's blocks; None where there is none."""
    reason: str | None
    """Why no tier is given over all blocks, in words; None where one is."""

    @property
    def tier(self) -> list[str]:
        """The methods that bold marks in the last column; empty where no tier is given."""
        return [] if self.reason or self.overall is None else top_tier(self.table, self.overall, None)


def judge(entries: Sequence[Entry], table: Table) -> Judged:
    """Give the tier of every block and of the average in place of best and second, where people allow it."""
    people = people_behind(entries)
    return judge_families(people, table, families_of(people, table))


def judged_tables(entries: Sequence[Entry], metrics: Sequence[str]) -> list[Judged]:
    """The tables of several metrics, judged by people that are read once.

    Raises:
        ValueError: as `tabulate` does.
    """
    people = people_behind(entries)
    tables = [tabulate(entries, metric) for metric in metrics]
    return [judge_families(people, table, families_of(people, table)) for table in tables]


def judge_families(people: People, table: Table, families: Sequence[Family | str]) -> Judged:
    """The same of people that are read already and of the families of the table's blocks."""
    overall = families[0] if len(families) == 1 else family(people, table, table.blocks)
    rows = list(table.rows)
    for number, found in enumerate(families):
        if isinstance(found, Family) and not found.silent:
            tier = top_tier(table, found, number)
            rows = [_scored(row, number, found, tier) for row in rows]
    each = tuple(found if isinstance(found, Family) else None for found in families)
    if isinstance(overall, str):
        reason = overall if len(table.seeds) >= FEWEST_SEEDS else ONE_SEED
        return Judged(replace(table, rows=tuple(rows)), None, each, reason)
    if not overall.silent:
        tier = top_tier(table, overall, None)
        rows = [_averaged(row, overall, tier) for row in rows]
    return Judged(replace(table, rows=tuple(rows)), overall, each, overall.silent)


def top_tier(table: Table, found: Family, block: int | None) -> list[str]:
    """The method of the highest value and every one that is not shown worse than it, in the table's order.

    ``block`` is the block whose values count, None for the average.
    """
    sign = -1 if table.metric in LOWER_IS_BETTER else 1
    means: dict[str, float] = {}
    for row in found.rows:
        found_in = row.average if block is None else row.scores[block]
        if row.role is RowRole.METHOD and found_in is not None and found_in.mean is not None:
            means[row.label] = sign * found_in.mean
    if not means:
        return []
    best = max(means, key=means.__getitem__)
    return [label for label in means if label == best or found.shown(best, label) <= 0]


def _scored(row: Row, number: int, found: Family, tier: Sequence[str]) -> Row:
    """A row with what is shown of it in one block."""
    if row.label not in found.labels:
        return row
    score, shown = row.scores[number], _shown(row, found)
    bold = row.label in tier and not score.worse_than_student
    judged = replace(score, standing=Standing.TIER if bold else None, shown=shown)
    return replace(row, scores=(*row.scores[:number], judged, *row.scores[number + 1 :]))


def _averaged(row: Row, found: Family, tier: Sequence[str]) -> Row:
    """A row with what is shown of its average."""
    if row.average is None or row.label not in found.labels:
        return row
    shown = _shown(row, found)
    bold = row.label in tier and not row.average.worse
    return replace(row, average=replace(row.average, standing=Standing.TIER if bold else None, shown=shown))


def _shown(row: Row, found: Family) -> int | None:
    """Of a method against student alone; None where there is no such comparison."""
    student = found.student
    return found.shown(row.label, student.label) if student and row.role is RowRole.METHOD else None
