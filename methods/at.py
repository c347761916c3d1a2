"""Attention transfer: where in time a stage is active."""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from kdbench.architectures import Choice, Outputs, Range
from kdbench.methods._base import Batch, Losses, Method, NotApplicable, Setup
from kdbench.methods._functional import at_least_float32, cross_entropy
from kdbench.methods._stages import matched_stages, pool_time


class AttentionTransfer(Method):
    """Match where in time the stages of both networks are active.

    Formula: L = CE(z_S, y) + weight sum_pairs d, with the attention a(f) = v / ||v||_2, v_l = mean_c |f_cl|^power, and
    d = mean_{b,l} (a(s) - a(t))^2 (``form`` code) or d = mean_b ||a(s) - a(t)||_2 (``form`` paper).

    Reads the labels and the maps of those of the teacher's stages with a time axis that match the student's by relative
    depth. Where lengths differ, the longer v is averaged to the shorter length before it is normalised.

    Source: Zagoruyko, Komodakis, "Paying more attention to attention", ICLR 2017, https://arxiv.org/abs/1612.03928.
    Defaults: form code with weight 1000, as in https://github.com/HobbitLong/RepDistiller (CIFAR-100: a start, not
    tuned). Preset ``paper``: form paper, weight beta / 2 with the beta of about 0.1 that the paper states.

    Args:
        setup: what the run tells the method.
        weight: of the distances.
        form: code (squared distance, mean over time too) | paper (distance).
        power: exponent of the activations' magnitude.

    Raises:
        NotApplicable: where a network has no stage with a time axis.

    Deviations: attention over time in place of an image's; stages are matched by relative depth.
    """

    kind = "feature"
    checked_against = ("at", "at_paper")
    presets = {"paper": {"form": "paper", "weight": 0.05}}  # noqa: RUF012

    def __init__(
        self,
        setup: Setup,
        *,
        weight: Annotated[float, Range(0, 1e6, search=(10, 1e4), log=True)] = 1000.0,
        form: Annotated[str, Choice("code", "paper")] = "code",
        power: Annotated[int, Range(1, 4)] = 2,
    ) -> None:
        super().__init__(setup)
        self.weight, self.form, self.power = weight, form, power
        self.pairs = matched_stages(setup.student, setup.taught_by, timed=True)
        if not self.pairs:
            raise NotApplicable("a stage of one time step has the same attention whatever the window")

    def losses(self, batch: Batch, student: Outputs, teacher: Outputs) -> Losses:
        match = [self.distance(student.stages[i], teacher.stages[j]) for i, j in self.pairs]
        return {"hard": cross_entropy(student.logits, batch.y), "match": self.weight * torch.stack(match).sum()}

    def distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Distance of the attentions of two maps (B, C, T), whose channels and lengths may differ."""
        length = min(student.shape[2], teacher.shape[2])
        difference = self.attention(student, length) - self.attention(teacher, length)  # (B, length)
        distance: Tensor = torch.linalg.vector_norm(difference, dim=1) if self.form == "paper" else difference.square()
        return distance.mean()

    def attention(self, stage: Tensor, length: int) -> Tensor:
        """Unit vector over time (B, length); zero where the whole map is."""
        activity = at_least_float32(stage).abs().pow(self.power).mean(dim=1)  # (B, T)
        return F.normalize(pool_time(activity, length), dim=1)
