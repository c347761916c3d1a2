"""Flow of solution procedure: how a network's channels at one stage go with those at the next."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from kdbench.architectures import Outputs, Range, Shapes
from kdbench.methods._base import Batch, Losses, Method, NotApplicable, Setup
from kdbench.methods._functional import cross_entropy
from kdbench.methods._stages import matched_stages, stage_at


class FSP(Method):
    """Match the flow matrices between each two neighbouring stages.

    Formula: L = CE(z_S, y) + weight sum_k mean (G_k(S) - G_k(T))^2, where k counts the stages that both networks have
    at equal relative depths and G_k = (1 / length) sum_l f_k[:, l] f_(k+1)[:, l]^T is the matrix of inner products over
    time of stage k's channels with those of stage k + 1, at the shorter of both lengths within a network.

    Where the student's width at a stage is not the teacher's, a kernel-1 convolution without bias brings it there
    first; it is trained with the student and dropped at inference. Reads the labels and the teacher's matched stages,
    as averages over time beside a stage without a time axis.

    Source: Yim et al., "A gift from knowledge distillation: fast optimization, network minimization and transfer
    learning", CVPR 2017, https://openaccess.thecvf.com/content_cvpr_2017/html/Yim_A_Gift_From_CVPR_2017_paper.html.
    Default: weight 50, as in https://github.com/HobbitLong/RepDistiller (CIFAR-100: a start, not tuned).

    Args:
        setup: what the run tells the method.
        weight: of the flows' distance.

    Raises:
        NotApplicable: where a network has one stage alone.

    Deviations: one stage of training with both losses, where the source first trains by the flows alone; adaptors,
    where the source asks for equal widths; stages of several blocks, where the source takes both ends of a block.
    """

    kind = "feature"

    def __init__(
        self, setup: Setup, *, weight: Annotated[float, Range(0, 1e5, search=(1, 500), log=True)] = 50.0
    ) -> None:
        super().__init__(setup)
        self.weight = weight
        self.pairs = matched_stages(setup.student, setup.taught_by)
        if len(self.pairs) < 2:
            raise NotApplicable("a flow goes from one stage to another, and a network here has one alone")
        widths = [(setup.student.stages[i][0], setup.taught_by.stages[j][0]) for i, j in self.pairs]
        self.adapt = nn.ModuleList(
            nn.Identity() if mine == yours else nn.Conv1d(mine, yours, 1, bias=False) for mine, yours in widths
        )

    def losses(self, batch: Batch, student: Outputs, teacher: Outputs) -> Losses:
        mine, yours = self.setup.student, self.setup.taught_by
        match = []
        for ((i, j), adapt), ((k, m), adapt_next) in pairwise(zip(self.pairs, self.adapt, strict=True)):
            first, second = _neighbours(student, mine, i, k)
            flow = _flow(adapt(first), adapt_next(second))
            match.append(F.mse_loss(flow, _flow(*_neighbours(teacher, yours, j, m))))
        return {"hard": cross_entropy(student.logits, batch.y), "match": self.weight * torch.stack(match).sum()}


def _neighbours(outputs: Outputs, shapes: Shapes, first: int, second: int) -> tuple[Tensor, Tensor]:
    """Two stages of a network at the shorter of their lengths."""
    length = min(shapes.stages[first][1], shapes.stages[second][1])
    return stage_at(outputs, first, length), stage_at(outputs, second, length)


def _flow(first: Tensor, second: Tensor) -> Tensor:
    """Flow matrix (B, C, C') from (B, C, T) to (B, C', T)."""
    return torch.bmm(first, second.transpose(1, 2)) / first.shape[2]
