"""Variational information distillation: a learnt Gaussian of the teacher's stages given the student's."""

from __future__ import annotations

import math
from typing import Annotated

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from kdbench.architectures import Outputs, Range
from kdbench.methods._base import Batch, Losses, Method, Setup
from kdbench.methods._functional import cross_entropy
from kdbench.methods._stages import matched_stages, stage_at


class VID(Method):
    """Maximise a lower bound of the mutual information between matched stages of both networks.

    Formula: L = CE(z_S, y) + weight sum_pairs mean_{b,c,l} 1/2 [(t_c - m_c(s))^2 / v_c + log v_c], with m three
    kernel-1 convolutions without bias, ReLU between, and v_c = softplus(a_c) + eps a learnt variance per channel. The
    constant (log 2 pi) / 2 is left out, so the match may be negative.

    Reads the labels and the teacher's stages that match the student's by relative depth, averaged over time; with
    ``over_time`` their maps, at the shorter of both lengths. Means and variances are trained with the student and
    dropped at inference.

    Source: Ahn et al., "Variational information distillation for knowledge transfer", CVPR 2019,
    https://arxiv.org/abs/1904.05835. Defaults: weight 1, first variance 5, eps 1e-5 and the regressor as wide as the
    teacher's stage, as in https://github.com/HobbitLong/RepDistiller (CIFAR-100: a start, not tuned).

    Args:
        setup: what the run tells the method.
        weight: of the match.
        initial_variance: v_c before training, above eps.
        eps: least variance.
        over_time: whether the stages are compared at every time step rather than as averages over time.

    Deviations: averages over time by default, where the source compares maps; stages are matched by relative depth.
    """

    kind = "feature"
    checked_against = ("vid",)

    def __init__(
        self,
        setup: Setup,
        *,
        weight: Annotated[float, Range(0, 1e3, search=(0.01, 10), log=True)] = 1.0,
        initial_variance: Annotated[float, Range(1e-3, 100)] = 5.0,
        eps: Annotated[float, Range(1e-8, 1e-4)] = 1e-5,
        over_time: bool = False,
    ) -> None:
        super().__init__(setup)
        self.weight, self.eps = weight, eps
        self.pairs = matched_stages(setup.student, setup.taught_by)
        sizes = [(*setup.student.stages[i], *setup.taught_by.stages[j]) for i, j in self.pairs]
        self.lengths = [min(mine, yours) if over_time else 1 for _, mine, _, yours in sizes]
        self.means = nn.ModuleList(_mean(channels, wanted) for channels, _, wanted, _ in sizes)
        start = math.log(math.expm1(initial_variance - eps))  # softplus of it is the first variance
        self.scales = nn.ParameterList(torch.full((wanted,), start) for _, _, wanted, _ in sizes)

    def losses(self, batch: Batch, student: Outputs, teacher: Outputs) -> Losses:
        match = [
            self.negative_log_likelihood(stage_at(teacher, j, length), mean(stage_at(student, i, length)), scale)
            for (i, j), length, mean, scale in zip(self.pairs, self.lengths, self.means, self.scales, strict=True)
        ]
        return {"hard": cross_entropy(student.logits, batch.y), "match": self.weight * torch.stack(match).sum()}

    def negative_log_likelihood(self, target: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
        """Of targets (B, C, T) under Gaussians of these means, and of variances given by their scales (C,)."""
        variance = F.softplus(scale)[:, None] + self.eps  # (C, 1)
        return ((target - mean).square() / variance + variance.log()).mean() / 2


def _mean(channels: int, wanted: int) -> nn.Sequential:
    """The Gaussian's mean: (B, channels, T) -> (B, wanted, T)."""
    return nn.Sequential(
        nn.Conv1d(channels, wanted, 1, bias=False), nn.ReLU(),
        nn.Conv1d(wanted, wanted, 1, bias=False), nn.ReLU(),
        nn.Conv1d(wanted, wanted, 1, bias=False),
    )  # fmt: skip
