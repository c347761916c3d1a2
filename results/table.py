"""What a table is made from and made of: entries in; rows, blocks and scores out."""

import math
from dataclasses import dataclass
from typing import Literal

from kdbench.results.record import Record
from kdbench.results.statistics import mean

Role = Literal["teacher", "student", "method"]
Status = Literal["done", "failed", "missing", "n/a"]
Place = Literal["best", "second"]


@dataclass(frozen=True)
class Entry:
    """One cell of a matrix as the table sees it: where it belongs and what became of it.

    Raises ``ValueError`` where a done entry lacks a done record or an n/a entry lacks its reason.
    """

    dataset: str
    pair: str
    """Teacher and student, such as "resnet_lstman(width=0.25):mlp"."""
    network: str
    """The one that is deployed, such as "mlp"."""
    row: str
    """Label of the table row."""
    kind: str
    role: Role
    """"teacher" and "student" are those networks trained alone: reference rows, not ranked."""
    seed: int
    status: Status
    reason: str | None
    stale: bool
    """The source changed since the run, without a new version."""
    record: Record | None
    note: str = ""
    """What a reader must know about the row; goes into the caption."""
    fold: int = 0
    """Which division of the people, where the protocol has several."""

    def __post_init__(self) -> None:
        if self.status == "done" and (self.record is None or self.record.status != "done"):
            came = "none" if self.record is None else f"one with status {self.record.status!r}"
            raise ValueError(f"entry {self.row!r}, seed {self.seed}: done wants a done record, {came} came")
        if self.status == "n/a" and not self.reason:
            raise ValueError(f"entry {self.row!r}, seed {self.seed}: n/a wants a reason, none came")


@dataclass(frozen=True)
class Block:
    """A dataset with a teacher-student pair: one group of columns."""

    dataset: str
    pair: str


@dataclass(frozen=True)
class Score:
    """One row's result in one block; values are fractions as in the records."""

    values: dict[int, float]
    """By seed, ascending; over several folds the mean of them all."""
    differences: dict[int, float]
    """Improvement over student alone by seed, for the seeds both have; above 0 is better, whatever the metric."""
    wanted: int
    """How many seeds the table asks for."""
    state: str | None
    """What is missing, in words; None where every seed, with all folds, is there."""
    stale: bool
    place: Place | None = None
    """Among the complete methods of the block; equal means share a place."""

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
        return self.gain is not None and self.gain < 0


@dataclass(frozen=True)
class Average:
    """A row over all blocks, each block counting the same."""

    mean: float
    gain: float | None
    """None where student alone is incomplete, and for student alone itself."""
    place: Place | None = None


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    label: str
    kind: str
    role: Role
    scores: tuple[Score, ...]
    """In the order of the table's blocks."""
    average: Average | None
    """None unless complete in every block."""


@dataclass(frozen=True)
class Conditions:
    """What every run of a table has in common."""

    protocol: str
    recipe: str
    note: str
    """The recipe's note, such as "not for publication"; often empty."""
    side: str
    warning: str = ""
    """What must be said against the protocol, such as that it leaks; usually empty."""


@dataclass(frozen=True)
class Table:
    """One metric over rows and blocks."""

    metric: str
    seeds: tuple[int, ...]
    blocks: tuple[Block, ...]
    rows: tuple[Row, ...]
    """Teacher, student alone, then methods by kind."""
    conditions: Conditions | None
    """None while no run has a record."""
    folds: tuple[int, ...]
    """How many folds each block has."""

    @property
    def student(self) -> Row | None:
        return next((row for row in self.rows if row.role == "student"), None)

    @property
    def methods(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.role == "method")
