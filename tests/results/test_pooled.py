"""Under a protocol with folds a value is that of all its predictions."""

from typing import Any

import numpy as np
import pytest

from kdbench.results import Asked
from kdbench.results.metrics import by_person, score
from kdbench.results.pages import scores_page
from kdbench.results.render import page_text
from kdbench.results.tables.pooled import POOLED
from kdbench.results.tables.scores import tabulate

FOLDS = 4


def recorded(logits: Any, y: Any, person: Any, teacher: Any) -> dict[str, Any]:
    student = score(logits, y, person, teacher) | {"by_person": by_person(logits, y, person)}
    return {"metrics": {"student": student}}


@pytest.fixture
def predictions() -> tuple[Any, ...]:
    """Logits, labels, people, folds and a teacher's logits: 8 people of unlike size, none of whom has every class."""
    rng = np.random.default_rng(3)
    person = np.repeat(np.arange(8), rng.integers(5, 30, size=8))
    y = (person + rng.integers(0, 3, size=len(person))) % 5
    logits = rng.normal(size=(len(y), 5)) + 1.2 * np.eye(5)[y]
    return logits, y, person, person % FOLDS, rng.normal(size=logits.shape) + np.eye(5)[y]


@pytest.mark.parametrize("metric", POOLED)
def test_a_value_over_folds_is_that_of_all_predictions_at_once(metric: str, make_entry: Any, predictions: Any) -> None:
    logits, y, person, fold, teacher = predictions
    entries = [
        make_entry("kd", 0, 0.5, fold=k, record=recorded(*(a[fold == k] for a in (logits, y, person, teacher))))
        for k in range(FOLDS)
    ]
    table = tabulate(entries, metric)
    assert table.pooled
    whole = score(logits, y, person, teacher)[metric]
    assert table.rows[0].scores[0].values[0] == pytest.approx(whole, abs=1e-12)


def test_the_calibration_error_is_no_sum_over_folds_and_the_caption_says_how_each_is_meant(
    make_entry: Any, predictions: Any
) -> None:
    logits, y, person, fold, teacher = predictions
    entries = [
        make_entry("kd", 0, 0.5, fold=k, record=recorded(*(a[fold == k] for a in (logits, y, person, teacher))))
        for k in range(FOLDS)
    ]
    assert not tabulate(entries, "calibration_error").pooled
    text = page_text(scores_page(entries, ["accuracy", "calibration_error"], asked=Asked("p", "har"), version="1"))
    assert "; predictions pooled over 4 folds;" in text
    assert "; mean over 4 folds;" in text


def test_a_perfect_classifier_has_a_hundred_though_nobody_has_every_class(make_entry: Any, predictions: Any) -> None:
    _, y, person, _, teacher = predictions
    perfect = np.eye(5)[y]
    entries = [
        make_entry(
            "kd",
            0,
            0.5,
            fold=k,
            judged=str(k),
            record=recorded(*(a[person == k] for a in (perfect, y, person, teacher))),
        )
        for k in range(8)
    ]
    assert tabulate(entries, "macro_f1").rows[0].scores[0].values == {0: 1.0}
    assert min(entry.record.metrics["student"]["macro_f1"] for entry in entries) < 1
    partial = [*entries[:-1], make_entry("kd", 0, None, fold=7, judged="7")]
    assert tabulate(partial, "accuracy").rows[0].scores[0].state == "7 of 8 people"


def test_a_place_is_called_after_the_person_who_is_judged(make_entry: Any) -> None:
    assert make_entry("kd", 0, 0.5, fold=3, judged="17").place.name == "uci_har big:small kd seed 0 person 17"
    assert make_entry("kd", 0, 0.5, fold=3).place.name == "uci_har big:small kd seed 0 fold 3"
