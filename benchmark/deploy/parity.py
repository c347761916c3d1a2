"""Whether a form says what the trained model says, on all judged windows: by labels and F1, never by logits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from kdbench.deploy.subject import Floats, Subject
from kdbench.deploy.timing import Timed
from kdbench.results.metrics import by_person, score
from kdbench.results.statistics.intervals import RESAMPLED

LEAST_AGREEMENT = 0.99
"""Share of windows that must keep their label."""

MOST_LOST = 0.002
"""Macro-F1 that may be lost, as a fraction."""


@dataclass(frozen=True)
class Form:
    """A form of the model and how it did.

    Args:
        name: what people call it.
        file: its file in the folder.
        size: bytes of it.
        agreement: share of the judged windows to which it gives the trained model's label.
        macro_f1: on the judged windows.
        interval: of that, over people.
        class_f1: of each class.
        worst_person: the smallest F1 of a person.
        off: largest difference of a probability from the trained model's.
        timed: latency and memory.
        said: how it was made, in words.
        bits: of its weights. A form in 8 was calibrated on training windows.
        against: what the gate has against it, a sentence that begins with its file; empty where nothing.
        people: every person's scores, as `metrics.by_person` gives them.
    """

    name: str
    file: str
    size: int
    agreement: float
    macro_f1: float
    interval: tuple[float, float]
    class_f1: tuple[float, ...]
    worst_person: float
    off: float
    timed: Timed | None = None
    said: str = ""
    bits: int = 32
    against: str = ""
    people: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def judged(
    subject: Subject,
    said: Floats,
    *,
    name: str,
    file: str,
    size: int,
    timed: Timed | None = None,
    how: str = "",
    bits: int = 32,
) -> Form:
    """A form by the probabilities (N, K) that it says of the judged windows."""
    scores = score(said, subject.labels, subject.people)
    return Form(
        name=name,
        file=file,
        size=size,
        agreement=float((said.argmax(axis=1) == subject.probabilities.argmax(axis=1)).mean()),
        macro_f1=scores["macro_f1"],
        interval=f1_interval(said.argmax(axis=1), subject.labels, subject.people, said.shape[1]),
        class_f1=tuple(scores["class_f1"]),
        worst_person=scores["worst_person_f1"],
        off=float(np.abs(said - subject.probabilities).max()),
        timed=timed,
        said=how,
        bits=bits,
        people=by_person(said, subject.labels, subject.people),
    )


def f1_interval(
    predicted: npt.NDArray[np.int64], labels: npt.NDArray[np.int64], people: npt.NDArray[np.int64], classes: int
) -> tuple[float, float]:
    """95 % interval of macro-F1, by drawing as many people again with a fixed seed; too narrow for few people."""
    names, who = np.unique(people, return_inverse=True)
    confusion = np.zeros((len(names), classes, classes))
    np.add.at(confusion, (who, labels, predicted), 1)
    drawn = np.random.default_rng(0).integers(0, len(names), size=(RESAMPLED, len(names)))
    counts = np.stack([np.bincount(row, minlength=len(names)) for row in drawn])  # (draws, people)
    total = np.tensordot(counts, confusion, axes=1)  # (draws, K, K)
    found = total.sum(axis=1) + total.sum(axis=2)
    f1 = 2 * np.diagonal(total, axis1=1, axis2=2) / np.maximum(found, 1)
    low, high = np.quantile(f1.mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def objection(subject: Subject, trained: Form, form: Form) -> str:
    """What speaks against handing a form out, in words; empty where nothing does."""
    found = []
    if form.bits == 8 and (shared := subject.on_both_sides()):
        some = " ".join(map(str, shared[:5])) + (" ..." if len(shared) > 5 else "")
        found.append(f"is calibrated on windows of {len(shared)} people whom it is judged on too ({some})")
    if form.agreement < LEAST_AGREEMENT:
        found.append(
            f"gives {100 * form.agreement:.2f} % of the windows the trained model's label, "
            f"{100 * LEAST_AGREEMENT:.0f} % are wanted"
        )
    lost = trained.macro_f1 - form.macro_f1
    if lost > MOST_LOST:
        found.append(
            f"loses {100 * lost:.2f} points of macro-F1 ({100 * trained.macro_f1:.2f} to {100 * form.macro_f1:.2f}), "
            f"{100 * MOST_LOST:.1f} are allowed"
        )
    return f"{form.file} {' and '.join(found)}" if found else ""
