"""A matrix as views, figures and reports are made from it."""

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from kdbench.errors import nearest
from kdbench.results.entry import Asked, Entry
from kdbench.results.place import RowRole
from kdbench.results.tables.family import Family, Judged, families_of, judge_families
from kdbench.results.tables.model import Block, Row, Table
from kdbench.results.tables.people import People, people_behind
from kdbench.results.tables.scores import tabulate

Epoch = Mapping[str, float]
"""What was written down after an epoch, by name; NaN where it is no finite number."""


def _no_curve(digest: str) -> str:
    return ""


@dataclass(frozen=True, eq=False)
class Seen:
    """What a matrix left, and what is asked of it.

    Raises ``ValueError`` as `tabulate` does, or where ``rows`` names one that is not there.
    """

    entries: Sequence[Entry]
    asked: Asked
    version: str
    """That of kdbench."""
    metric: str = "macro_f1"
    rows: tuple[str, ...] = ()
    """Labels of the rows that are asked for; empty for what a view shows by itself."""
    curve: Callable[[str], str] = _no_curve
    """What was written down after each epoch of a cell, as CSV, by the cell's digest."""
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Names of the classes, by dataset, where they are known."""

    def __post_init__(self) -> None:
        known = [row.label for row in self.table.rows]
        for label in self.rows:
            if label not in known:
                raise ValueError(nearest("rows", label, known))

    @cached_property
    def table(self) -> Table:
        """What was reached, before it is judged: with best and second in place of tiers."""
        return tabulate(self.entries, self.metric)

    @cached_property
    def judged(self) -> Judged:
        """The table with what is shown of it, which takes as long as all else."""
        return judge_families(self.people, self.table, self.families)

    @cached_property
    def families(self) -> tuple[Family | str, ...]:
        """Of each block, or why there is none."""
        return families_of(self.people, self.table)

    @cached_property
    def people(self) -> People:
        """Of all runs."""
        return people_behind(self.entries)

    @cached_property
    def found(self) -> Mapping[tuple[Block, str], Sequence[Entry]]:
        """Done entries by block and row, by seed and fold."""
        runs: dict[tuple[Block, str], list[Entry]] = {}
        for entry in self.entries:
            if entry.status == "done":
                runs.setdefault((Block(entry.place.dataset, entry.place.pair), entry.place.row), []).append(entry)
        return {key: sorted(each, key=lambda e: (e.place.seed, e.place.fold)) for key, each in runs.items()}

    def shown(self, block: Block) -> list[Row]:
        """The rows that are asked for; else teacher and student alone, with the method of the highest value there."""
        if self.rows:
            return [row for label in self.rows for row in self.table.rows if row.label == label]
        number = self.table.blocks.index(block)
        alone = [row for row in self.table.rows if row.role is not RowRole.METHOD]
        means = [(row.scores[number].mean, row) for row in self.table.methods]
        best = max(((mean, row) for mean, row in means if mean is not None), key=lambda each: each[0], default=None)
        return [*alone, *([best[1]] if best else [])]

    def epochs(self, entry: Entry) -> list[Epoch]:
        """What was written down after each epoch of a run; empty where nothing is kept."""
        text = self.curve(entry.record.digest) if entry.record else ""
        return [{key: _number(value) for key, value in row.items() if key} for row in csv.DictReader(io.StringIO(text))]

    def names(self, block: Block, count: int) -> list[str]:
        """Names of a dataset's classes, or numbers where they are not known."""
        known = self.classes.get(block.dataset, ())
        return list(known) if len(known) == count else [f"class {number}" for number in range(count)]


def _number(text: object) -> float:
    try:
        value = float(str(text))
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan
