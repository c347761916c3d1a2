"""The run of one place: what is written of a cell's record, beside the networks alone at its seed and fold."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kdbench.plan.model import WindowKind
from kdbench.results.entry import Entry
from kdbench.results.metrics import SCALARS
from kdbench.results.place import RowRole
from kdbench.results.record import WEIGHTS, Record
from kdbench.results.words.answers import EQUIVALENT, ROUNDING
from kdbench.store.records import Store
from kdbench.track.content import LAYOUT, Point, Run, flat, number, times
from kdbench.track.layout import hashed, key_of
from kdbench.track.pictures import confusion_picture
from kdbench.track.student import model_of

GAINS = ("macro_f1", "accuracy")
"""Metrics whose gain over the student alone is written."""


@dataclass(frozen=True)
class Alone:
    """The records of the two networks alone, at the same seed and fold; None where there is none that is done."""

    teacher: Record | None
    student: Record | None

    @property
    def gate(self) -> str:
        """Whether there was anything to learn from the teacher; empty where that is not known."""
        scores = [None if each is None else _score(each, "macro_f1") for each in (self.teacher, self.student)]
        if scores[0] is None or scores[1] is None:
            return ""
        return "passed" if scores[0] > scores[1] else "failed"


def stamp_of(entry: Entry, alone: Alone) -> str:
    """Changes with all that the run of an entry is written from."""
    known = [
        None if each is None else (each.digest, each.finished) for each in (entry.record, alone.teacher, alone.student)
    ]
    return hashed(LAYOUT, known, entry.freshness, entry.place.name, entry.place.tuned)


def cell_run(entry: Entry, alone: Alone, store: Store, recipe: str, kind: WindowKind | None) -> Run:
    """What is written of an entry that has a record.

    Args:
        entry: a place with its record.
        alone: what its gain is measured from.
        store: where its curve and weights are.
        recipe: what the matrix calls its recipe.
        kind: what its windows are; None where the plan does not say, and then no model is written.
    """
    record, place = entry.record, entry.place
    assert record is not None
    curve = store.curve(record.digest)
    started, ended = times(record)
    fold = f" fold {place.fold}"
    weights = store.folder(record.digest) / WEIGHTS
    model = None
    if record.status == "done" and kind is not None and weights.is_file():
        model = model_of(record, kind, weights)
    return Run(
        key=key_of(place),
        stamp=stamp_of(entry, alone),
        name=f"{place.row} seed {place.seed}{fold} {place.dataset} {place.pair}",
        status="FINISHED" if record.status == "done" else "FAILED",
        started=started,
        ended=ended,
        tags=_tags(entry, record, alone, recipe),
        params=flat(record.cell),
        points=[*_last(record, alone, ended), *_epochs(record, curve, started)],
        files=_files(record, curve, () if kind is None else kind.classes),
        model=model,
    )


def _tags(entry: Entry, record: Record, alone: Alone, recipe: str) -> dict[str, str]:
    place, cell = entry.place, record.cell
    tags = {
        "kdbench.cell": record.digest,
        "kdbench.finished": record.finished,
        "method": place.row,
        "kind": place.kind,
        "dataset": place.dataset,
        "pair": place.pair,
        "network": place.network,
        "seed": str(place.seed),
        "fold": str(place.fold),
        "protocol": str(cell.get("protocol")),
        "recipe": recipe,
        "split": record.side,
        "status": record.status,
        "stale": str(entry.freshness),
        "gate": alone.gate,
        "reason": record.reason or "",
        "note": place.note,
        "tuned": place.tuned,
        "warnings": "; ".join(record.warnings),
        "device": record.device,
        "commit": record.commit or "",
    }
    if place.role is RowRole.METHOD and alone.teacher is not None and cell.get("teacher"):
        tags["teacher"] = alone.teacher.digest
        tags["teacher_macro_f1"] = f"{_score(alone.teacher, 'macro_f1'):.4f}"
    return {key: value for key, value in tags.items() if value}


def _last(record: Record, alone: Alone, ended: int) -> list[Point]:
    """Metrics, gains, harm and costs of the finished run."""
    values: dict[str, object] = {}
    for side, scores in record.metrics.items():
        prefix = "" if side == "student" else f"{side}_"
        values |= {prefix + key: value for key, value in scores.items() if isinstance(value, int | float)}
    values |= _against(record, alone.student)
    values |= {f"costs/{key}": value for key, value in record.costs.items()}
    values |= {f"facts/{key}": value for key, value in record.facts.items()}
    values |= {"seconds": record.seconds, "peak_memory": record.peak_memory}
    return [
        Point(key, found, ended, last=True, model=key in SCALARS)
        for key, value in values.items()
        if (found := number(value)) is not None
    ]


def _against(record: Record, student: Record | None) -> dict[str, object]:
    """Gains over the student alone, as fractions, and the share of people who are worse off by half a point or more."""
    if student is None or record.status != "done" or record.digest == student.digest:
        return {}
    values: dict[str, object] = {}
    for metric in GAINS:
        own, other = _score(record, metric), _score(student, metric)
        if own is not None and other is not None:
            values[f"gain_{metric}"] = own - other
    people = [each.metrics["student"].get("by_person") or {} for each in (record, student)]
    both = people[0].keys() & people[1].keys()
    if both:
        worse = sum(people[0][name]["f1"] - people[1][name]["f1"] < -EQUIVALENT - ROUNDING for name in both)
        values["harm_people"] = worse / len(both)
    return values


def _epochs(record: Record, curve: str, started: int) -> list[Point]:
    """Losses and facts of every epoch, under a heading that MLflow's charts begin with."""
    rows = list(csv.DictReader(io.StringIO(curve)))
    points = []
    for row in rows:
        epoch = int(float(row.pop("epoch")))
        when = started + int(1000 * record.seconds * epoch / len(rows))
        values = {key: number(value) for key, value in row.items() if value}
        points += [Point(f"by_epoch/{key}", value, when, epoch) for key, value in values.items() if value is not None]
    return points


def _files(record: Record, curve: str, names: tuple[str, ...]) -> dict[str, str]:
    """The record, the curve, and tables by class and by person."""
    files = {"record.json": record.to_json()}
    if curve:
        files["curves.csv"] = curve
    scores = record.metrics.get("student", {})
    confusion = scores.get("confusion")
    if confusion:
        classes = list(names) if len(names) == len(confusion) else [str(k) for k in range(len(confusion))]
        files["confusion.svg"] = confusion_picture(confusion, classes)
        files["confusion.csv"] = _table(
            ["truth", *classes], ([c, *row] for c, row in zip(classes, confusion, strict=True))
        )
        files["classes.csv"] = _table(CLASS_COLUMNS, _by_class(scores, classes))
    people = scores.get("by_person")
    if people:
        lines = ([name, p["windows"], p["accuracy"], p["f1"]] for name, p in people.items())
        files["people.csv"] = _table(["person", "windows", "accuracy", "f1"], lines)
    return files


CLASS_COLUMNS = ["class", "windows", "precision", "recall", "f1"]


def _by_class(scores: Mapping[str, Any], classes: list[str]) -> list[list[object]]:
    confusion = scores["confusion"]
    lines: list[list[object]] = []
    for k, name in enumerate(classes):
        windows, called = sum(confusion[k]), sum(row[k] for row in confusion)
        right = confusion[k][k]
        lines.append([name, windows, right / max(1, called), right / max(1, windows), scores["class_f1"][k]])
    return lines


def _table(head: list[str], lines: Any) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([head, *lines])
    return text.getvalue()


def _score(record: Record, metric: str) -> float | None:
    return number(record.metrics.get("student", {}).get(metric))
