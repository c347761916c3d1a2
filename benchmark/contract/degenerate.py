"""Rules of a method where there is little to compare: few classes, one stage, networks of equal sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from kdbench.architectures import Shapes
from kdbench.contract.bench import Candidate
from kdbench.contract.numerics import SIZES, Place, stand_in
from kdbench.contract.rules import Verdict, few, watched

COUNTS = (2, 3)  # of classes, beside ENOUGH
ENOUGH = 4
VOID = 1e-4  # a gradient below this part of the one with enough classes is rounding, or an epsilon
LITTLE = {  # sizes of both networks' outputs
    **SIZES,
    "equal": (SIZES["maps"][0], SIZES["maps"][0]),
    "one-stage": (Shapes(0, ((6, 1),), 6), Shapes(0, ((12, 1),), 12)),
}

TEACHES = "every loss teaches with few classes too"
TOLD = "a loss that is left out with few classes is told in a note"


def judge_few_classes(candidate: Candidate, role: str, settings: Mapping[str, Any], classes: int) -> Verdict:
    """Compare the gradient of every loss with the one that it has with enough classes."""
    verdict, refusals, spots = Verdict(), [], []
    for where, sizes in LITTLE.items():
        one = _judge(candidate, role, settings, sizes, classes)
        refusals += [one.not_applicable] if one.not_applicable else []
        spots += [(f"{where} sizes", violation) for violation in one.violations]
    verdict.found_in(spots, few)
    if refusals and not spots:
        verdict.not_applicable = refusals[0]
    return verdict


def _judge(
    candidate: Candidate, role: str, settings: Mapping[str, Any], sizes: tuple[Shapes, Shapes], classes: int
) -> Verdict:
    verdict = Verdict()
    try:
        usual, told = _gradients(candidate, role, settings, sizes, ENOUGH)
    except (Exception, SystemExit):  # refused, or told of the hard places
        return verdict
    with verdict.watching(TEACHES):
        found, notes = _gradients(candidate, role, settings, sizes, classes)
        for name, size in usual.items():
            if name in found and found[name] < VOID * size:
                much = f"its gradient is below {VOID} of that with {ENOUGH}"
                verdict.found(TEACHES, f"{name!r} teaches nothing with {classes} classes: {much}")
            if name not in found and notes == told:
                verdict.found(TOLD, f"{name!r} is not there with {classes} classes, and no note says so")
    return verdict


def _gradients(
    candidate: Candidate, role: str, settings: Mapping[str, Any], sizes: tuple[Shapes, Shapes], classes: int
) -> tuple[dict[str, float], tuple[str, ...]]:
    """The largest gradient of each loss by its name, and the method's notes.

    Raises:
        NotApplicable: if the method does not extend to this.
    """
    place = Place(classes=classes, dtype=torch.float64)
    method, nets, batch, leaves = stand_in(candidate, role, place, sizes, settings)
    method.train()
    method.start_epoch(2, 3)  # the last: past any warm-up
    largest: dict[str, float] = {}
    for losses in watched(method.rounds, batch, nets):
        learns = [*leaves, *(p for p in method.parameters() if p.requires_grad)]
        for name, loss in losses.items():
            gradients = torch.autograd.grad(loss, learns, retain_graph=True, allow_unused=True)
            size = max((float(g.abs().max()) for g in gradients if g is not None), default=0.0)
            largest[name] = max(size, largest.get(name, 0.0))
        torch.autograd.backward(list(losses.values()))
    return largest, method.notes()
