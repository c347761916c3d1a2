"""The sum that softened targets and labels make, and the reference without a teacher."""

from __future__ import annotations

import math

import pytest
import torch

LOGITS = [[0.5, -1.0, 2.0, 0.0], [1.5, 0.25, -0.5, 1.0]]
GUIDE = [[0.0, -2.0, 3.0, 1.0], [2.0, 2.0, -1.0, 0.5]]
LABELS = [2, 3]


def softmax(row: list[float], t: float = 1.0) -> list[float]:
    raised = [math.exp(v / t) for v in row]
    return [v / sum(raised) for v in raised]


def entropy() -> float:
    return sum(-math.log(softmax(row)[label]) for row, label in zip(LOGITS, LABELS, strict=True)) / 2


def losses(bench, name: str, role: str, **settings: float) -> dict[str, float]:
    """Losses of a method on two windows whose logits are those above."""
    training = bench.training(name, "mlp", "mlp", role, **settings)
    batch = bench.batch(LABELS[0], LABELS[1])  # the bench's labels are the rows' numbers modulo 4
    assert batch.y.tolist() == LABELS
    student, teacher = training.nets.student(batch), None
    student.logits = torch.tensor(LOGITS, dtype=torch.float64)
    if role != "absent":
        teacher = training.nets.teacher(batch)
        teacher.logits = torch.tensor(GUIDE, dtype=torch.float64)
    nets = type(training.nets)(lambda batch: student, lambda batch: teacher, training.nets.teacher_head)
    (found,) = training.method.rounds(batch, nets)
    return {key: value.item() for key, value in found.items()}


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("t", [1.0, 4.0])
def test_labels_and_softened_targets_share_the_loss(bench, alpha: float, t: float) -> None:
    soft = 0.0
    for s, z in zip(LOGITS, GUIDE, strict=True):
        soft += sum(p * math.log(p / q) for p, q in zip(softmax(z, t), softmax(s, t), strict=True)) / 2
    found = losses(bench, "kd", "frozen", alpha=alpha, temperature=t)
    assert found == pytest.approx({"hard": (1 - alpha) * entropy(), "soft": alpha * t * t * soft}, rel=1e-9, abs=1e-15)


def test_the_published_share_and_temperature_are_the_defaults(bench) -> None:
    assert losses(bench, "kd", "frozen") == losses(bench, "kd", "frozen", alpha=0.9, temperature=4.0)


def test_without_a_teacher_the_loss_is_the_cross_entropy(bench) -> None:
    assert losses(bench, "supervised", "absent") == pytest.approx({"hard": entropy()}, rel=1e-12)
