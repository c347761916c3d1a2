"""What a run is measured by: scores from logits, labels and people."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

SCALARS = (
    "accuracy",
    "macro_f1",
    "weighted_f1",
    "person_accuracy",
    "person_f1",
    "worst_person_accuracy",
    "worst_person_f1",
    "calibration_error",
    "agreement",
)
"""Keys of ``score`` that hold one number."""

LOWER_IS_BETTER = frozenset({"calibration_error"})

BINS = 15


def title(metric: str) -> str:
    """A metric's name for readers: "macro_f1" gives "macro-F1"."""
    return metric.replace("_f1", "-F1").replace("_", " ")


def score(
    logits: NDArray[Any],
    labels: NDArray[Any],
    people: NDArray[Any],
    teacher_logits: NDArray[Any] | None = None,
) -> dict[str, Any]:
    """Score predictions; every number is a fraction in 0..1 and a plain Python float.

    Args:
        logits: (N, K), finite. The prediction is the largest one, the first of equals.
        labels: (N,), integers in 0..K-1.
        people: (N,), who each window is from; any type that can be compared.
        teacher_logits: (N, K), finite, for the agreement.

    Returns:
        ``accuracy``;
        ``macro_f1``: mean of ``class_f1`` over all K classes, as scikit-learn's
        ``f1_score(labels=range(K), average="macro", zero_division=0)``;
        ``weighted_f1``: mean of ``class_f1`` weighted by the class's share of the labels;
        ``class_f1``: list of K. A class never predicted scores 0, and so does one in neither labels nor predictions;
        ``confusion``: K lists of K counts, rows = truth;
        ``person_accuracy``, ``person_f1``: computed for each person's windows alone, then averaged over people, each
        person counting the same. A person's F1 is the mean over the classes among that person's labels;
        ``worst_person_accuracy``, ``worst_person_f1``: the smallest over people;
        ``calibration_error``: expected calibration error (Guo et al. 2017, https://arxiv.org/abs/1706.04599), 15 bins
        of equal width, open to the left;
        ``agreement``: share of windows for which the teacher predicts the same class; only with ``teacher_logits``.

    Raises:
        ValueError: wrong shapes, no windows, labels that are no integers in 0..K-1, logits that are not finite.
    """
    logits, labels, people = np.asarray(logits), np.asarray(labels), np.asarray(people)
    _check(logits, labels, people)
    predictions = logits.argmax(axis=1)  # (N,)
    scores = _scores(predictions, labels, people, logits.shape[1])
    scores["calibration_error"] = _calibration_error(logits, predictions == labels)
    if teacher_logits is not None:
        scores["agreement"] = _agreement(predictions, np.asarray(teacher_logits), logits.shape)
    return scores


def by_person(logits: NDArray[Any], labels: NDArray[Any], people: NDArray[Any]) -> dict[str, dict[str, float]]:
    """Every person's ``accuracy``, ``f1`` and number of ``windows``, by the person's name as text.

    Arguments, meaning and errors are those of ``score``, whose ``person_accuracy`` and ``person_f1`` are the means of
    these. Apart from it, since it says nothing that the predictions do not.
    """
    logits, labels, people = np.asarray(logits), np.asarray(labels), np.asarray(people)
    _check(logits, labels, people)
    found = _by_person(logits.argmax(axis=1), labels, people, logits.shape[1])  # (people, 2)
    names, windows = np.unique(people, return_counts=True)
    return {
        str(name): {"accuracy": float(accuracy), "f1": float(f1), "windows": int(count)}
        for name, (accuracy, f1), count in zip(names.tolist(), found, windows, strict=True)
    }


def _scores(predictions: NDArray[Any], labels: NDArray[Any], people: NDArray[Any], classes: int) -> dict[str, Any]:
    """What the predicted classes alone tell."""
    confusion = _confusion(labels, predictions, classes)  # (K, K)
    class_f1 = _f1(confusion)  # (K,)
    support = confusion.sum(axis=1)  # (K,)
    by_person = _by_person(predictions, labels, people, classes)  # (people, 2)
    return {
        "accuracy": float(np.trace(confusion) / len(labels)),
        "macro_f1": float(class_f1.mean()),
        "weighted_f1": float((class_f1 * support).sum() / len(labels)),
        "class_f1": class_f1.tolist(),
        "confusion": confusion.tolist(),
        "person_accuracy": float(by_person[:, 0].mean()),
        "person_f1": float(by_person[:, 1].mean()),
        "worst_person_accuracy": float(by_person[:, 0].min()),
        "worst_person_f1": float(by_person[:, 1].min()),
    }


def _agreement(predictions: NDArray[Any], teacher_logits: NDArray[Any], wanted: tuple[int, ...]) -> float:
    if teacher_logits.shape != wanted:
        raise ValueError(f"score: teacher_logits {teacher_logits.shape} came, {wanted} is wanted")
    _check_finite("teacher_logits", teacher_logits)
    return float((teacher_logits.argmax(axis=1) == predictions).mean())


def _check(logits: NDArray[Any], labels: NDArray[Any], people: NDArray[Any]) -> None:
    if logits.ndim != 2 or 0 in logits.shape:
        raise ValueError(f"score: logits {logits.shape} came, (N, K) with N and K above 0 is wanted")
    for name, array in (("labels", labels), ("people", people)):
        if array.shape != logits.shape[:1]:
            raise ValueError(f"score: {name} {array.shape} came, {logits.shape[:1]} is wanted")
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"score: labels of type {labels.dtype} came, integers are wanted")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= logits.shape[1]:
        raise ValueError(f"score: labels in {low}..{high} came, 0..{logits.shape[1] - 1} is wanted")
    _check_finite("logits", logits)


def _check_finite(name: str, logits: NDArray[Any]) -> None:
    broken = int((~np.isfinite(logits)).any(axis=1).sum())
    if broken:
        raise ValueError(f"score: {name} are not finite in {broken} of {len(logits)} windows")


def _confusion(labels: NDArray[Any], predictions: NDArray[Any], classes: int) -> NDArray[np.int64]:
    pairs = labels.astype(np.int64) * classes + predictions  # (N,)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)  # (K, K)


def _f1(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """F1 of every class, (K,); 0 where the class is in neither labels nor predictions."""
    found = confusion.sum(axis=0) + confusion.sum(axis=1)  # (K,) = 2 TP + FP + FN
    return np.asarray(2 * np.diag(confusion) / np.maximum(found, 1), dtype=np.float64)


def _by_person(
    predictions: NDArray[Any], labels: NDArray[Any], people: NDArray[Any], classes: int
) -> NDArray[np.float64]:
    """Accuracy and macro-F1 of every person, (people, 2)."""
    rows = []
    for person in np.unique(people):
        own = people == person  # (N,)
        confusion = _confusion(labels[own], predictions[own], classes)  # (K, K)
        present = confusion.sum(axis=1) > 0  # (K,)
        rows.append((np.trace(confusion) / own.sum(), _f1(confusion)[present].mean()))
    return np.array(rows)


def _calibration_error(logits: NDArray[Any], correct: NDArray[np.bool_]) -> float:
    shifted = logits.astype(np.float64)  # (N, K)
    shifted = shifted - shifted.max(axis=1, keepdims=True)
    confidence = 1 / np.exp(shifted).sum(axis=1)  # (N,) the largest softmax value: its own exponent is 0
    edges = np.linspace(0, 1, BINS + 1)
    bins = np.searchsorted(edges, confidence, side="left") - 1  # (N,) bin i is (edge i, edge i + 1]
    gaps = np.bincount(bins, weights=correct - confidence, minlength=BINS)  # (BINS,)
    return float(np.abs(gaps).sum() / len(confidence))
