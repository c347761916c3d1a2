"""What became of every row of a user's own recordings, and what to do about those that are lost."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kdbench.data._own.people import Name

LOST = 0.1
"""Share of the labelled rows that may be in no window without a warning."""

MUCH = 0.5
"""The same share of one person or class."""

IN, UNLABELLED, TWICE, MISSING = "in windows", "unlabelled", "there twice", "missing values"
PAUSE, STILL, LABEL, PERSON, REST = (
    "pause",
    "time does not go on",
    "change of label",
    "change of person",
    "rest of a run",
)
CAUSES = (IN, UNLABELLED, TWICE, MISSING, STILL, PAUSE, LABEL, PERSON, REST)
"""What becomes of a row. Of the two ends of a run too short for a window, the one named first here is the cause."""


@dataclass
class Breaks:
    """Where runs end by one cause: how often, where first, and how long pauses (seconds) or holes (rows) are."""

    count: int = 0
    first: str = ""
    lengths: list[float] = field(default_factory=list)

    def add(self, count: int, first: str, lengths: Sequence[float] = ()) -> None:
        self.first = self.first or first
        self.count += count
        self.lengths += lengths


class Account:
    """Rows by file, person, class and what became of them.

    Args:
        classes: names.
        people: names, by the index that rows are booked under; may grow.
        length: samples of a window.
        clock: the column of times; empty where there is none.
        gap: seconds of a pause that a run goes on after, as a text.
        step: seconds between two samples.
        fill: values missing in a row that are filled at most.
    """

    def __init__(
        self, classes: Sequence[str], people: list[Name], length: int, *, clock: str, gap: str, step: float, fill: int
    ) -> None:
        self.classes, self.people, self.length = classes, people, length
        self.clock, self.gap, self.step, self.fill = clock, gap, step, fill
        self.crowded = False  # whether some recording has far more rows than its times and the rate allow
        self.rows: Counter[tuple[str, int, int, str]] = Counter()
        self.longest: Counter[tuple[int, int]] = Counter()  # samples of the longest run, by person and label
        self.breaks: dict[tuple[str, int], Breaks] = {}  # by cause and person
        self.notes: list[str] = []
        self.filled = 0  # values that were missing and are not any more

    def add(self, file: str, person: int, label: int, cause: str, rows: int) -> None:
        """Book rows; person and label are indices, -1 where there is none."""
        if rows:
            self.rows[file, person, label, cause] += rows

    def broken(self, cause: str, person: int, count: int, first: str, lengths: Sequence[float] = ()) -> None:
        """Book ends of a person's runs; pauses with their lengths in seconds, missing values in rows."""
        self.breaks.setdefault((cause, person), Breaks()).add(count, first, lengths)

    def counts(self, *, person: int | None = None, label: int | None = None) -> Counter[str]:
        """Rows by what became of them, of everyone or of a person or class."""
        total: Counter[str] = Counter()
        for (_, who, what, cause), rows in self.rows.items():
            if person in (None, who) and label in (None, what):
                total[cause] += rows
        return total

    def plain(self) -> dict[str, dict[str, dict[str, int]]]:
        """By what is counted (``file``, ``person``, ``class``), by its name, by cause."""
        found: dict[str, dict[str, Counter[str]]] = {"file": {}, "person": {}, "class": {}}
        for (file, person, label, cause), rows in self.rows.items():
            who = str(self.people[person]) if person >= 0 else "(nobody)"
            what = self.classes[label] if label >= 0 else "(none)"
            for kind, name in (("file", file), ("person", who), ("class", what)):
                found[kind].setdefault(name, Counter())[cause] += rows
        return {
            kind: {name: {cause: counts[cause] for cause in CAUSES if counts[cause]} for name, counts in named.items()}
            for kind, named in found.items()
        }

    def details(self) -> list[str]:
        """Every cause by which rows are lost, with where it is met first and the way out."""
        counts = self.counts()
        return [self._said(cause, counts[cause]) for cause in _causes(counts)]

    def why(self, *, person: int | None = None, label: int | None = None) -> str:
        """Why a person, a class, or everything has no window."""
        counts = self.counts(person=person, label=label)
        longest = max(
            (n for (who, what), n in self.longest.items() if person in (None, who) and label in (None, what)), default=0
        )
        causes = _causes(counts)
        lost = sum(counts[cause] for cause in causes)
        said = [self._said(cause, counts[cause], person) for cause in causes if 10 * counts[cause] >= lost]
        begun = f"its longest run has {longest} samples, wanted {self.length}" if longest else "it has no labelled row"
        return "; ".join([begun, *said])

    def warnings(self, windows: Counter[tuple[int, int]], test: set[int]) -> list[str]:
        """What a reader of results must know.

        Args:
            windows: how many, by person and label.
            test: who is on the test side.
        """
        counts = self.counts()
        share = _lost(counts)
        said = list(self.notes)
        if share > LOST:
            what = f"{share:.0%} of {_labelled(counts)} labelled rows are in no window ({self._shares(counts)})"
            said.append(f"{what}; {self._way_out(_causes(counts)[0])}")
        for kind, names in (("person", self.people), ("class", self.classes)):
            for index, name in enumerate(names):
                own = self.counts(person=index) if kind == "person" else self.counts(label=index)
                if _labelled(own) and not own[IN]:
                    said.append(f"{kind} {name} has no window of {_labelled(own)} labelled rows ({self._shares(own)})")
                elif _lost(own) > max(MUCH, share + LOST):
                    said.append(f"{kind} {name} loses {_lost(own):.0%} of the rows ({self._shares(own)})")
        return said + self._sides(windows, test)

    def _sides(self, windows: Counter[tuple[int, int]], test: set[int]) -> list[str]:
        """Classes that have rows on a side but no window there."""
        said = []
        for side in (False, True):
            for label, name in enumerate(self.classes):
                rows = sum(
                    n
                    for (_, who, what, cause), n in self.rows.items()
                    if what == label and who >= 0 and (who in test) == side and cause != TWICE
                )
                here = sum(n for (who, what), n in windows.items() if what == label and (who in test) == side)
                if rows and not here:
                    where = "test" if side else "training"
                    said.append(f"no window of class {name} on the {where} side, which has {rows} rows of it")
        return said

    def _shares(self, counts: Mapping[str, int]) -> str:
        causes, all_rows = _causes(counts), _labelled(counts)
        parts = [f"{self._named(cause)} {counts[cause] / all_rows:.0%}" for cause in causes]
        return ", ".join(parts)

    def _named(self, cause: str) -> str:
        if cause == PAUSE:
            return f"pauses above {self.gap} s in column {self.clock!r}"
        if cause == STILL:
            return f"times in column {self.clock!r} that do not go on"
        return {LABEL: "changes of label", PERSON: "changes of person", REST: "rests of runs"}.get(cause, cause)

    def _said(self, cause: str, rows: int, person: int | None = None) -> str:
        found = self._breaks(cause, person)
        where = f" ({found.count}, the first at {found.first})" if found.count else ""
        return f"{rows} rows lost by {self._named(cause)}{where}: {self._way_out(cause)}"

    def _breaks(self, cause: str, person: int | None = None) -> Breaks:
        total = Breaks()
        for (what, who), found in self.breaks.items():
            if what == cause and person in (None, who):
                total.add(found.count, found.first, found.lengths)
        return total

    def _way_out(self, cause: str) -> str:
        if cause == PAUSE:
            return self._gap()
        if cause == MISSING:
            return self._hole()
        if cause == STILL and self.crowded:
            return (
                "there are more rows than the rate says: leave out those that stand twice, or where several devices or "
                "people stand in turn, name the column that tells them apart: recording"
            )
        if cause == STILL:
            return (
                "where rows are evenly spaced all the same, leave time out; where several devices or people stand in "
                "turn, name the column that tells them apart: recording"
            )
        return {
            LABEL: "correct slips in the labels, or choose a shorter length",
            PERSON: "where people stand in turn, recording or time reads them apart",
            REST: "a shorter length or step leaves less",
        }[cause]

    def _gap(self) -> str:
        """The gap that bridges the short ones among the pauses."""
        lengths = sorted(self._breaks(PAUSE).lengths)
        usual = lengths[len(lengths) // 2] if lengths else 0.0
        if 2 * len(lengths) > self.counts()[PAUSE] and lengths[len(lengths) // 10] > 0.8 * usual:
            return (
                f"these rows are {usual:.3g} s apart, at {1 / usual:.3g} Hz; resample = true brings files to one rate"
            )
        short = [length for length in lengths if length <= 10 * self.step]
        if not short:
            return "gap says how long a pause may be"
        digits = 10 ** (1 - math.floor(math.log10(max(short))))
        gap = math.ceil(max(short) * 1.01 * digits) / digits
        return f"gap = {gap:g} bridges {len(short)} of the {len(lengths)} pauses"

    def _hole(self) -> str:
        """How many missing rows to fill, or why that does not help."""
        sizes = self._breaks(MISSING).lengths
        if not sizes:
            return f"rows without a time cannot be filled: correct column {self.clock!r}, or leave it out"
        short = [size for size in sizes if self.fill < size <= self.length // 2]
        if short:
            return f'missing = "fill {max(short):g}" fills {len(short)} of {len(sizes)} holes, between two values'
        if max(sizes) <= self.fill:
            return "holes at the end of a run have no value on both sides to fill them from"
        return (
            f"holes of up to {max(sizes):g} rows are too long to fill: correct the file, or leave it or a channel out"
        )


def _causes(counts: Mapping[str, int]) -> list[str]:
    """Causes by which labelled rows are lost, the most frequent first."""
    found = [cause for cause in CAUSES[CAUSES.index(MISSING) :] if counts.get(cause)]
    return sorted(found, key=lambda cause: -counts[cause])


def _labelled(counts: Mapping[str, int]) -> int:
    return sum(rows for cause, rows in counts.items() if cause not in (UNLABELLED, TWICE))


def _lost(counts: Mapping[str, int]) -> float:
    rows = _labelled(counts)
    return 1 - counts.get(IN, 0) / rows if rows else 0.0


def report(account: Account, test: set[int], windows: Counter[tuple[int, int]]) -> dict[str, Any]:
    """What a dataset's report says of its rows."""
    said: dict[str, Any] = {"account": account.plain()}
    for key, texts in (("rows lost", account.details()), ("warnings", account.warnings(windows, test))):
        if texts:
            said[key] = texts
    return said
