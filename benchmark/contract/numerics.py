"""Rules of a method's losses and gradients where arithmetic is least forgiving."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from kdbench.architectures import Outputs, Shapes
from kdbench.contract.bench import Candidate
from kdbench.contract.rules import Verdict, few, watched
from kdbench.methods import Batch, Method, Nets, Role, Setup

SIZES = {  # what the student's and the teacher's stages (C, T) and embeddings are: never as many, as wide or as long
    "unlike": (Shapes(0, ((5, 6), (7, 1), (6, 1)), 6), Shapes(0, ((8, 9), (8, 9), (10, 3), (4, 1)), 12)),
    "maps": (Shapes(0, ((5, 6), (7, 6), (6, 3)), 6), Shapes(0, ((8, 9), (8, 9), (10, 4), (4, 4)), 12)),
}


@dataclass(frozen=True)
class Place:
    """A hard place: how many samples, classes and training windows, and what becomes of ordinary outputs there."""

    count: int = 6
    classes: int = 4
    windows: int = 20
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


def opposite(x: Tensor) -> Tensor:
    """Samples whose cosine is -1, and by rounding less than that."""
    generator = torch.Generator().manual_seed(83)  # found by search: six numbers come out 2 roundings below -1
    one = torch.randn(x[:1].shape, generator=generator)
    return torch.cat([one, -one])


PLACES = {
    "ordinary": Place(),
    "gap-100": Place(logits=gap(1e2)),
    "gap-10000": Place(logits=gap(1e4)),
    "gap-10000-of-two-classes": Place(classes=2, logits=gap(1e4)),
    "batch-of-one": Place(count=1),
    "two-classes": Place(classes=2),
    "zero-features": Place(features=torch.zeros_like),
    "all-zero": Place(features=torch.zeros_like, logits=lambda logits, side: torch.zeros_like(logits)),
    "duplicates": Place(
        logits=lambda logits, side: logits[:1].expand_as(logits).clone(),
        features=lambda x: x[:1].expand_as(x).clone(),
        labels=torch.zeros_like,
    ),
    "opposite-samples": Place(count=2, features=opposite),
    "one-class-in-the-batch": Place(labels=torch.ones_like),
    "bfloat16": Place(dtype=torch.bfloat16),
    "bfloat16-gap-10000": Place(dtype=torch.bfloat16, logits=gap(1e4)),
    "float64": Place(dtype=torch.float64),
}

FINITE = "losses and gradients are finite in a hard place"
PRECISE = "losses are in float32 at least"


def judge_hard_places(candidate: Candidate, role: str, settings: Mapping[str, Any]) -> Verdict:
    """Compute a method's losses and gradients in every hard place, at stages of every sizes that it extends to."""
    verdict, refusals, spots = Verdict(), {}, []
    for sizes in SIZES:
        for where, place in PLACES.items():
            one = _judge(candidate, role, settings, sizes, place)
            spots += [(f"{where} of {sizes} sizes", violation) for violation in one.violations]
            if one.not_applicable and place is PLACES["ordinary"]:
                refusals[sizes] = one.not_applicable
                break
    verdict.found_in(spots, lambda at: f"{len(at)} places: {few(at)}" if len(at) > 1 else few(at))
    if len(refusals) == len(SIZES):
        verdict.not_applicable = next(iter(refusals.values()))
    return verdict


def _judge(candidate: Candidate, role: str, settings: Mapping[str, Any], sizes: str, place: Place) -> Verdict:
    verdict = Verdict()
    with verdict.watching(FINITE):
        method, nets, batch, leaves = stand_in(candidate, role, place, SIZES[sizes], settings)
        method.train()
        method.start_epoch(2, 3)
        for losses in watched(method.rounds, batch, nets):
            for name, loss in losses.items():
                if not loss.isfinite():
                    verdict.found(FINITE, f"{name!r} is {loss.item()}")
                wanted = torch.float64 if place.dtype == torch.float64 else torch.float32
                if loss.dtype != wanted:
                    verdict.found(PRECISE, f"{name!r} is {loss.dtype}, wanted {wanted}")
            torch.autograd.backward(list(losses.values()))
        gradients = [p.grad for p in [*leaves, *method.parameters()] if p.grad is not None]
        if not gradients:
            verdict.found(FINITE, "there is no gradient")
        if not all(g.isfinite().all() for g in gradients):
            verdict.found(FINITE, "a gradient is not finite")
        sick = [name for name, value in method.facts().items() if not torch.tensor(value).isfinite()]
        if sick:
            verdict.found(FINITE, f"the fact {sick[0]!r} is not finite")
    return verdict


class _Side:
    """Outputs of a network that is only said to be there."""

    def __init__(self, side: str, shapes: Shapes, place: Place, *, learns: bool) -> None:
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


def stand_in(
    candidate: Candidate, role: str, place: Place, sizes: tuple[Shapes, Shapes], settings: Mapping[str, Any]
) -> tuple[Method, Nets, Batch, list[Tensor]]:
    """A method between networks that are only said to be there: their outputs are numbers with a gradient.

    Returns:
        The method, the networks, a batch, and the outputs of what learns.

    Raises:
        NotApplicable: if the method does not extend to this place.
    """
    mine, yours = (Shapes(place.classes, shapes.stages, shapes.embedding) for shapes in sizes)
    labels = torch.arange(place.windows) % place.classes
    torch.manual_seed(0)
    part = Role(role)
    setup = Setup(place.classes, labels, mine, role=part, teacher=yours if part.present else None)
    method = candidate.cls(setup, **settings)
    if place.dtype == torch.float64:
        method = method.double()
    student = _Side("student", mine, place, learns=True)
    teacher = _Side("teacher", yours, place, learns=part.learns)
    head = torch.nn.Linear(yours.embedding, place.classes, dtype=place.dtype).requires_grad_(False)
    index = torch.arange(place.count)
    batch = Batch(torch.zeros(place.count, 3, 8), place.labels(labels[index]), index)
    leaves = student.leaves + (teacher.leaves if part.learns else [])
    return method, Nets(student, teacher, head), batch, leaves
