"""Windows by which a model shows, wherever it runs, that it still says what it said here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kdbench.deploy.subject import Rows, Subject
from kdbench.results.metrics import by_person

COUNT = 32
EACH = 8
"""At most so many of the worst person, and of changes."""


def golden(subject: Subject) -> tuple[Rows, list[str]]:
    """Which of the judged windows (their order there), and why each: class, worst person, change or spread."""
    total = min(COUNT, len(subject.labels))
    chosen: dict[int, str] = {}
    for why, rows in _wanted(subject):
        for row in rows:
            if len(chosen) < total:
                chosen.setdefault(row, why)
    return np.array(sorted(chosen), np.int64), [chosen[row] for row in sorted(chosen)]


def write_golden(subject: Subject, path: Path) -> None:
    """Raw windows, probabilities of torch, labels, people, rows in the dataset and the reasons as an ``.npz``."""
    rows, why = golden(subject)
    at = subject.split.evaluation[rows]
    np.savez_compressed(
        path,
        windows=subject.windows(at),
        probabilities=subject.probabilities[rows],
        labels=subject.labels[rows],
        people=subject.people[rows],
        rows=at,
        why=np.array(why),
    )


def worst_person(subject: Subject) -> int:
    """Who is recognised worst, by F1; the first of equals."""
    scores = by_person(np.log(np.maximum(subject.probabilities, 1e-30)), subject.labels, subject.people)
    return int(min(scores, key=lambda name: scores[name]["f1"]))


def _wanted(subject: Subject) -> Iterator[tuple[str, list[int]]]:
    """Rows by reason, the more important reasons first."""
    labels = subject.labels
    yield "class", [int(np.flatnonzero(labels == each)[0]) for each in np.unique(labels)]
    worst = worst_person(subject)
    yield "worst person", _spread(np.flatnonzero(subject.people == worst), EACH)
    yield "change", _spread(_changes(subject), EACH)
    yield "spread", _spread(np.arange(len(labels)), COUNT)
    yield "spread", list(range(len(labels)))


def _changes(subject: Subject) -> npt.NDArray[np.int64]:
    """Windows beside one of another class in the same recording."""
    windows, at = subject.data.windows, subject.split.evaluation
    recording, start = windows.recording[at], windows.start[at]
    order = np.lexsort((start, recording))
    changes = (np.diff(recording[order]) == 0) & (np.diff(subject.labels[order]) != 0)
    return np.unique(np.concatenate([order[:-1][changes], order[1:][changes]]))


def _spread(rows: npt.NDArray[np.int64], count: int) -> list[int]:
    if not len(rows):
        return []
    found: list[int] = rows[np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(np.int64))].tolist()
    return found
