"""Methods that read logits: schedules, views, ensembles and exits against explicit sums.

Their losses are tested against reference numbers in ``test_oracles.py`` where there are any.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from kdbench.architectures import Outputs, Shapes
from kdbench.catalog.find import METHODS
from kdbench.methods import Batch, Losses, Method, Nets, Setup

CLASSES, COUNT = 4, 5
STAGES = ((3, 6), (2, 1))


class Network:
    """Logits that are sums of a window's values; remembers which windows it saw."""

    def __init__(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.weights = torch.randn(3 * 6, CLASSES, generator=generator, dtype=torch.float64).requires_grad_()
        self.seen: list[Batch] = []

    def __call__(self, batch: Batch) -> Outputs:
        self.seen.append(batch)
        logits = batch.x.flatten(1).double() @ self.weights
        return Outputs(logits, (batch.x.double(), batch.x[:, :2, :1].double()), batch.x.flatten(1).double())


def batch() -> Batch:
    x = torch.randn(COUNT, 3, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return Batch(x, torch.tensor([2, 0, 3, 0, 1]), torch.arange(COUNT))


def make(name: str, role: str = "frozen", **settings: object) -> Method:
    shapes = Shapes(CLASSES, STAGES, 18)
    torch.manual_seed(1)
    teacher = None if role == "absent" else shapes
    setup = Setup(CLASSES, torch.arange(COUNT) % CLASSES, shapes, role=role, teacher=teacher)  # type: ignore[arg-type]
    return METHODS.get(name)(setup, **settings).double()


def run(method: Method, on: Batch) -> tuple[Losses, Network, Network]:
    """Losses of one batch, and the student and the teacher that they come from."""
    student, teacher = Network(1), Network(2)
    nets = Nets(student, teacher, lambda embedding: embedding)
    (losses,) = method.rounds(on, nets)
    return losses, student, teacher


def logits(network: Network, x: Tensor) -> list[list[float]]:
    rows: list[list[float]] = (x.flatten(1) @ network.weights).tolist()
    return rows


def softmax(row: Sequence[float], t: float = 1.0) -> list[float]:
    raised = [math.exp((v - max(row)) / t) for v in row]
    return [v / sum(raised) for v in raised]


def cross_entropy(rows: Sequence[Sequence[float]], labels: Sequence[int]) -> float:
    return sum(-math.log(softmax(row)[y]) for row, y in zip(rows, labels, strict=True)) / len(rows)


def divergence(guess: Sequence[Sequence[float]], target: Sequence[Sequence[float]], t: float) -> float:
    """t^2 KL(target || guess), the mean over rows of logits."""
    total = 0.0
    for a, b in zip(guess, target, strict=True):
        total += sum(p * math.log(p / q) for p, q in zip(softmax(b, t), softmax(a, t), strict=True))
    return t * t * total / len(guess)


# dkd: Decoupled distillation.


@pytest.mark.parametrize(("epoch", "epochs", "rho"), [(0, 240, 1 / 20), (9, 240, 0.5), (19, 240, 1), (200, 240, 1)])
def test_the_published_warm_up_takes_20_of_240_epochs(epoch: int, epochs: int, rho: float) -> None:
    method = make("dkd")
    whole, *_ = run(method, batch())
    method.start_epoch(epoch, epochs)
    warmed, *_ = run(method, batch())
    assert warmed["soft"].item() == pytest.approx(rho * whole["soft"].item(), rel=1e-12)
    assert warmed["hard"].item() == whole["hard"].item()


def test_a_short_run_keeps_the_share_and_no_warm_up_is_full_weight_at_once() -> None:
    for warmup, rho in ((0.5, 1 / 5), (20 / 240, 1), (0.0, 1)):
        method = make("dkd", warmup=warmup)
        method.start_epoch(0, 10)
        assert method.rho == pytest.approx(rho)


# ofa: Exits from the stages.


def enhanced(guess: list[list[float]], guide: list[list[float]], labels: list[int], eps: float, t: float) -> float:
    total = 0.0
    for a, b, y in zip(guess, guide, labels, strict=True):
        for k, (q, p) in enumerate(zip(softmax(a, t), softmax(b, t), strict=True)):
            target = (p + 1) ** eps - 1 if k == y else p**eps
            total -= target * math.log(q)
    return total / len(guess)


@pytest.mark.parametrize(("eps", "t"), [(1.0, 1.0), (1.5, 2.0)])
def test_every_stage_has_an_exit_that_follows_the_teachers_logits(eps: float, t: float) -> None:
    method = make("ofa", eps=eps, temperature=t, weight=0.5, exit_weight=3.0)
    on = batch()
    losses, student, teacher = run(method, on)
    labels, guide = on.y.tolist(), logits(teacher, on.x)
    outputs: Outputs = student(on)
    exits = 0.0
    for head, stage, (channels, time) in zip(method.exits, outputs.stages, STAGES, strict=True):
        guess = []
        for sample in stage.tolist():
            vector = [sum(channel) / time for channel in sample]
            assert len(vector) == channels
            guess.append(
                [b + sum(w * v for w, v in zip(ws, vector, strict=True))
                 for ws, b in zip(head.weight.tolist(), head.bias.tolist(), strict=True)]
            )  # fmt: skip
        exits += enhanced(guess, guide, labels, eps, t)
    own = logits(student, on.x)
    assert losses["hard"].item() == pytest.approx(cross_entropy(own, labels), rel=1e-12)
    assert losses["soft"].item() == pytest.approx(0.5 * enhanced(own, guide, labels, eps, t), rel=1e-12)
    assert losses["exits"].item() == pytest.approx(3.0 * exits, rel=1e-12)


def test_only_the_teachers_logits_are_read_and_only_heads_are_added() -> None:
    method = make("ofa")
    assert sum(p.numel() for p in method.parameters()) == sum((c + 1) * CLASSES for c, _ in STAGES)

    class LogitsAlone:
        def __init__(self, outputs: Outputs) -> None:
            self.logits = outputs.logits

    on = batch()
    _, student, teacher = run(method, on)
    alone: Outputs = LogitsAlone(teacher(on))  # type: ignore[assignment]
    assert len(student(on).logits) == COUNT
    assert all(loss.isfinite() for loss in method.losses(on, student(on), alone).values())


# mlkd: Several levels.


def test_the_masks_are_the_shares_at_or_below_the_teachers_median() -> None:
    on = batch()
    masked, _, teacher = run(make("mlkd"), on)
    plain, *_ = run(make("mlkd", mask=False), on)
    p = [softmax(row) for row in logits(teacher, on.x)]
    highest, of_class = [max(row) for row in p], [sum(column) for column in zip(*p, strict=True)]
    samples, classes = (
        float(np.mean([v <= np.percentile(values, 50) for v in values])) for values in (highest, of_class)
    )
    assert samples == 3 / COUNT  # of five, the median is one
    assert classes == 1 / 2
    for name, share in {"hard": 1, "instance": samples, "batch": samples, "class": classes}.items():
        assert masked[name].item() == pytest.approx(share * plain[name].item(), rel=1e-12)


def test_temperatures_go_up_by_one_and_their_losses_add_up() -> None:
    on = batch()
    losses, student, teacher = run(make("mlkd", mask=False, alpha=0.75, temperature=1.5, temperatures=3), on)
    own, guide = logits(student, on.x), logits(teacher, on.x)
    instance = sum(divergence(own, guide, t) for t in (1.5, 2.5, 3.5))
    assert losses["instance"].item() == pytest.approx(0.75 * instance, rel=1e-12)
    assert losses["hard"].item() == pytest.approx(0.25 * cross_entropy(own, on.y.tolist()), rel=1e-12)


def test_each_level_has_its_weight() -> None:
    plain, *_ = run(make("mlkd"), batch())
    weighted, *_ = run(make("mlkd", batch_weight=3.0, class_weight=0.25), batch())
    for name, weight in {"hard": 1, "instance": 1, "batch": 3, "class": 0.25}.items():
        assert weighted[name].item() == pytest.approx(weight * plain[name].item(), rel=1e-12)


def test_the_published_temperatures_are_the_defaults() -> None:
    assert make("mlkd").temperatures == [2, 3, 4, 5, 6]


def test_both_networks_see_the_same_strong_view_and_its_losses_are_added() -> None:
    on = batch()
    torch.manual_seed(3)
    losses, student, teacher = run(make("mlkd", second_view=True, jitter=0.3, scaling=0.4), on)
    assert [b.augmented for b in student.seen] == [b.augmented for b in teacher.seen] == [False, True]
    strong = student.seen[1].x
    assert torch.equal(strong, teacher.seen[1].x)
    assert (strong - on.x).abs().max() > 0.1
    own, guide = logits(student, strong), logits(teacher, strong)
    instance = sum(divergence(own, guide, t) for t in (2, 3, 4, 5, 6))
    assert losses["hard_strong"].item() == pytest.approx(0.1 * cross_entropy(own, on.y.tolist()), rel=1e-12)
    assert losses["instance_strong"].item() == pytest.approx(0.9 * instance, rel=1e-12)


def test_by_default_each_network_sees_each_batch_once_as_it_is() -> None:
    _, student, teacher = run(make("mlkd"), batch())
    assert [b.augmented for b in student.seen] == [b.augmented for b in teacher.seen] == [False]


# ctkd: A temperature that learns.


def test_the_loss_is_that_of_softened_targets_at_the_temperature_reported() -> None:
    on = batch()
    method = make("ctkd", alpha=0.75)
    losses, student, teacher = run(method, on)
    t = 1 + 20 / (1 + math.exp(-1))
    assert method.facts() == {"temperature": pytest.approx(t, rel=1e-12)}
    own, guide = logits(student, on.x), logits(teacher, on.x)
    assert losses["soft"].item() == pytest.approx(0.75 * divergence(own, guide, t), rel=1e-9)
    assert losses["hard"].item() == pytest.approx(0.25 * cross_entropy(own, on.y.tolist()), rel=1e-12)


@pytest.mark.parametrize(
    ("epoch", "strength"),
    [(0, (1 - math.cos(math.pi / 10)) / 2), (4, 0.5), (9, 1.0), (200, 1.0)],
)
def test_the_temperature_climbs_the_loss_and_the_curriculum_slows_it(epoch: int, strength: float) -> None:
    on, step = batch(), 1e-5
    values = []
    for shift in (-step, 0.0, step):
        method = make("ctkd")
        method.start_epoch(epoch, 240)
        with torch.no_grad():
            method.theta += shift
        losses, student, _ = run(method, on)
        values.append(losses["soft"].item())
        if shift == 0:
            theta, weights = torch.autograd.grad(losses["soft"], [method.theta, student.weights])
    assert theta.item() == pytest.approx(-strength * (values[2] - values[0]) / (2 * step), rel=1e-5)
    assert weights.abs().max() > 0


def test_without_a_ramp_the_temperature_learns_at_full_strength_at_once() -> None:
    method = make("ctkd", ramp=0.0)
    method.start_epoch(0, 240)
    assert method.strength == 1


# tfkd: No teacher.


@pytest.mark.parametrize(("t", "correct", "alpha"), [(20.0, 0.99, 0.1), (0.25, 0.9, 0.6)])
def test_the_virtual_teacher_is_right_and_even_between_the_other_classes(
    t: float, correct: float, alpha: float
) -> None:
    on = batch()
    losses, student, teacher = run(make("tfkd", "absent", temperature=t, correct=correct, alpha=alpha), on)
    assert not teacher.seen
    own, total = logits(student, on.x), 0.0
    for row, y in zip(own, on.y.tolist(), strict=True):
        virtual = [correct if k == y else (1 - correct) / (CLASSES - 1) for k in range(CLASSES)]
        total += sum(p * math.log(p / q) for p, q in zip(softmax(virtual, t), softmax(row), strict=True)) / COUNT
    assert losses["soft"].item() == pytest.approx(alpha * total, rel=1e-12)
    assert losses["hard"].item() == pytest.approx((1 - alpha) * cross_entropy(own, on.y.tolist()), rel=1e-12)


def test_the_published_values_are_the_defaults() -> None:
    default, *_ = run(make("tfkd", "absent"), batch())
    published, *_ = run(make("tfkd", "absent", temperature=20.0, correct=0.99, alpha=0.1), batch())
    assert {name: loss.item() for name, loss in default.items()} == {k: v.item() for k, v in published.items()}


# kdcl: Two networks and their ensemble.

ENSEMBLES = ["minlogit", "naive", "linear"]


def loss_of(row: list[float], label: int) -> float:
    return -math.log(softmax(row)[label])


def ensemble(how: str, a: list[float], b: list[float], label: int) -> list[float]:
    if how == "minlogit":
        return [min(a[k] - a[label], b[k] - b[label]) for k in range(CLASSES)]
    if how == "naive":
        return min(a, b, key=lambda row: loss_of(row, label))
    low, high = 0.0, 1.0  # golden-section search of the share
    ratio = (math.sqrt(5) - 1) / 2

    def mixed(share: float) -> list[float]:
        return [share * u + (1 - share) * v for u, v in zip(a, b, strict=True)]

    for _ in range(60):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if loss_of(mixed(left), label) < loss_of(mixed(right), label):
            high = right
        else:
            low = left
    return mixed((low + high) / 2)


@pytest.mark.parametrize("how", ENSEMBLES)
def test_both_networks_learn_from_the_labels_and_from_their_ensemble(how: str) -> None:
    on = batch()
    losses, student, teacher = run(make("kdcl", "peer", ensemble=how, temperature=3.0, weight=2.0), on)
    rows = {"student": logits(student, on.x), "teacher": logits(teacher, on.x)}
    labels = on.y.tolist()
    target = [ensemble(how, *each) for each in zip(rows["student"], rows["teacher"], labels, strict=True)]
    for side, own in rows.items():
        assert losses[f"hard_{side}"].item() == pytest.approx(cross_entropy(own, labels), rel=1e-12)
        assert losses[f"soft_{side}"].item() == pytest.approx(2 * divergence(own, target, 3.0), rel=1e-6)


@pytest.mark.parametrize("how", ENSEMBLES)
def test_no_network_is_closer_to_the_label_than_the_ensemble(how: str) -> None:
    generator = torch.Generator().manual_seed(7)
    a, b = (3 * torch.randn(200, CLASSES, generator=generator, dtype=torch.float64) for _ in range(2))
    labels = torch.randint(CLASSES, (200,), generator=generator)
    mixed = make("kdcl", "peer", ensemble=how).combine(a, b, labels)
    for row, own, other, label in zip(mixed.tolist(), a.tolist(), b.tolist(), labels.tolist(), strict=True):
        assert loss_of(row, label) <= min(loss_of(own, label), loss_of(other, label)) + 1e-8


@pytest.mark.parametrize("how", ENSEMBLES)
def test_a_loss_moves_the_network_that_it_is_for_and_no_other(how: str) -> None:
    losses, student, teacher = run(make("kdcl", "peer", ensemble=how), batch())
    sides: dict[str, Network] = {"student": student, "teacher": teacher}
    for name, loss in losses.items():
        for side, network in sides.items():
            (gradient,) = torch.autograd.grad(loss, [network.weights], retain_graph=True, allow_unused=True)
            assert (gradient is not None and bool(gradient.abs().max() > 0)) == name.endswith(side)


def test_both_networks_see_the_windows_as_they_are_unless_each_is_to_see_a_view_of_its_own() -> None:
    on = batch()
    _, student, teacher = run(make("kdcl", "peer"), on)
    assert student.seen == teacher.seen == [on]
    _, student, teacher = run(make("kdcl", "peer", views=True), on)
    (mine,), (yours,) = student.seen, teacher.seen
    assert mine.augmented
    assert yours.augmented
    assert len({view.x.sum().item() for view in (on, mine, yours)}) == 3
