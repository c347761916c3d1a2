"""From the rows of a file to runs: rows that follow each other, of one person, label and recording, without a pause."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from kdbench.data._own.account import CAUSES, LABEL, MISSING, PAUSE, PERSON, REST, STILL, UNLABELLED, Account
from kdbench.data._own.csv import Floats, Rows
from kdbench.data._own.settings import RecordingFiles
from kdbench.data._own.toml import Integers

ON = "goes on"
"""Between two rows of one run."""


SLACK = 1e-4
"""Share by which a pause may exceed the gap, since times since 1970 are exact to a part of a microsecond alone."""


@dataclass(frozen=True, eq=False)
class Run:
    """Rows of one run; ``signals`` (rows, C), ``time`` in seconds. ``before``, ``after``: why it begins and ends."""

    member: str
    line: int
    person: int
    label: int
    signals: Floats
    time: Floats | None
    before: str
    after: str

    @property
    def cause(self) -> str:
        """Why it is no longer than it is."""
        return min(self.before, self.after, key=CAUSES.index)


def in_order(rows: Rows, spec: RecordingFiles) -> tuple[Rows, Integers]:
    """Rows recording by recording, and which of them each is of.

    With times, or a column that tells recordings apart, people in turn are read apart as well.
    """
    person = _of_the_last(rows.person, rows.recording)
    apart = rows.time is not None or bool(spec.recording.columns)
    key = np.stack([rows.recording, person if apart else np.zeros_like(person)])
    _, stream = np.unique(key, axis=1, return_inverse=True)
    stream = stream.reshape(-1).astype(np.int64)
    order = np.argsort(stream, kind="stable")
    return _taken(replace(rows, person=person), order), stream[order]


def _of_the_last(person: Integers, recording: Integers) -> Integers:
    """People, where rows of which nothing is said are of whoever the recording's last row was of."""
    if not (person < 0).any():
        return person
    out = person.copy()
    for one in np.unique(recording):
        here = np.flatnonzero(recording == one)
        last = np.maximum.accumulate(np.where(person[here] >= 0, np.arange(len(here)), 0))
        out[here] = person[here[last]]
    return out


def _taken(rows: Rows, which: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Rows:
    arrays = {key: getattr(rows, key)[which] for key in ("line", "person", "label", "recording", "values")}
    return replace(rows, **arrays, time=None if rows.time is None else rows.time[which])


STRETCH = 50
"""Steps in a row, or of a class, that tell their rate by themselves."""


def steps(rows: Rows, stream: Integers) -> Iterator[tuple[int, list[tuple[int, Floats]]]]:
    """Steps between the times of neighbouring labelled rows, for every recording of a file, with the person.

    First of the recording as a whole (label -1); then, since a device may change its rate on the way, of every class
    and every stretch under one label in it that is long enough, with the label.
    """
    if rows.time is None or len(rows.line) < 2:
        return
    same = (np.diff(stream) == 0) & (np.diff(rows.person) == 0) & (np.diff(rows.label) == 0) & (rows.label[1:] >= 0)
    apart = np.diff(rows.time)
    same &= np.isfinite(apart)
    for one in np.unique(stream):
        mine = np.flatnonzero(same & (stream[1:] == one))
        if not len(mine):
            continue
        label = rows.label[mine + 1]
        classes = [mine[label == each] for each in np.unique(label)]
        stretches = np.split(mine, np.flatnonzero(np.diff(mine) > 1) + 1)
        parts = [part for part in (*classes, *stretches) if STRETCH <= len(part) < len(mine)]
        named = [(int(rows.label[part[0] + 1]), apart[part]) for part in parts]
        yield int(rows.person[mine[0] + 1]), [(-1, apart[mine]), *named]


def runs(rows: Rows, stream: Integers, spec: RecordingFiles, gap: float, account: Account) -> list[Run]:
    """Runs of a file; rows that are in none are booked, and so is every end of a run.

    ``gap``: a longer pause, in seconds, ends a run.
    """
    if spec.fill:
        values = _filled(rows, _ends(rows, stream, gap), spec.fill)
        account.filled += int((np.isnan(rows.values) & np.isfinite(values)).sum())
        rows = replace(rows, values=values)
    whole = np.isfinite(rows.values).all(axis=1)
    if rows.time is not None:
        whole &= np.isfinite(rows.time)
    lost = (rows.label >= 0) & ~whole
    _book(account, _taken(rows, lost), MISSING)
    for who in np.unique(rows.person[lost]).tolist():
        mine = np.flatnonzero(lost & (rows.person == who))
        holes = np.split(mine, np.flatnonzero(np.diff(mine) > 1) + 1)
        sizes = [len(hole) for hole in holes if rows.time is None or np.isfinite(rows.time[hole]).all()]
        account.broken(MISSING, who, len(mine), f"{rows.member} line {rows.line[mine[0]]}", sizes)
    unlabelled = rows.label < 0
    _book(account, _taken(rows, unlabelled), UNLABELLED)
    kept = np.flatnonzero(~lost)
    left, stream = _taken(rows, kept), stream[kept]
    ends = _ends(left, stream, gap)
    ends[(np.diff(kept) > 1) & np.isin(ends, (ON, PAUSE))] = MISSING
    _note(account, left, ends)
    return _cut(left, ends)


def _ends(rows: Rows, stream: Integers, gap: float) -> npt.NDArray[np.str_]:
    """What is between each row and the next: why a run ends there, or that it goes on."""
    ends = np.full(max(0, len(rows.line) - 1), ON, dtype="<U32")
    if rows.time is not None:
        apart = np.diff(rows.time)
        ends[apart > gap * (1 + SLACK)] = PAUSE
        ends[apart <= 0] = STILL
    ends[np.diff(rows.label) != 0] = LABEL
    ends[np.diff(rows.person) != 0] = PERSON
    ends[np.diff(stream) != 0] = REST
    return ends


def _filled(rows: Rows, ends: npt.NDArray[np.str_], most: int) -> Floats:
    """Values, where up to so many missing ones in a row of a run lie on the line between their neighbours."""
    segment = np.concatenate([[0], np.cumsum(ends != ON)])
    values = rows.values.copy()
    for column in values.T:
        bad = np.concatenate([[False], np.isnan(column), [False]])
        edges = np.diff(bad.astype(np.int8))
        for first, end in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True):
            if end - first <= most and first > 0 and end < len(column) and segment[first - 1] == segment[end]:
                column[first - 1 : end + 1] = np.linspace(column[first - 1], column[end], end - first + 2)
    return values


def _note(account: Account, rows: Rows, ends: npt.NDArray[np.str_]) -> None:
    """Book why runs of labelled rows end, and where first."""
    labelled = (rows.label[:-1] >= 0) | (rows.label[1:] >= 0)
    for cause in (PAUSE, STILL, LABEL, PERSON):
        here = (ends == cause) & labelled
        for who in np.unique(rows.person[1:][here]).tolist():
            at = np.flatnonzero(here & (rows.person[1:] == who))
            lengths = np.diff(rows.time)[at].tolist() if cause == PAUSE and rows.time is not None else []
            account.broken(cause, who, len(at), f"{rows.member} line {rows.line[at[0] + 1]}", lengths)


def _book(account: Account, rows: Rows, cause: str) -> None:
    pairs, counts = np.unique(np.stack([rows.person, rows.label]), axis=1, return_counts=True)
    for (person, label), count in zip(pairs.T.tolist(), counts.tolist(), strict=True):
        account.add(rows.member, person, label, cause, count)


def _cut(rows: Rows, ends: npt.NDArray[np.str_]) -> list[Run]:
    if not len(rows.line):
        return []
    found = []
    firsts = np.concatenate([[0], np.flatnonzero(ends != ON) + 1]).tolist()
    for first, end in zip(firsts, [*firsts[1:], len(rows.line)], strict=True):
        if rows.label[first] < 0:
            continue
        found.append(
            Run(
                member=rows.member,
                line=int(rows.line[first]),
                person=int(rows.person[first]),
                label=int(rows.label[first]),
                signals=rows.values[first:end],
                time=None if rows.time is None else rows.time[first:end],
                before=str(ends[first - 1]) if first else REST,
                after=str(ends[end - 1]) if end < len(rows.line) else REST,
            )
        )
    return found
