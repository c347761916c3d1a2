"""Contrastive representation distillation: what is drawn, and how banks and normalisers move over two steps."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from kdbench.architectures import Outputs, Shapes
from kdbench.catalog.find import METHODS
from kdbench.methods import Batch, Losses, Method, Nets, NotApplicable, Role, Setup
from kdbench.methods.crd import _Chosen as Chosen

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


# What is drawn. Few windows are ranked, many are not: both are seen.

MANY = torch.cat([torch.full((n,), y) for y, n in enumerate((40, 100, 0, 60))])[torch.randperm(200)]  # class 2 has none


def draw(method: Method, y: Tensor) -> Tensor:
    return method.get_submodule("draw")()[y]  # type: ignore[no-any-return]


def of_many(negatives: int) -> Method:
    torch.manual_seed(0)
    setup = Setup(4, MANY, Shapes(4, (), 4), Role.FROZEN, Shapes(4, (), 6))
    method: Method = METHODS.get("crd")(setup, negatives=negatives, width=5)
    return method


@pytest.mark.parametrize(("negatives", "drawn"), [(1, 1), (4, 4), (7, 7), (4096, 7)])
def test_each_window_is_compared_with_others_of_other_classes_none_of_them_twice(negatives: int, drawn: int) -> None:
    y = LABELS[[0, 6, 9, 10]]
    rows = draw(make(negatives=negatives), y)
    assert rows.shape == (4, drawn)
    for label, others in zip(y.tolist(), rows.tolist(), strict=True):
        assert len(set(others)) == drawn, "none is drawn twice"
        assert all(LABELS[other] != label for other in others)


@pytest.mark.parametrize("negatives", [1, 2, 9, 100])
def test_of_many_windows_those_of_other_classes_are_drawn_and_none_twice(negatives: int) -> None:
    method, y = of_many(negatives), torch.tensor([0, 1, 3, 1, 0, 2])
    for _ in range(50):
        for label, others in zip(y.tolist(), draw(method, y).tolist(), strict=True):
            assert len(set(others)) == negatives
            assert all(MANY[other] != label for other in others)


def test_every_window_of_another_class_is_drawn_equally_often() -> None:
    method, y = make(negatives=3), LABELS[[6]]
    torch.manual_seed(3)
    counts = torch.stack([draw(method, y)[0] for _ in range(1500)]).flatten().bincount(minlength=12)
    expected = torch.where(LABELS == 1, 0, 500)  # 1500 draws of 3 of 9
    assert (counts - expected).abs().max() < 90  # five standard deviations


def test_of_many_windows_every_one_of_another_class_is_drawn_equally_often_and_every_pair_too() -> None:
    method, y = of_many(negatives=5), torch.tensor([1])  # 5 of 100 others
    torch.manual_seed(3)
    rows = torch.stack([draw(method, y)[0] for _ in range(10_000)])
    counts = rows.flatten().bincount(minlength=200)
    assert (counts[MANY == 1] == 0).all()
    assert (counts[MANY != 1] - 500).abs().max() < 5 * math.sqrt(500)
    place = torch.zeros(200, dtype=torch.long)
    place[MANY != 1] = torch.arange(100)
    drawn = torch.zeros(10_000, 100).scatter_(1, place[rows], 1.0)
    together = drawn.T @ drawn  # expected 10000 (5 * 4) / (100 * 99) off the diagonal
    expected = 10_000 * 20 / 9900
    off = together[~torch.eye(100, dtype=torch.bool)]
    assert off.mean().item() == pytest.approx(expected, rel=1e-6)
    assert off.var().item() == pytest.approx(expected, rel=0.2), "as scattered as independent counts are"


def test_windows_of_a_class_share_a_draw_and_two_classes_have_each_their_own() -> None:
    method = of_many(negatives=5)
    rows = draw(method, torch.tensor([1, 0, 1]))
    assert torch.equal(rows[0], rows[2])
    assert not torch.equal(rows[0], rows[1])
    assert not torch.equal(rows, draw(method, torch.tensor([1, 0, 1])))


def test_a_training_set_of_one_class_has_nothing_to_tell_apart() -> None:
    with pytest.raises(NotApplicable, match="one class"):
        make(torch.ones(12, dtype=torch.long))


# What is scored.


def test_scores_and_their_gradient_are_those_of_single_inner_products() -> None:
    generator = torch.Generator().manual_seed(5)
    bank, at = (torch.randn(n, 5, dtype=torch.float64, generator=generator) for n in (200, 4))
    itself, group = torch.tensor([7, 3, 199, 0]), torch.tensor([2, 0, 2, 1])  # of four groups, one without windows
    others = torch.stack([torch.randperm(200, generator=generator)[:9] for _ in range(4)])
    weights = torch.randn(4, 10, dtype=torch.float64, generator=generator)
    u = at.clone().requires_grad_()
    score = Chosen(itself, others, group).scores(u, bank)
    (gradient,) = torch.autograd.grad((weights * score).sum(), u)
    rows = torch.cat([itself[:, None], others[group]], dim=1)
    for i in range(4):
        for k, row in enumerate(rows[i].tolist()):
            assert score[i, k].item() == pytest.approx(dot(at[i].tolist(), bank[row].tolist()), rel=1e-12)
        wanted = [sum(w * bank[row, d].item() for w, row in zip(weights[i], rows[i], strict=True)) for d in range(5)]
        assert gradient[i].tolist() == pytest.approx([float(w) for w in wanted], rel=1e-9)


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


def steps(method: Method, on: Batch, out: dict[str, Outputs]) -> list[tuple[Losses, dict[str, Rows]]]:
    """The losses of each step, and the banks as they were then."""
    nets = Nets(lambda batch: out["student"], lambda batch: out["teacher"], lambda embedding: embedding)
    sides = {"student": method.student, "teacher": method.teacher}
    return [(losses, {n: side.bank.tolist() for n, side in sides.items()}) for losses in method.rounds(on, nets)]


def test_two_steps_are_their_formula_with_banks_that_move_and_normalisers_that_stay() -> None:
    t, momentum, weight, noise, count = 0.2, 0.7, 0.5, 3, len(LABELS)
    method = make(temperature=t, momentum=momentum, weight=weight, negatives=noise)
    sides = {"student": method.student, "teacher": method.teacher}
    banks = {name: side.bank.tolist() for name, side in sides.items()}
    z: dict[str, float] = {}
    for step, index in enumerate([(0, 6, 9), (6, 2, 11)]):
        on, out = batch(*index), {"student": outputs(STUDENT, 3, step), "teacher": outputs(TEACHER, 3, step + 7)}
        torch.manual_seed(step)
        rows = [[i, *others] for i, others in zip(index, draw(method, on.y).tolist(), strict=True)]
        torch.manual_seed(step)
        ((losses, before),) = steps(method, on, out)
        torch.testing.assert_close(before, banks, rtol=1e-9, atol=1e-12)  # they move once the step is done
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
