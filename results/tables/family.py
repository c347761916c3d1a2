"""All pairs of the complete rows of a table, judged at once."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

import numpy as np

from kdbench.results.entry import Entry
from kdbench.results.metrics import LOWER_IS_BETTER
from kdbench.results.place import RowRole
from kdbench.results.statistics.intervals import Interval, detectable, difference_interval
from kdbench.results.statistics.ranks import rank_intervals, ranks
from kdbench.results.statistics.tests import Floats, holm, max_t, sign_flip, sign_flips, smallest_p
from kdbench.results.statistics.variance import Split, split
from kdbench.results.tables.model import ROUNDING, Block, Row, Standing, Table
from kdbench.results.tables.people import Panel, panel

LEVEL = 0.05
"""Nothing is called better above it."""
FEWEST_SEEDS = 2
ONE_SEED = "one seed supports no statement on what another training would give"


@dataclass(frozen=True)
class Difference:
    """Of one complete row from another, over people: above 0, the first is better."""

    mean: float
    parts: Floats
    """(n,) what each person contributes to the mean."""
    weights: Floats
    """(n,) how much of the mean each person is."""
    by_seed: Floats
    """(S, n) the same contributions, seed by seed."""

    @cached_property
    def interval(self) -> Interval:
        """Of 95 %: all that the test over people, or that over people and seeds, does not refuse."""
        over_people = difference_interval(self.parts, self.weights)
        return over_people.hull(self.split.interval(self.mean)) if self.split else over_people

    @property
    def p(self) -> float:
        """Would other people and other trainings agree? The larger of two p-values, not corrected for other pairs.

        The sign-flip test over people needs no normal distribution and takes these trainings for all; the quasi-t test
        over people and seeds takes neither for all and leans on a normal one.
        """
        return max(self.p_people, self.p_both)

    @property
    def p_people(self) -> float:
        """Would other people agree, judging these very trainings?"""
        return sign_flip(self.parts)

    @property
    def p_both(self) -> float:
        """The quasi-t test's; 0 where people and seeds are too few for it, so that the other decides."""
        return self.split.p(self.mean) if self.split else 0.0

    @property
    def seeds(self) -> list[float]:
        """The difference at each seed."""
        return [float(value) for value in self.by_seed.sum(axis=1)]

    @property
    def p_seeds(self) -> float:
        """Would a rerun agree, on these very people?"""
        return sign_flip(self.seeds)

    @property
    def detectable(self) -> float | None:
        """The smallest true difference that people and seeds like these show in four of five cases."""
        over_people = detectable(self.parts * len(self.parts))
        return max(over_people or 0.0, self.split.detectable) if self.split else over_people

    @cached_property
    def split(self) -> Split | None:
        """How much of its noise is people and how much is seeds; None below two of either."""
        return split(self.by_seed * len(self.parts))


@dataclass(frozen=True, eq=False)
class Family:
    """Complete rows, student alone among them where it is complete, and every pair of them judged."""

    panel: Panel
    adjusted: Floats
    """(M, M) p-values over people and seeds, adjusted over all pairs by Holm's correction."""

    @property
    def rows(self) -> tuple[Row, ...]:
        return self.panel.rows

    @cached_property
    def joint(self) -> Floats:
        """(M, M) p-values over people alone by max-T: what people's differences in all pairs together say.

        It takes these trainings for all, and where most people lose a little and few gain much it cries wolf three
        times as often as it says (`kdbench.results.statistics.simulated`). So nothing is called better by it.
        """
        pairs = list(combinations(range(len(self.rows)), 2))
        return _square(len(self.rows), pairs, max_t(self.panel.parts, pairs))

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

    def difference(self, first: str, second: str) -> Difference:
        """Of two rows."""
        return self._difference(self._at(first), self._at(second))

    def pooled(self, firsts: Sequence[str], second: str) -> Difference:
        """Of the mean of several rows from another one."""
        rows = [self.panel.number(label) for label in firsts]
        return self._difference(np.isin(np.arange(len(self.rows)), rows) / len(rows), self._at(second))

    def p(self, first: str, second: str) -> float:
        """Adjusted over all pairs."""
        return float(self.adjusted[self.panel.number(first), self.panel.number(second)])

    def shown(self, first: str, second: str) -> int:
        """1 where the first is shown better than the second, -1 where worse, else 0."""
        if self.silent or self.p(first, second) > LEVEL:
            return 0
        a, b = self.panel.number(first), self.panel.number(second)
        return int(np.sign(self.panel.parts[a].sum() - self.panel.parts[b].sum()))

    def _at(self, label: str) -> Floats:
        return np.asarray(np.arange(len(self.rows)) == self.panel.number(label), dtype=np.float64)

    def _difference(self, first: Floats, second: Floats) -> Difference:
        return _difference(np.tensordot(first - second, self.panel.by_seed, axes=1), self.panel.weights)


def difference_of(first: Panel, second: Panel) -> Difference:
    """Of the only rows of two panels of the same blocks, seeds and people."""
    return _difference(first.by_seed[0] - second.by_seed[0], first.weights)


def _difference(by_seed: Floats, weights: Floats) -> Difference:
    parts = by_seed.mean(axis=0)
    return Difference(math.fsum(parts), parts, weights, by_seed)


def family(entries: Sequence[Entry], table: Table, blocks: Sequence[Block]) -> Family | str:
    """Student alone and the methods that are complete in these blocks, or why they cannot be judged."""
    numbers = [table.blocks.index(block) for block in blocks]
    rows = [
        row
        for row in table.rows
        if row.role in (RowRole.STUDENT, RowRole.METHOD) and all(row.scores[number].complete for number in numbers)
    ]
    if len(rows) < 2:
        return "there are not two complete rows to compare"
    found = panel(entries, table, rows, blocks)
    if isinstance(found, str):
        return found
    pairs = list(combinations(range(len(rows)), 2))
    first, second = np.array(pairs).T
    over_people = sign_flips(found.parts[first] - found.parts[second])
    both = [_difference(found.by_seed[a] - found.by_seed[b], found.weights).p_both for a, b in pairs]
    single = [max(float(one), other) for one, other in zip(over_people, both, strict=True)]
    return Family(found, _square(len(rows), pairs, holm(single)))


def _square(rows: int, pairs: Sequence[tuple[int, int]], values: Iterable[float]) -> Floats:
    """(rows, rows), alike on both sides of a diagonal of ones."""
    found = np.ones((rows, rows))
    for (first, second), value in zip(pairs, values, strict=True):
        found[first, second] = found[second, first] = value
    return found


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
    by_block: dict[Block, list[Entry]] = {block: [] for block in table.blocks}
    for entry in entries:
        by_block[Block(entry.place.dataset, entry.place.pair)].append(entry)
    families = [family(found, table, [block]) for block, found in by_block.items()]
    overall = families[0] if len(families) == 1 else family(entries, table, table.blocks)
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
