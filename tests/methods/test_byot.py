"""Be your own teacher: its losses in explicit loops, and who learns from whom."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from kdbench.architectures import Outputs, Shapes
from kdbench.catalog.find import METHODS
from kdbench.methods import Batch, Losses, Method, Nets, NotApplicable, Setup

STAGES = ((3, 4), (6, 1), (5, 2))
BATCH = Batch(torch.zeros(5, 1, 1), torch.tensor([2, 0, 3, 0, 1]), torch.arange(5))


def make(stages: tuple[tuple[int, int], ...] = STAGES, **settings: float) -> Method:
    torch.manual_seed(0)
    method: Method = METHODS.get("byot")(Setup(4, BATCH.y, Shapes(4, stages, 7), "absent"), **settings)
    return method.double()


def student() -> Outputs:
    generator = torch.Generator().manual_seed(1)

    def leaf(*size: int) -> Tensor:
        return torch.randn(5, *size, dtype=torch.float64, generator=generator).requires_grad_()

    return Outputs(leaf(4), tuple(leaf(*size) for size in STAGES), leaf(7))


def not_asked(x: object) -> Any:
    raise AssertionError("there is no teacher")


def losses_of(method: Method, out: Outputs) -> Losses:
    (losses,) = method.rounds(BATCH, Nets(lambda batch: out, not_asked, not_asked))
    return losses


def softmax(row: Sequence[float], t: float) -> list[float]:
    powers = [math.exp(v / t) for v in row]
    return [v / sum(powers) for v in powers]


def test_losses_are_the_explicit_sums_over_exits() -> None:
    t, alpha, weight = 2.5, 0.3, 0.01
    method, out = make(temperature=t, alpha=alpha, hint_weight=weight), student()
    method.eval()  # normalised by running statistics, so that a second look sees the same
    losses = losses_of(method, out)
    features = [h.tolist() for h in method.features(out.pooled)]
    assert len(features) == 2, "every stage but the last has an exit"
    guesses = [
        [[sum(w * v for w, v in zip(ws, row, strict=True)) + b for ws, b in zip(weights, biases, strict=True)]
         for row in rows]
        for rows, head in zip(features, method.heads, strict=True)
        for weights, biases in [(head.weight.tolist(), head.bias.tolist())]
    ]  # fmt: skip
    deepest, embedding, y = out.logits.tolist(), out.embedding.tolist(), BATCH.y.tolist()

    def entropy(rows: Sequence[Sequence[float]]) -> float:
        return sum(-math.log(softmax(row, 1)[label]) for row, label in zip(rows, y, strict=True)) / 5

    soft = hint = 0.0
    for rows, guess in zip(features, guesses, strict=True):
        for b in range(5):
            p, q = softmax(deepest[b], t), softmax(guess[b], t)
            soft += t * t * sum(u * math.log(u / v) for u, v in zip(p, q, strict=True)) / 5
            hint += sum((u - v) ** 2 for u, v in zip(rows[b], embedding[b], strict=True)) / 5
    wanted = {
        "hard": (1 - alpha) * entropy(deepest),
        "exits": (1 - alpha) * sum(entropy(guess) for guess in guesses),
        "soft": alpha * soft,
        "hint": weight * hint,
    }
    assert losses.keys() == wanted.keys()
    for name, value in wanted.items():
        assert losses[name].item() == pytest.approx(value, rel=1e-9), name


def test_exits_learn_from_the_deepest_classifier_and_it_learns_from_labels_alone() -> None:
    method, out = make(), student()
    losses = losses_of(method, out)
    for name, of_deepest in (("hard", True), ("exits", False), ("soft", False), ("hint", False)):
        leaves = [out.logits, out.embedding, *out.stages]
        gradients = torch.autograd.grad(losses[name], leaves, retain_graph=True, allow_unused=True)
        reached = [gradient is not None and bool(gradient.any()) for gradient in gradients]
        assert reached == [of_deepest, False, *([not of_deepest] * 2), False], name


def test_a_student_of_one_stage_has_no_shallower_one() -> None:
    with pytest.raises(NotApplicable, match="one stage alone"):
        make(STAGES[:1])
