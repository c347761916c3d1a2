"""Every method's losses and gradients stay finite where arithmetic is least forgiving."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from kdbench.architectures import Choice, Outputs, Shapes
from kdbench.catalog import METHODS
from kdbench.methods import Batch, Method, Nets, NotApplicable, Setup

STUDENT = Shapes(0, ((5, 6), (7, 1), (6, 1)), 6)  # stages with and without a time axis, fewer than the teacher's
TEACHER = Shapes(0, ((8, 9), (8, 9), (10, 3), (4, 1)), 12)


@dataclass
class Hard:
    """A hard place: how many samples and classes, and what becomes of ordinary outputs there."""

    count: int = 6
    classes: int = 4
    logits: Callable[[Tensor, str], Tensor] = lambda logits, side: logits
    features: Callable[[Tensor], Tensor] = lambda x: x
    labels: Callable[[Tensor], Tensor] = lambda y: y
    dtype: torch.dtype = field(default=torch.float32)


def gap(size: float) -> Callable[[Tensor, str], Tensor]:
    """Sure of one class by this much: the networks agree in some rows and contradict each other in others, and each is
    sure alone in one."""

    def make(logits: Tensor, side: str) -> Tensor:
        logits = logits.clone()
        for row in range(len(logits)):
            column = row if side == "teacher" or row % 2 else row + 1
            logits[row, column % logits.shape[1]] += size
        logits[-1 if side == "teacher" else -2] = 0
        return logits

    return make


PLACES = {
    "ordinary": Hard(),
    "gap-100": Hard(logits=gap(1e2)),
    "gap-10000": Hard(logits=gap(1e4)),
    "gap-10000-of-two-classes": Hard(classes=2, logits=gap(1e4)),
    "batch-of-one": Hard(count=1),
    "two-classes": Hard(classes=2),
    "zero-features": Hard(features=torch.zeros_like),
    "all-zero": Hard(features=torch.zeros_like, logits=lambda logits, side: torch.zeros_like(logits)),
    "duplicates": Hard(
        logits=lambda logits, side: logits[:1].expand_as(logits).clone(),
        features=lambda x: x[:1].expand_as(x).clone(),
        labels=lambda y: torch.zeros_like(y),
    ),
    "one-class-in-the-batch": Hard(labels=lambda y: torch.ones_like(y)),
    "bfloat16": Hard(dtype=torch.bfloat16),
    "bfloat16-gap-10000": Hard(dtype=torch.bfloat16, logits=gap(1e4)),
    "float64": Hard(dtype=torch.float64),
}


def found() -> Iterator[Any]:
    """Every method in every role, with its defaults and with each value of each of its choices."""
    for name in METHODS.names():
        for role in METHODS.get(name).roles:
            yield pytest.param(name, role, {}, id=f"{name}-{role}")
            for setting in METHODS.schema(name).values():
                values = setting.legal.values if isinstance(setting.legal, Choice) else ()
                for value in (v for v in values if v != setting.default):
                    yield pytest.param(name, role, {setting.name: value}, id=f"{name}-{role}-{setting.name}={value}")


class Side:
    """Outputs of a network that is only said to be there."""

    def __init__(self, side: str, shapes: Shapes, place: Hard, *, learns: bool) -> None:
        generator = torch.Generator().manual_seed(len(side))

        def leaf(*size: int) -> Tensor:
            return torch.randn(place.count, *size, generator=generator)

        logits = place.logits(leaf(place.classes), side)
        features = [place.features(leaf(*size)) for size in [*shapes.stages, (shapes.embedding,)]]
        self.leaves = [x.to(place.dtype).requires_grad_(learns) for x in [logits, *features]]

    def __call__(self, batch: Batch) -> Outputs:
        rows = torch.arange(len(batch.x)) % len(self.leaves[0])  # a method may ask for several views at once
        logits, *stages, embedding = (leaf[rows] for leaf in self.leaves)
        return Outputs(logits, tuple(stages), embedding)


def make(name: str, role: str, place: Hard, settings: dict[str, Any]) -> tuple[Method, Nets, Batch, list[Tensor]]:
    shapes = {"student": Shapes(place.classes, STUDENT.stages, STUDENT.embedding)}
    shapes["teacher"] = Shapes(place.classes, TEACHER.stages, TEACHER.embedding)
    labels = torch.arange(2 * place.count + 8) % place.classes
    torch.manual_seed(0)
    setup = Setup(
        classes=place.classes,
        labels=labels,
        student=shapes["student"],
        role=role,  # type: ignore[arg-type]
        teacher=None if role == "absent" else shapes["teacher"],
    )
    method = METHODS.get(name)(setup, **settings)
    if place.dtype == torch.float64:
        method = method.double()
    student = Side("student", shapes["student"], place, learns=True)
    teacher = Side("teacher", shapes["teacher"], place, learns=role != "frozen")
    head = torch.nn.Linear(TEACHER.embedding, place.classes, dtype=place.dtype).requires_grad_(False)
    index = torch.arange(place.count)
    batch = Batch(torch.zeros(place.count, 3, 8), place.labels(labels[index]), index)
    leaves = student.leaves + (teacher.leaves if role in ("peer", "tuned") else [])
    return method, Nets(student, teacher, head), batch, leaves


@pytest.mark.filterwarnings("ignore:.*close to constant")
@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize(("name", "role", "settings"), list(found()))
def test_losses_and_gradients_are_finite(name: str, role: str, settings: dict[str, Any], where: str) -> None:
    try:
        method, nets, batch, leaves = make(name, role, PLACES[where], settings)
    except NotApplicable:
        return
    method.train()
    method.start_epoch(2, 3)
    for losses in method.rounds(batch, nets):
        for loss_name, loss in losses.items():
            assert loss.isfinite(), f"{loss_name} is {loss.item()}"
            assert loss.dtype == (torch.float64 if PLACES[where].dtype == torch.float64 else torch.float32)
        torch.autograd.backward(list(losses.values()))
    gradients = [p.grad for p in [*leaves, *method.parameters()] if p.grad is not None]
    assert gradients
    assert all(g.isfinite().all() for g in gradients)
    assert all(torch.tensor(value).isfinite() for value in method.facts().values())
