"""Curriculum temperature: a temperature that learns to make distillation harder."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Tensor, nn

from kdbench.architectures import Outputs, Range
from kdbench.methods._base import Batch, Losses, Method, Setup
from kdbench.methods._functional import cross_entropy, ramp, soft_divergence


class CTKD(Method):
    """Match the teacher's softened probabilities at a temperature that learns against the student.

    Formula::

        L         = (1 - alpha) CE(z_S, y) + alpha t^2 KL(p_T^t || p_S^t)
        t         = lowest + span sigmoid(theta), theta one learnable number that starts at 1
        lambda(e) = (1 - cos(pi min(1, e / (ramp E)))) / 2 in epoch e of E, counted from 1

    The student descends L, theta climbs it: its gradient is multiplied by -lambda, which grows from easy to hard.
    ``facts`` reports t. Reads the teacher's logits; theta is dropped at inference.

    Source: Li, Li, Yang, Zhao, Song, Luo, Li, Yang, "Curriculum temperature for knowledge distillation", AAAI 2023,
    https://arxiv.org/abs/2211.16231, code https://github.com/zhengli97/CTKD. Defaults: alpha 0.9, lowest 1, span 20
    and a ramp over 10 of 240 epochs, the code's for CIFAR-100; a starting point, not tuned.

    Args:
        setup: what the run tells the method.
        alpha: share of the teacher's targets in the loss; the labels have the rest.
        lowest: the temperature that theta can come down to.
        span: how far above that it can go.
        ramp: share of the epochs over which lambda reaches 1.

    Deviations: the global temperature alone, not the one that a small network gives for each sample. Adam's steps
    hardly depend on a gradient's scale, so here lambda matters less than under the authors' SGD.
    """

    kind = "logit"

    def __init__(
        self,
        setup: Setup,
        *,
        alpha: Annotated[float, Range(0, 1, search=(0.1, 0.95))] = 0.9,
        lowest: Annotated[float, Range(0.1, 100, search=(0.5, 4), log=True)] = 1.0,
        span: Annotated[float, Range(0.1, 100, search=(4, 40), log=True)] = 20.0,
        ramp: Annotated[float, Range(0, 1)] = 10 / 240,
    ) -> None:
        super().__init__(setup)
        self.alpha, self.lowest, self.span, self.ramp = alpha, lowest, span, ramp
        self.theta = nn.Parameter(torch.ones(()))
        self.strength = 1.0  # lambda

    def start_epoch(self, epoch: int, epochs: int) -> None:
        progress = ramp(epoch, epochs, self.ramp)
        self.strength = (1 - math.cos(math.pi * progress)) / 2

    def losses(self, batch: Batch, student: Outputs, teacher: Outputs) -> Losses:
        against = self.theta.detach() - self.strength * (self.theta - self.theta.detach())  # theta, gradient reversed
        soft = soft_divergence(student.logits, teacher.logits, self.temperature(against))
        return {"hard": (1 - self.alpha) * cross_entropy(student.logits, batch.y), "soft": self.alpha * soft}

    def temperature(self, theta: Tensor) -> Tensor:
        """t, a scalar."""
        return self.lowest + self.span * theta.sigmoid()

    def facts(self) -> dict[str, float]:
        """The temperature that the epoch ended with."""
        return {"temperature": float(self.temperature(self.theta.detach()))}
