"""What a table of scores is made of: blocks, rows and scores."""

import math
from dataclasses import dataclass
from enum import StrEnum

from kdbench.results.entry import Freshness
from kdbench.results.place import RowRole
from kdbench.results.statistics import mean

ROUNDING = 1e-12
"""Metrics are fractions: differences within this of zero are rounding."""


class Standing(StrEnum):
    """How well something does among those that are ranked beside it."""

    BEST = "best"
    SECOND = "second"
    TIER = "tier"
    """Neither below student alone nor shown worse than the best; where it is given, nothing is best or second."""


@dataclass(frozen=True)
class Block:
    """A dataset with a teacher-student pair: one group of columns."""

    dataset: str
    pair: str


@dataclass(frozen=True)
class Score:
    """One row's result in one block; values are fractions as in the records."""

    values: dict[int, float]
    """By seed, ascending; over several folds see ``Table.pooled``."""
    differences: dict[int, float]
    """Improvement over student alone by seed, for the seeds both have; above 0 is better, whatever the metric."""
    wanted: int
    """How many seeds the table asks for."""
    state: str | None
    """What is missing, in words; None where every seed, with all folds, is there."""
    freshness: Freshness
    """Stale where one of the runs behind the values is, else unknown where that of one is."""
    standing: Standing | None = None
    """Among the complete methods of the block; equal means share it."""
    runs: tuple[str, ...] = ()
    """Digests of the runs behind the values."""
    shown: int | None = None
    """Over people: 1 where shown better than student alone, -1 where shown worse, 0 where neither; None where no test
    can tell."""

    @property
    def stale(self) -> bool:
        return self.freshness is Freshness.STALE

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def complete(self) -> bool:
        return self.state is None

    @property
    def mean(self) -> float | None:
        return mean(self.values.values()) if self.values else None

    @property
    def std(self) -> float | None:
        """Standard deviation over seeds (n - 1); None below two seeds."""
        if self.n < 2:
            return None
        center = mean(self.values.values())
        return math.sqrt(math.fsum((value - center) ** 2 for value in self.values.values()) / (self.n - 1))

    @property
    def gain(self) -> float | None:
        """Mean of ``differences``."""
        return mean(self.differences.values()) if self.differences else None

    @property
    def worse_than_student(self) -> bool:
        return self.gain is not None and self.gain < -ROUNDING


@dataclass(frozen=True)
class Average:
    """A row over all blocks, each block counting the same."""

    mean: float
    gain: float | None
    """None where student alone is incomplete, and for student alone itself."""
    standing: Standing | None = None
    shown: int | None = None
    """As that of `Score`."""

    @property
    def worse(self) -> bool:
        """Whether it is worse than student alone."""
        return self.gain is not None and self.gain < -ROUNDING


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    label: str
    kind: str
    role: RowRole
    scores: tuple[Score, ...]
    """In the order of the table's blocks."""
    average: Average | None
    """None unless complete in every block."""


@dataclass(frozen=True)
class Table:
    """One metric over rows and blocks."""

    metric: str
    seeds: tuple[int, ...]
    blocks: tuple[Block, ...]
    rows: tuple[Row, ...]
    """Teacher, student alone, then methods by kind."""
    side: str | None
    """The split that its runs were measured on; None while no run has a record."""
    folds: tuple[int, ...]
    """How many folds each block has."""
    pooled: bool = False
    """Whether values over several folds are of the predictions of all of them, rather than means over folds."""

    @property
    def untaught(self) -> tuple[Block, ...]:
        """Blocks whose teacher is no better than student alone, both complete."""
        teacher, student = self.teacher, self.student
        if teacher is None or student is None:
            return ()
        return tuple(
            block
            for block, score in zip(self.blocks, teacher.scores, strict=True)
            if score.complete and score.gain is not None and len(score.differences) == score.wanted and score.gain <= 0
        )

    @property
    def teacher(self) -> Row | None:
        return next((row for row in self.rows if row.role is RowRole.TEACHER), None)

    @property
    def student(self) -> Row | None:
        return next((row for row in self.rows if row.role is RowRole.STUDENT), None)

    @property
    def methods(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.role is RowRole.METHOD)
