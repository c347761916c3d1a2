"""Hint-based training: the teacher's middle stage as a target for the student's."""

from __future__ import annotations

from typing import Annotated

import torch.nn.functional as F  # noqa: N812
from torch import nn

from kdbench.architectures import Choice, Outputs, Range
from kdbench.methods._base import Batch, Losses, Method, Setup
from kdbench.methods._functional import cross_entropy
from kdbench.methods._modules import BatchNorm
from kdbench.methods._stages import stage_at


class FitNet(Method):
    """Regress the teacher's middle stage, the hint, from the student's.

    Formula: L = CE(z_S, y) + weight mean (r(s) - t)^2, s and t the student's and the teacher's stage at the relative
    depth ``depth``, r the regressor of the student's channels to the teacher's: r(s) = ReLU(BN(W s + b)), or W s + b.

    Reads the labels and one stage of the teacher, averaged over time; with ``over_time`` its map, at the shorter of
    both lengths. The regressor is trained with the student and dropped at inference.

    Source: Romero et al., "FitNets: hints for thin deep nets", ICLR 2015, https://arxiv.org/abs/1412.6550. Defaults:
    weight 100 and a regressor with BN and ReLU as in https://github.com/HobbitLong/RepDistiller (CIFAR-100: a start,
    not tuned); the middle stage as in the paper.

    Args:
        setup: what the run tells the method.
        weight: of the hint.
        depth: relative depth of the hint in both networks, 0 (first stage) to 1 (last).
        regressor: bn_relu | linear. A ReLU reaches no negative feature, which recurrent and attention stages have:
            take linear for such a teacher.
        over_time: whether the stages are compared at every time step rather than as averages over time.

    Deviations: one stage of training with both losses, as in public code, where the paper first trains the lower half
    by the hint alone and then the whole by softened targets; averages over time by default, and a linear map in place
    of a spatial regressor.
    """

    kind = "feature"
    checked_against = ("fitnet",)

    def __init__(
        self,
        setup: Setup,
        *,
        weight: Annotated[float, Range(0, 1e5, search=(1, 1000), log=True)] = 100.0,
        depth: Annotated[float, Range(0, 1, search=(0, 1))] = 0.5,
        regressor: Annotated[str, Choice("bn_relu", "linear")] = "bn_relu",
        over_time: bool = False,
    ) -> None:
        super().__init__(setup)
        self.weight = weight
        self.guided, self.hint = setup.student.at(depth), setup.taught_by.at(depth)
        (channels, steps), (wanted, hint_steps) = setup.student.stages[self.guided], setup.taught_by.stages[self.hint]
        self.length = min(steps, hint_steps) if over_time else 1
        self.regressor = nn.Sequential(nn.Conv1d(channels, wanted, 1))
        if regressor == "bn_relu":
            self.regressor.extend([BatchNorm(wanted), nn.ReLU()])

    def losses(self, batch: Batch, student: Outputs, teacher: Outputs) -> Losses:
        guided = self.regressor(stage_at(student, self.guided, self.length))  # (B, C_T, length)
        distance = F.mse_loss(guided, stage_at(teacher, self.hint, self.length))
        return {"hard": cross_entropy(student.logits, batch.y), "hint": self.weight * distance}
