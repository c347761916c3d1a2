"""Neuron selectivity transfer: the distribution of a stage's channels, as patterns over time."""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from kdbench.architectures import Outputs, Range
from kdbench.methods._base import Batch, Losses, Method, NotApplicable, Setup
from kdbench.methods._functional import cross_entropy
from kdbench.methods._stages import matched_stages, stage_at


class NST(Method):
    """Match the channels of both networks' stages as samples of patterns over time.

    Formula: L = CE(z_S, y) + weight sum_pairs MMD^2, with
    MMD^2 = mean_{b,c,c'} [k(t_c, t_c') + k(s_c, s_c') - 2 k(s_c, t_c')], k(u, v) = <u, v>^2 and every channel's row
    over time at unit length. Channel counts may differ.

    Reads the labels and the maps of those of the teacher's stages with a time axis that match the student's by relative
    depth, at the shorter of both lengths. A row of one time step would be 1 or -1, whose squared products are constant.

    Source: Huang, Wang, "Like what you like: knowledge distill via neuron selectivity transfer", 2017,
    https://arxiv.org/abs/1707.01219; its polynomial kernel, of degree 2 and without offset. Default: weight 50, as in
    https://github.com/HobbitLong/RepDistiller (CIFAR-100: a start, not tuned).

    Args:
        setup: what the run tells the method.
        weight: of the match.

    Raises:
        NotApplicable: where a network has no stage with a time axis.

    Deviations: patterns over time in place of an image's; stages are matched by relative depth.
    """

    kind = "feature"
    checked_against = ("nst",)

    def __init__(
        self, setup: Setup, *, weight: Annotated[float, Range(0, 1e5, search=(1, 500), log=True)] = 50.0
    ) -> None:
        super().__init__(setup)
        self.weight = weight
        self.pairs = matched_stages(setup.student, setup.taught_by, timed=True)
        if not self.pairs:
            raise NotApplicable("a channel of one time step normalises to 1 or -1, whatever its value")
        self.lengths = [min(setup.student.stages[i][1], setup.taught_by.stages[j][1]) for i, j in self.pairs]

    def losses(self, batch: Batch, student: Outputs, teacher: Outputs) -> Losses:
        match = [
            _discrepancy(stage_at(student, i, length), stage_at(teacher, j, length))
            for (i, j), length in zip(self.pairs, self.lengths, strict=True)
        ]
        return {"hard": cross_entropy(student.logits, batch.y), "match": self.weight * torch.stack(match).sum()}


def _discrepancy(student: Tensor, teacher: Tensor) -> Tensor:
    """Squared maximum mean discrepancy of the channels of two maps (B, C, T) of equal length."""
    s, t = F.normalize(student, dim=2), F.normalize(teacher, dim=2)  # zero rows stay zero
    return _mean_kernel(t, t) + _mean_kernel(s, s) - 2 * _mean_kernel(s, t)


def _mean_kernel(a: Tensor, b: Tensor) -> Tensor:
    return torch.bmm(a, b.transpose(1, 2)).square().mean()
