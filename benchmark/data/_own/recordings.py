"""A user's own recordings: CSV files, cut into windows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kdbench.data._archive import Source
from kdbench.data._base import cut
from kdbench.data._own.account import IN, MISSING, PAUSE, REST, STILL, TWICE, Account
from kdbench.data._own.csv import Reader, Rows
from kdbench.data._own.joined import grouped, joined
from kdbench.data._own.people import ABSENT, Name, People, person_name
from kdbench.data._own.runs import Run, in_order, runs, steps
from kdbench.data._own.table import TOML
from kdbench.data._own.times import contradiction
from kdbench.data._own.toml import About, Integers, Parts
from kdbench.data._own.twins import Shared, content
from kdbench.data._resample import resampled
from kdbench.errors import KdbenchError


class _Cutter:
    """Reads files and cuts them into windows, and takes down what becomes of every row."""

    def __init__(self, source: Source, about: About) -> None:
        assert about.recordings is not None
        self.source, self.about, self.spec = source, about, about.recordings
        self.people = People()
        self.reader = Reader(source, about, self.people)
        gap = self.spec.gap or 1.5 / about.rate
        said = f"{gap:g}" if self.spec.gap or not self.spec.resample else "1.5 samples'"
        self.account = Account(
            about.classes,
            self.people.names,
            self.spec.length,
            clock=self.spec.time,
            gap=said,
            step=1 / about.rate,
            fill=self.spec.fill or 0,
        )
        self.runs: list[Run] = []
        self.rows = 0
        self.shared = Shared()
        self._turns: dict[str, list[str]] = {}  # columns that nobody named, to files
        self._seen: dict[bytes, Rows] = {}

    def read(self, files: list[str]) -> None:
        """Add what is in files."""
        empty: list[str] = []
        for group in grouped(self.source, files, self.spec.parts):
            rows = joined(self.reader, self.about, group)
            self.rows += len(rows.line)
            if rows.turns:
                self._turns.setdefault(rows.turns, []).append(rows.member)
            if not len(rows.line):
                empty.append(f"{rows.member} has no rows")
            elif not self._twin(rows):
                self._divide(rows)
        self._compare()
        for column, members in self._turns.items():
            where = members[0] + (f" and {len(members) - 1} more" if len(members) > 1 else "")
            what = f"column {column!r} goes to and fro row by row in {where}"
            self.account.notes.append(f"{what}; recording = {column!r} reads its recordings apart")
        self.account.notes[:] = [*_few(self._unheard()), *_few(empty), *_few(self.account.notes)]

    def _unheard(self) -> list[str]:
        """Say who has rows, but none with a label."""
        found: dict[Name, list[tuple[str, int]]] = {}
        for (member, written), rows in self.reader.unlabelled.items():
            who = person_name(written)
            if who not in self.people.names and str(who).lower() not in ABSENT:
                found.setdefault(who, []).append((member, rows))
        return [
            f"person {who} is left out: none of {sum(rows for _, rows in where)} rows has a label, from {where[0][0]}"
            for who, where in found.items()
        ]

    def _twin(self, rows: Rows) -> bool:
        """Whether a file is another one again, which is said."""
        first = self._seen.setdefault(content(rows), rows)
        if first is rows or not (rows.label >= 0).any():
            return False
        owners = [{*each.person[each.label >= 0].tolist()} for each in (first, rows)]
        if owners[0] != owners[1]:
            if len(np.unique(rows.values[rows.label >= 0])) < 16:  # sensors at rest
                return False
            names = [" and ".join(repr(self.people.names[who]) for who in sorted(each)) for each in owners]
            what = f"{first.member} of {names[0]} and {rows.member} of {names[1]} hold the same rows"
            raise KdbenchError(f"{self.source.path}: {what}; wanted them under one person")
        self.account.notes.append(f"{rows.member} is {first.member} again and is left out")
        for person, label in np.unique(np.stack([rows.person, rows.label]), axis=1).T.tolist():
            count = int(((rows.person == person) & (rows.label == label)).sum())
            self.account.add(rows.member, person, label, TWICE, count)
        return True

    def _divide(self, rows: Rows) -> None:
        rows, stream = in_order(rows, self.spec)
        usual = [self._usual(rows, who, parts) for who, parts in steps(rows, stream)]
        gap = self.spec.gap or 1.5 / self.about.rate
        if self.spec.resample and not self.spec.gap:
            gap = 1.5 * max(usual, default=0.0) or gap
        for who in np.unique(rows.person[rows.label >= 0]).tolist():
            mine = (rows.label >= 0) & (rows.person == who)
            self.shared.add(rows.member, self.people.names[who], rows.values[mine])
        self.runs += runs(rows, stream, self.spec, gap, self.account)

    def _usual(self, rows: Rows, who: int, parts: list[tuple[int, npt.NDArray[np.float64]]]) -> float:
        """The step between the times of a recording, in seconds, the longest where it changes; 0 if there is none.

        Raises:
            KdbenchError: the times contradict the rate, as a whole or in a part.
        """
        rate, whole = self.about.rate, parts[0][1]
        said = [
            (label, wrong)
            for label, each in parts
            if (wrong := contradiction(each, rate, self.spec.time, rows.unit, resample=self.spec.resample))
        ]
        if said:
            label, wrong = said[0] if len(said) == len(parts) else said[-1]
            whose = f"person {self.people.names[who]}" + (f", {self.about.classes[label]}" if label >= 0 else "")
            raise KdbenchError(f"{self.source.path}: {TOML}: {rows.member} ({whose}): {wrong}")
        ahead = [each[each > 0] for _, each in parts if (each > 0).any()]
        self.account.crowded |= bool(ahead) and len(whole) > 1.5 * rate * float(ahead[0].sum())
        return max((float(np.median(each)) for each in ahead), default=0.0)

    def _compare(self) -> None:
        """Say which files agree in part; refuse those of two people."""
        for (one, who), (other, else_), rows in self.shared.pairs(max(self.spec.length, 16)):
            if who != else_:
                what = f"{one} of {who!r} and {other} of {else_!r} hold {rows} rows that are the same"
                raise KdbenchError(f"{self.source.path}: {what}; wanted them under one person")
            what = f"{one} holds {rows} rows twice" if one == other else f"{one} and {other} have {rows} rows in common"
            self.account.notes.append(what)

    def windows(self) -> tuple[list[npt.NDArray[np.float32]], Integers, int]:
        """Windows (C, T), with label, person, run and start of each (4, N), and how many runs are too short."""
        spec, short = self.spec, 0
        x: list[npt.NDArray[np.float32]] = []
        columns: list[tuple[int, int, int, int]] = []
        for number, run in enumerate(self.runs):
            signals = run.signals
            if spec.resample and run.time is not None:
                signals = resampled(run.time, signals, self.about.rate)
            starts = cut(len(signals), spec.length, spec.step)
            short += not starts
            for start in starts:
                x.append(signals[start : start + spec.length].T.astype(np.float32))
                columns.append((run.label, run.person, number, start))
            self._book(run, len(signals), starts)
        return x, np.array(columns, np.int64).reshape(-1, 4).T.copy(), short

    def _book(self, run: Run, samples: int, starts: range) -> None:
        key = run.person, run.label
        self.account.longest[key] = max(self.account.longest[key], samples)
        rows = len(run.signals)
        covered = _covered(starts, self.spec.length)
        if samples != rows or self.spec.resample:
            covered = min(rows, round(covered / samples * rows))
        cause = run.cause
        if starts and cause not in (PAUSE, STILL, MISSING):
            cause = REST
        self.account.add(run.member, *key, IN, covered)
        self.account.add(run.member, *key, cause, rows - covered)


def read_recordings(source: Source, about: About) -> Parts:
    """Windows of recordings.

    Raises:
        KdbenchError: something is malformed, contradicts the description, or leaves no window.
    """
    cutter = _Cutter(source, about)
    files = about.files(source, cutter.spec.files)
    cutter.read(files)
    x, columns, short = cutter.windows()
    if not x:
        length = cutter.spec.length
        raise KdbenchError(
            f"{source.path}: no run of one person and label has {length} samples: {cutter.account.why()}"
        )
    label, person, recording, start = columns
    report = {
        "files": len(files),
        "rows": cutter.rows,
        "rows without a label": cutter.account.counts()["unlabelled"],
        "runs": len(cutter.runs),
        "runs too short for a window": short,
    }
    if cutter.spec.fill:
        report["values filled"] = cutter.account.filled
    recordings = [f"the run from {run.member} line {run.line}" for run in cutter.runs]
    signals = np.ascontiguousarray(np.stack(x))
    people = cutter.people.names
    return Parts(signals, label, person, recording, start, people, recordings, report, cutter.account)


def _covered(starts: range, length: int) -> int:
    """How many samples are in some window."""
    return len(starts) * min(starts.step, length) + max(0, length - starts.step) if starts else 0


def _few(notes: list[str], most: int = 5) -> list[str]:
    return notes if len(notes) <= most else [*notes[:most], f"and {len(notes) - most} more of that kind"]
