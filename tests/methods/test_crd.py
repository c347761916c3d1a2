"""Contrastive representation distillation: what is drawn, and how banks and normalisers move over two steps."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from kdbench.architectures import Outputs, Shapes
from kdbench.catalog import METHODS
from kdbench.methods import Batch, Method, NotApplicable, Setup

LABELS = torch.tensor([0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2])  # the largest class has 5 of 12
STUDENT, TEACHER = Shapes(3, (), 4), Shapes(3, (), 6)
Rows = list[list[float]]


def make(labels: Tensor = LABELS, **settings: float) -> Method:
    torch.manual_seed(0)
    method: Method = METHODS.get("crd")(Setup(3, labels, STUDENT, "frozen", TEACHER), width=5, **settings)
    return method.double()


def batch(*index: int) -> Batch:
    rows = torch.tensor(index)
    return Batch(torch.zeros(len(index), 1, 1), LABELS[rows], rows)


def outputs(shapes: Shapes, count: int, seed: int) -> Outputs:
    generator = torch.Generator().manual_seed(seed)
    logits, embedding = (
        torch.randn(count, n, dtype=torch.float64, generator=generator) for n in (shapes.classes, shapes.embedding)
    )
    return Outputs(logits, (), embedding.requires_grad_())


# What is drawn.


@pytest.mark.parametrize(("negatives", "drawn"), [(4, 4), (7, 7), (4096, 7)])
def test_each_window_is_compared_with_itself_and_with_others_of_other_classes(negatives: int, drawn: int) -> None:
    method, on = make(negatives=negatives), batch(0, 6, 9, 10)
    rows = method.drawn(on)
    assert rows.shape == (4, drawn + 1)
    assert torch.equal(rows[:, 0], on.index)
    for y, others in zip(on.y.tolist(), rows[:, 1:].tolist(), strict=True):
        assert len(set(others)) == drawn, "none is drawn twice"
        assert all(LABELS[other] != y for other in others)


def test_every_window_of_another_class_is_drawn_equally_often() -> None:
    method, on = make(negatives=3), batch(6)
    torch.manual_seed(3)
    counts = torch.stack([method.drawn(on)[0, 1:] for _ in range(1500)]).flatten().bincount(minlength=12)
    expected = torch.where(LABELS == 1, 0, 500)  # 1500 draws of 3 of 9
    assert (counts - expected).abs().max() < 90  # five standard deviations


def test_a_training_set_of_one_class_has_nothing_to_tell_apart() -> None:
    with pytest.raises(NotApplicable, match="one class"):
        make(torch.ones(12, dtype=torch.long))


# Two steps in explicit loops.


def dot(a: Sequence[float], b: Sequence[float]) -> float:
    return sum(u * v for u, v in zip(a, b, strict=True))


def at_unit_length(row: Sequence[float]) -> list[float]:
    return [v / math.sqrt(dot(row, row)) for v in row]


def views(layer: torch.nn.Linear, out: Outputs) -> Rows:
    weight, bias = layer.weight.tolist(), layer.bias.tolist()
    dense = [[dot(w, row) + b for w, b in zip(weight, bias, strict=True)] for row in out.embedding.tolist()]
    return [at_unit_length(row) for row in dense]


def raised(u: Rows, bank: Rows, rows: list[list[int]], t: float) -> Rows:
    return [[math.exp(dot(u[i], bank[row]) / t) for row in chosen] for i, chosen in enumerate(rows)]


def test_two_steps_are_their_formula_with_banks_that_move_and_normalisers_that_stay() -> None:
    t, momentum, weight, noise, count = 0.2, 0.7, 0.5, 3, len(LABELS)
    method = make(temperature=t, momentum=momentum, weight=weight, negatives=noise)
    sides = {"student": method.student, "teacher": method.teacher}
    banks = {name: side.bank.tolist() for name, side in sides.items()}
    z: dict[str, float] = {}
    for step, index in enumerate([(0, 6, 9), (6, 2, 11)]):
        on, out = batch(*index), {"student": outputs(STUDENT, 3, step), "teacher": outputs(TEACHER, 3, step + 7)}
        torch.manual_seed(step)
        rows = method.drawn(on).tolist()
        torch.manual_seed(step)
        losses = method.losses(on, out["student"], out["teacher"])
        assert set(losses) == {"hard", "contrast_student", "contrast_teacher"}
        u = {name: views(side.project, out[name]) for name, side in sides.items()}
        for name, other in (("student", "teacher"), ("teacher", "student")):
            e = raised(u[name], banks[other], rows, t)
            z.setdefault(name, count * sum(map(sum, e)) / (3 * (noise + 1)))
            total = 0.0
            for itself, *others in ([v / z[name] for v in row] for row in e):
                total -= math.log(itself / (itself + noise / count + 1e-7))
                total -= sum(math.log(noise / count / (v + noise / count + 1e-7)) for v in others)
            assert losses[f"contrast_{name}"].item() == pytest.approx(weight * total / 3, rel=1e-9)
        for name, side in sides.items():
            for i, row in enumerate(index):
                old = zip(banks[name][row], u[name][i], strict=True)
                banks[name][row] = at_unit_length([momentum * a + (1 - momentum) * b for a, b in old])
            torch.testing.assert_close(side.bank.tolist(), banks[name], rtol=1e-9, atol=1e-12)
            assert side.log_z.exp().item() == pytest.approx(z[name], rel=1e-9)


def test_a_banks_rows_start_with_length_one_in_the_mean() -> None:
    labels = torch.arange(3000) % 3
    method = METHODS.get("crd")(Setup(3, labels, STUDENT, "frozen", TEACHER))
    assert method.student.bank.square().sum(dim=1).mean() == pytest.approx(1, abs=0.02)
    assert not torch.equal(method.student.bank, method.teacher.bank)


def test_banks_and_normalisers_are_kept_with_a_checkpoint_and_labels_are_not() -> None:
    kept = make().state_dict().keys() - dict(make().named_parameters()).keys()
    assert kept == {"student.bank", "teacher.bank", "student.log_z", "teacher.log_z"}


def test_scores_that_no_float32_exponential_holds_are_finite() -> None:
    method, on = make(temperature=0.01).float(), batch(0, 6, 9)
    out = [Outputs(x.logits.float(), (), x.embedding.float()) for x in (outputs(s, 3, 1) for s in (STUDENT, TEACHER))]
    method.teacher.bank[on.index] = method.student(out[0].embedding).detach()  # cosines of 1
    losses = method.losses(on, *out)
    (losses["contrast_student"] + losses["contrast_teacher"]).backward()
    assert method.student.log_z > 88, "exp of it overflows"
    assert all(loss.isfinite() for loss in losses.values())
    assert all(p.grad.isfinite().all() for p in method.parameters())
