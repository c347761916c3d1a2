"""A metric of the predictions of several folds together, from what their records count."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kdbench.results.record import Record
from kdbench.results.statistics import mean

Student = Mapping[str, Any]
Counts = list[list[int]]


def poolable(records: Sequence[Record], metric: str) -> bool:
    """Whether every record counted what the metric of all folds' predictions together needs."""
    needed = NEEDED.get(metric)
    return needed is not None and bool(records) and all(needed in record.metrics["student"] for record in records)


def pooled(records: Sequence[Record], metric: str) -> float:
    """The metric over all windows of these folds, whose people are not the same; in 0..1, as `metrics.score` has it."""
    return POOLED[metric]([record.metrics["student"] for record in records])


def _confusion(folds: Sequence[Student]) -> Counts:
    """(K, K) windows of all folds, rows = truth."""
    matrices: list[Counts] = [fold["confusion"] for fold in folds]
    return [[sum(counts) for counts in zip(*rows, strict=True)] for rows in zip(*matrices, strict=True)]


def _accuracy(folds: Sequence[Student]) -> float:
    counts = _confusion(folds)
    return sum(row[number] for number, row in enumerate(counts)) / sum(map(sum, counts))


def _class_f1(counts: Counts) -> list[float]:
    """Of each class; 0 for one in neither labels nor predictions."""
    predicted = [sum(column) for column in zip(*counts, strict=True)]
    return [2 * row[k] / max(1, sum(row) + predicted[k]) for k, row in enumerate(counts)]


def _macro_f1(folds: Sequence[Student]) -> float:
    return mean(_class_f1(_confusion(folds)))


def _weighted_f1(folds: Sequence[Student]) -> float:
    counts = _confusion(folds)
    return sum(f1 * sum(row) for f1, row in zip(_class_f1(counts), counts, strict=True)) / sum(map(sum, counts))


def _agreement(folds: Sequence[Student]) -> float:
    sizes = [sum(map(sum, fold["confusion"])) for fold in folds]
    return sum(float(fold["agreement"]) * size for fold, size in zip(folds, sizes, strict=True)) / sum(sizes)


def _of_people(name: str, over: Callable[[Sequence[float]], float]) -> Callable[[Sequence[Student]], float]:
    return lambda folds: over([float(person[name]) for fold in folds for person in fold["by_person"].values()])


POOLED: dict[str, Callable[[Sequence[Student]], float]] = {
    "accuracy": _accuracy,
    "macro_f1": _macro_f1,
    "weighted_f1": _weighted_f1,
    "agreement": _agreement,
    "person_accuracy": _of_people("accuracy", mean),
    "person_f1": _of_people("f1", mean),
    "worst_person_accuracy": _of_people("accuracy", min),
    "worst_person_f1": _of_people("f1", min),
}
NEEDED = {metric: "by_person" if "person" in metric else "confusion" for metric in POOLED}
"""What a record must have counted. The calibration error is no sum over folds and stays a mean over them."""
