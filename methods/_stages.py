"""Which stages of two networks are compared, and at which length."""

from __future__ import annotations

import torch
from torch import Tensor

from kdbench.architectures import Outputs, Shapes
from kdbench.methods._functional import at_least_float32


def matched_stages(student: Shapes, teacher: Shapes, *, timed: bool = False) -> list[tuple[int, int]]:
    """Pairs of stages (the student's, the teacher's) at equal relative depths, shallow to deep, none used twice.

    There are as many as the network with fewer stages has; a single stage goes with the other network's deepest.

    Args:
        student: sizes of the student's outputs.
        teacher: sizes of the teacher's outputs.
        timed: whether only stages with more than one time step count.
    """
    mine, yours = (
        [i for i, (_, length) in enumerate(shapes.stages) if length > 1 or not timed] for shapes in (student, teacher)
    )
    count = min(len(mine), len(yours))
    depths = [i / (count - 1) for i in range(count)] if count > 1 else [1.0] * count
    return [(mine[round(d * (len(mine) - 1))], yours[round(d * (len(yours) - 1))]) for d in depths]


def stage_at(outputs: Outputs, stage: int, length: int) -> Tensor:
    """A stage (B, C, length), averaged over time to that length.

    A stage of length 1 comes from ``pooled``, which costs a frozen teacher much less than a map.
    """
    if length == 1:
        return at_least_float32(outputs.pooled[stage])[:, :, None]
    return pool_time(at_least_float32(outputs.stages[stage]), length)


def pool_time(x: Tensor, length: int) -> Tensor:
    """Adaptive average pooling of the last axis, T steps to n bins.

    Bin i is the mean of steps floor(i T / n) to ceil((i + 1) T / n) - 1. A product with a matrix, since the gradient of
    torch's own adaptive pooling is not deterministic on a GPU.
    """
    steps = x.shape[-1]
    if steps == length:
        return x
    step, bin_ = torch.arange(steps, device=x.device)[:, None], torch.arange(length, device=x.device)
    first, last = bin_ * steps // length, ((bin_ + 1) * steps - 1) // length
    inside = ((first <= step) & (step <= last)).to(x.dtype)  # (T, length)
    return x @ (inside / inside.sum(dim=0))
