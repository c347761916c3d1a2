"""Knowledge review: each of the student's stages, fused with all deeper ones, learns from the teacher's."""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from kdbench.architectures import Outputs, Range
from kdbench.methods._base import Batch, Losses, Method, Setup
from kdbench.methods._functional import at_least_float32, cross_entropy, ramp
from kdbench.methods._modules import BatchNorm
from kdbench.methods._stages import matched_stages, pool_time, stage_at

LEVELS = (4, 2, 1)  # bins over time of the hierarchical context loss


class ReviewKD(Method):
    """Fuse the student's stages from deep to shallow, and match each with the teacher's stage at several time scales.

    Formula: L = CE(z_S, y) + rho weight sum_i HCL(F_i, t_i). From the deepest matched stage to the shallowest,
    u_i = a x_i + b u_(i+1), with x_i the student's stage at the common width, u_(i+1) what the deeper stages came to,
    stretched to x_i's length, and (a, b) = sigmoid(conv [x_i, u_(i+1)]) an attention over time; F_i is u_i at the
    teacher's width. HCL is the mean of the squared distance of both maps and of their averages in 4, 2 and 1 bins over
    time, weighted 1, 1/2, 1/4, 1/8 in the order of those that are coarser than the map. rho grows from 0 to 1.

    Reads the labels and the maps of the teacher's stages that match the student's by relative depth, at the shorter of
    both lengths; of a stage without a time axis on either side the average alone. The fusion is trained with the
    student and dropped at inference.

    Source: Chen et al., "Distilling knowledge via knowledge review", CVPR 2021, https://arxiv.org/abs/2104.09044.
    Defaults as in https://github.com/dvlab-research/ReviewKD for CIFAR-100 (a start, not tuned): weight 5 (0.6 to 8 by
    pair there), common width that of the deepest stage up to 512, warm-up over 20 of 240 epochs.

    Args:
        setup: what the run tells the method.
        weight: of the match.
        width: most channels of the fused stages.
        warmup: part of the run in which the match reaches its weight.

    Deviations: unlike numbers of stages are matched by relative depth; lengths meet at the shorter one by averaging,
    where the source stretches the student's to the teacher's; convolutions over one time step have kernel 1.
    """

    kind = "feature"
    checked_against = ("reviewkd_hcl",)

    def __init__(
        self,
        setup: Setup,
        *,
        weight: Annotated[float, Range(0, 1e4, search=(0.5, 10), log=True)] = 5.0,
        width: Annotated[int, Range(1, 4096)] = 512,
        warmup: Annotated[float, Range(0, 1)] = 20 / 240,
    ) -> None:
        super().__init__(setup)
        self.weight, self.warmup = weight, warmup
        self.rho = 1.0
        self.pairs = matched_stages(setup.student, setup.taught_by)
        sizes = [(*setup.student.stages[i], *setup.taught_by.stages[j]) for i, j in self.pairs]
        self.lengths = [min(mine, yours) for _, mine, _, yours in sizes]
        width = min(width, sizes[-1][0])
        self.fusions = nn.ModuleList(
            _Fusion(channels, width, wanted, length, deepest=i == len(sizes) - 1)
            for i, ((channels, _, wanted, _), length) in enumerate(zip(sizes, self.lengths, strict=True))
        )

    def start_epoch(self, epoch: int, epochs: int) -> None:
        self.rho = ramp(epoch, epochs, self.warmup)

    def losses(self, batch: Batch, student: Outputs, teacher: Outputs) -> Losses:
        match = []
        deeper = None
        for (i, j), length, fuse in reversed(list(zip(self.pairs, self.lengths, self.fusions, strict=True))):
            fused, deeper = fuse(at_least_float32(student.stages[i]), deeper)
            match.append(_hierarchical_context(fused, stage_at(teacher, j, length)))
        weight = self.rho * self.weight
        return {"hard": cross_entropy(student.logits, batch.y), "match": weight * torch.stack(match).sum()}


class _Fusion(nn.Module):
    """Attention-based fusion of a stage (B, channels, T) with the deeper ones (B, width, any).

    Gives (B, wanted, length) for the teacher and (B, width, T) for the next shallower stage.
    """

    def __init__(self, channels: int, width: int, wanted: int, length: int, *, deepest: bool) -> None:
        super().__init__()
        self.length = length
        self.enter = nn.Sequential(nn.Conv1d(channels, width, 1, bias=False), BatchNorm(width))
        self.attention = None if deepest else nn.Conv1d(2 * width, 2, 1)
        kernel = 3 if length > 1 else 1
        self.leave = nn.Sequential(nn.Conv1d(width, wanted, kernel, padding=kernel // 2, bias=False), BatchNorm(wanted))

    def forward(self, stage: Tensor, deeper: Tensor | None) -> tuple[Tensor, Tensor]:
        fused = self.enter(stage)  # (B, width, T)
        if self.attention is not None and deeper is not None:
            steps = stage.shape[2]
            deeper = pool_time(deeper, steps) if deeper.shape[2] > steps else F.interpolate(deeper, size=steps)
            share = self.attention(torch.cat([fused, deeper], dim=1)).sigmoid()  # (B, 2, T)
            fused = share[:, :1] * fused + share[:, 1:] * deeper
        return self.leave(pool_time(fused, self.length)), fused


def _hierarchical_context(student: Tensor, teacher: Tensor) -> Tensor:
    """Hierarchical context loss of two maps (B, C, T) of equal shape."""
    loss, weight, total = F.mse_loss(student, teacher), 1.0, 1.0
    for bins in (level for level in LEVELS if level < student.shape[2]):
        weight /= 2
        total += weight
        loss = loss + weight * F.mse_loss(pool_time(student, bins), pool_time(teacher, bins))
    return loss / total
