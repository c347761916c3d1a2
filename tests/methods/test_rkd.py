"""Relational knowledge distillation: batches whose angles are computed in pieces, and near-equal windows."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from kdbench.architectures import Outputs, Shapes
from kdbench.catalog.find import METHODS
from kdbench.methods import Batch, Losses, Setup


def losses_of(student: Tensor, teacher: Tensor) -> Losses:
    """Losses of the embeddings (B, D) alone, each of weight 1."""
    labels = torch.zeros(len(student), dtype=torch.long)
    shapes = (Shapes(2, (), x.shape[1]) for x in (student, teacher))
    method = METHODS.get("rkd")(
        Setup(2, labels, next(shapes), "frozen", next(shapes)), distance_weight=1.0, angle_weight=1.0
    )
    sides = [Outputs(x.new_zeros(len(x), 2), (), x) for x in (student, teacher)]
    losses: Losses = method.losses(Batch(labels[:, None, None], labels, labels), *sides)
    return losses


def embedding(count: int, width: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, generator=generator, dtype=torch.float64)


def huber(a: float, b: float) -> float:
    x = abs(a - b)
    return x * x / 2 if x < 1 else x - 0.5


def test_losses_are_the_explicit_sums() -> None:
    count = 5
    sides = [embedding(count, 3, 1), embedding(count, 4, 2)]
    sides[0][0] *= 30  # distances far above the mean, where Huber's loss is linear
    d, c = [], []
    for rows in (x.tolist() for x in sides):
        e = [[[b - a for a, b in zip(rows[i], rows[j], strict=True)] for j in range(count)] for i in range(count)]
        far = [[math.hypot(*e[i][j]) for j in range(count)] for i in range(count)]
        mean = sum(map(sum, far)) / (count * (count - 1))
        d.append([[x / mean for x in row] for row in far])
        c.append({
            (i, j, k): sum(a * b for a, b in zip(e[i][j], e[i][k], strict=True)) / (far[i][j] * far[i][k])
            for i in range(count) for j in range(count) for k in range(count) if i not in (j, k)
        })  # fmt: skip
    losses = losses_of(*sides)
    assert max(abs(a - b) for p, q in zip(*d, strict=True) for a, b in zip(p, q, strict=True)) > 1
    pairs = sum(huber(a, b) for p, q in zip(*d, strict=True) for a, b in zip(p, q, strict=True))
    assert losses["distance"].item() == pytest.approx(pairs / count**2, rel=1e-9)
    assert losses["angle"].item() == pytest.approx(sum(huber(c[0][t], c[1][t]) for t in c[0]) / count**3, rel=1e-9)


def test_a_batch_too_large_for_one_piece_has_the_loss_and_gradient_of_all_its_angles() -> None:
    count = 170
    student, teacher = embedding(count, 3, 1).requires_grad_(), embedding(count, 4, 2)

    def cosines(f: Tensor) -> Tensor:
        difference = f[None] - f[:, None]  # (B, B, D)
        difference = difference / (difference.square().sum(dim=2, keepdim=True) + 1e-30).sqrt()
        return difference @ difference.transpose(1, 2)

    wanted = (cosines(student) - cosines(teacher)).abs()
    wanted = torch.where(wanted < 1, wanted.square() / 2, wanted - 0.5).mean()
    angle = losses_of(student, teacher)["angle"]
    assert angle.item() == pytest.approx(wanted.item(), rel=1e-9)
    got, expected = (torch.autograd.grad(loss, student)[0] for loss in (angle, wanted))
    torch.testing.assert_close(got, expected, rtol=1e-7, atol=1e-12)


def test_windows_far_from_the_origin_and_close_to_each_other_keep_their_angles_in_float32() -> None:
    student, teacher = embedding(6, 8, 1), embedding(6, 8, 2)
    shifted = (student / 64 + 100).float()  # what is left of the windows in float32
    exact = losses_of(shifted.double(), teacher)
    rounded = losses_of(shifted, teacher.float())
    for name in ("distance", "angle"):
        assert rounded[name].item() == pytest.approx(exact[name].item(), rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("apart", [1e-3, 1e-5, 1e-6])
def test_angles_between_near_duplicates_are_as_exact_as_all_others(apart: float, dtype: torch.dtype) -> None:
    student, teacher = embedding(8, 6, 1), embedding(8, 5, 2).to(dtype)
    student[1] = student[0] + apart * embedding(1, 6, 3)[0]
    student[2] = student[0] + apart * embedding(1, 6, 4)[0]
    student = student.to(dtype).requires_grad_()
    difference = student.double()[None] - student.double()[:, None]  # (B, B, D)
    length = difference.norm(dim=2, keepdim=True)
    difference = torch.where(length > 0, difference / length.clamp_min(1e-30), 0)
    cosines = [difference @ difference.transpose(1, 2)]
    difference = teacher.double()[None] - teacher.double()[:, None]
    difference = difference / difference.norm(dim=2, keepdim=True).clamp_min(1e-30)
    wanted = torch.nn.functional.smooth_l1_loss(cosines[0], difference @ difference.transpose(1, 2))
    angle = losses_of(student, teacher)["angle"]
    (got,) = torch.autograd.grad(angle, student)
    assert wanted.item() == pytest.approx(angle.item(), rel=1e-6 if dtype == torch.float32 else 1e-8)
    (expected,) = torch.autograd.grad(wanted, student)
    largest = float(expected.abs().max())
    torch.testing.assert_close(got, expected, rtol=0, atol=largest * (1e-6 if dtype == torch.float32 else 1e-8))


def test_duplicates_have_no_angle_and_finite_gradients() -> None:
    student, teacher = embedding(6, 4, 1), embedding(6, 5, 2)
    student[1], student[3], teacher[5] = student[0], student[2], teacher[4]
    student.requires_grad_()
    losses = losses_of(student, teacher)
    (gradient,) = torch.autograd.grad(losses["distance"] + losses["angle"], student)
    assert gradient.isfinite().all()
    equal = embedding(1, 4, 3).expand(5, 4).clone().requires_grad_()
    losses = losses_of(equal, equal.detach())
    assert losses["angle"].item() == losses["distance"].item() == 0
    (gradient,) = torch.autograd.grad(losses["distance"] + losses["angle"], equal)
    assert not gradient.any()
