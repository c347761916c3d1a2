"""Scores against slow arithmetic and scikit-learn."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from kdbench.results.metrics import SCALARS, score, title

K = 5


def logits_for(predictions: list[int], classes: int) -> NDArray[np.float64]:
    return np.eye(classes)[predictions]


@pytest.fixture(params=range(4))
def case(request: pytest.FixtureRequest) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Random logits that favour the truth; class 3 is rare and class 4 is in neither labels nor predictions."""
    random = np.random.default_rng(request.param)
    labels = random.choice(K, size=200, p=[0.4, 0.3, 0.28, 0.02, 0])
    logits = random.normal(size=(200, K)) + 1.5 * np.eye(K)[labels]
    logits[:, 4] -= 100
    return logits.astype(np.float32), labels, random.choice([2, 5, 11], size=200)


def slow_f1(truth: list[int], guess: list[int], label: int) -> float:
    hits = sum(t == g == label for t, g in zip(truth, guess, strict=True))
    precision = hits / guess.count(label) if label in guess else 0.0
    recall = hits / truth.count(label) if label in truth else 0.0
    return 2 * precision * recall / (precision + recall) if hits else 0.0


def slow_calibration_error(logits: NDArray[Any], labels: NDArray[Any]) -> float:
    bins: dict[int, list[tuple[float, bool]]] = {}
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        top = max(row)
        confidence = 1 / math.fsum(math.exp(value - top) for value in row)
        bins.setdefault(math.ceil(confidence * 15), []).append((confidence, row.index(top) == label))
    return sum(abs(sum(hit for _, hit in found) - sum(sure for sure, _ in found)) for found in bins.values()) / len(
        labels
    )


def test_scores_equal_those_of_scikit_learn(case: Any) -> None:
    logits, labels, _ = case
    guess, scores = logits.argmax(1), score(*case)
    f1 = {"labels": range(K), "zero_division": 0}
    assert scores["accuracy"] == pytest.approx(accuracy_score(labels, guess), abs=1e-15)
    assert scores["macro_f1"] == pytest.approx(f1_score(labels, guess, average="macro", **f1), abs=1e-15)
    assert scores["weighted_f1"] == pytest.approx(f1_score(labels, guess, average="weighted", **f1), abs=1e-15)
    assert scores["class_f1"] == pytest.approx(f1_score(labels, guess, average=None, **f1), abs=1e-15)
    assert scores["confusion"] == confusion_matrix(labels, guess, labels=range(K)).tolist()


def test_person_scores_equal_slow_arithmetic(case: Any) -> None:
    logits, labels, people = case
    accuracies, f1s = [], []
    for person in set(people.tolist()):
        truth = [int(y) for y, p in zip(labels, people, strict=True) if p == person]
        guess = [int(row.argmax()) for row, p in zip(logits, people, strict=True) if p == person]
        accuracies.append(sum(t == g for t, g in zip(truth, guess, strict=True)) / len(truth))
        f1s.append(sum(slow_f1(truth, guess, label) for label in set(truth)) / len(set(truth)))
    scores = score(*case)
    assert scores["person_accuracy"] == pytest.approx(sum(accuracies) / 3, abs=1e-15)
    assert scores["person_f1"] == pytest.approx(sum(f1s) / 3, abs=1e-15)
    assert scores["worst_person_accuracy"] == pytest.approx(min(accuracies), abs=1e-15)
    assert scores["worst_person_f1"] == pytest.approx(min(f1s), abs=1e-15)


def test_calibration_error_equals_slow_arithmetic(case: Any) -> None:
    logits, labels, _ = case
    assert score(*case)["calibration_error"] == pytest.approx(slow_calibration_error(logits, labels), abs=1e-12)


def test_a_class_never_predicted_scores_zero_f1() -> None:
    scores = score(logits_for([0, 0, 0, 0], 2), np.array([0, 0, 1, 1]), np.zeros(4))
    assert scores["class_f1"] == pytest.approx([2 / 3, 0])
    assert scores["macro_f1"] == pytest.approx(1 / 3)


def test_a_class_in_neither_labels_nor_predictions_counts_as_zero() -> None:
    scores = score(logits_for([0, 1], 4), np.array([0, 1]), np.zeros(2))
    assert scores["class_f1"] == [1, 1, 0, 0]
    assert scores["macro_f1"] == 0.5
    assert scores["weighted_f1"] == 1


def test_a_persons_f1_is_over_the_classes_of_that_persons_labels() -> None:
    labels, people = np.array([0, 0, 1, 1]), np.array(["ann", "ann", "bob", "bob"])
    scores = score(logits_for([0, 1, 1, 1], 2), labels, people)
    assert scores["person_f1"] == pytest.approx((2 / 3 + 1) / 2)  # ann: class 0 only, found once of twice
    assert scores["worst_person_f1"] == pytest.approx(2 / 3)


def test_people_count_the_same_whatever_their_number_of_windows() -> None:
    scores = score(logits_for([0, 0, 0, 1], 2), np.zeros(4, dtype=int), np.array([1, 1, 1, 2]))
    assert scores["accuracy"] == 0.75
    assert scores["person_accuracy"] == 0.5
    assert scores["worst_person_accuracy"] == 0


def test_rows_of_the_confusion_are_the_truth() -> None:
    assert score(logits_for([1, 1, 0], 2), np.array([0, 0, 0]), np.zeros(3))["confusion"] == [[1, 2], [0, 0]]


def test_calibration_error_of_a_hand_made_case() -> None:
    """Two windows at confidence 0.8, one of them right, and two at 1.0, both right: (2/4) * |0.5 - 0.8|."""
    sure, unsure = [0.0, -1e4], [0.0, math.log(0.25)]
    scores = score(np.array([sure, sure, unsure, unsure]), np.array([0, 0, 0, 1]), np.zeros(4))
    assert scores["calibration_error"] == pytest.approx(0.15)


def test_a_confidence_on_an_edge_falls_into_the_lower_bin() -> None:
    """With three equal logits confidence is 1/3 = 5/15; a window just above lies in the next bin, so errors add up."""
    edge, above = [0.0, 0.0, 0.0], [math.log(0.36), math.log(0.32), math.log(0.32)]
    scores = score(np.array([edge, above]), np.array([0, 1]), np.zeros(2))
    assert scores["calibration_error"] == pytest.approx((2 / 3 + 0.36) / 2)


def test_huge_logits_neither_overflow_nor_lose_the_class() -> None:
    logits = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 9.9e3]], dtype=np.float32)
    scores = score(logits, np.array([0, 1]), np.zeros(2))
    assert (scores["accuracy"], scores["calibration_error"]) == (1, 0)


def test_agreement_is_the_share_of_equal_classes() -> None:
    labels = np.array([0, 1, 0, 1])
    scores = score(logits_for([0, 1, 1, 0], 2), labels, np.zeros(4), logits_for([0, 0, 1, 0], 2))
    assert scores["agreement"] == 0.75


def test_agreement_is_absent_without_a_teacher(case: Any) -> None:
    assert score(*case).keys() | {"agreement"} == {*SCALARS, "class_f1", "confusion"}
    assert "agreement" not in score(*case)


def test_scores_are_plain_fractions(case: Any) -> None:
    scores = score(*case, case[0])
    assert all(type(scores[name]) is float and 0 <= scores[name] <= 1 for name in SCALARS)
    assert all(type(value) is float for value in scores["class_f1"])
    assert all(type(value) is int for row in scores["confusion"] for value in row)


@pytest.mark.parametrize(
    ("logits", "labels", "people", "message"),
    [
        (np.zeros((0, 3)), np.zeros(0, dtype=int), np.zeros(0), "above 0"),
        (np.zeros(3), np.zeros(3, dtype=int), np.zeros(3), r"\(N, K\)"),
        (np.zeros((3, 2)), np.zeros(2, dtype=int), np.zeros(3), r"labels \(2,\) came, \(3,\)"),
        (np.zeros((3, 2)), np.zeros(3, dtype=int), np.zeros((3, 1)), r"people \(3, 1\) came, \(3,\)"),
        (np.zeros((2, 2)), np.array([0, 2]), np.zeros(2), r"0\.\.2 came, 0\.\.1 is wanted"),
        (np.zeros((2, 2)), np.array([-1, 1]), np.zeros(2), r"-1\.\.1 came"),
        (np.zeros((2, 2)), np.array([0.0, 1.0]), np.zeros(2), "integers"),
        (np.array([[0, np.nan], [0, 1]]), np.array([0, 1]), np.zeros(2), "logits are not finite in 1 of 2"),
    ],
)
def test_what_cannot_be_scored_is_refused(logits: Any, labels: Any, people: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score(logits, labels, people)


@pytest.mark.parametrize(
    ("teacher", "message"), [(np.zeros((2, 3)), r"\(2, 2\) is wanted"), (np.full((2, 2), np.inf), "not finite in 2")]
)
def test_teacher_logits_that_do_not_fit_are_refused(teacher: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score(np.zeros((2, 2)), np.array([0, 1]), np.zeros(2), teacher)


def test_titles_are_for_readers() -> None:
    assert [title(name) for name in ("macro_f1", "worst_person_accuracy")] == ["macro-F1", "worst person accuracy"]
