"""Logit standardisation: distillation from z-scores instead of logits."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor

from kdbench.architectures import Outputs, Range
from kdbench.methods._base import Batch, Losses, Method, NotApplicable, Setup
from kdbench.methods._functional import at_least_float32, cross_entropy, soft_divergence


class LSKD(Method):
    """Match the softened probabilities of standardised logits: their mean and spread need not agree.

    Formula, with the mean and the standard deviation over the K logits of one sample::

        L    = CE(z_S, y) + weight t^2 KL(softmax(Z(z_T) / t) || softmax(Z(z_S) / t))
        Z(z) = (z - mean(z)) / (std(z) + 1e-7)

    Reads the teacher's logits.

    Source: Sun, Ren, Li, Wang, Cao, "Logit standardization in knowledge distillation", CVPR 2024,
    https://arxiv.org/abs/2403.01427, code https://github.com/sunshangquan/logit-standardization-KD. Defaults: t 2,
    weight 9 beside a cross-entropy of weight 1, the code's for CIFAR-100; a starting point, not tuned.

    Args:
        setup: what the run tells the method.
        temperature: t, softens the z-scores of both networks.
        weight: of the distillation loss.

    Raises:
        NotApplicable: with two classes, whose z-scores only say which class wins.

    Deviations: none known.
    """

    kind = "logit"
    checked_against = ("lskd",)

    def __init__(
        self,
        setup: Setup,
        *,
        temperature: Annotated[float, Range(0.1, 100, search=(1, 6), log=True)] = 2.0,
        weight: Annotated[float, Range(0, 1000, search=(1, 20), log=True)] = 9.0,
    ) -> None:
        super().__init__(setup)
        if setup.classes < 3:
            raise NotApplicable("two standardised logits only say which class wins: the distillation has no gradient")
        self.temperature, self.weight = temperature, weight

    def losses(self, batch: Batch, student: Outputs, teacher: Outputs) -> Losses:
        soft = soft_divergence(_standardised(student.logits), _standardised(teacher.logits), self.temperature)
        return {"hard": cross_entropy(student.logits, batch.y), "soft": self.weight * soft}


def _standardised(logits: Tensor) -> Tensor:
    """Z-scores of each sample's logits, (B, K)."""
    logits = at_least_float32(logits)
    return (logits - logits.mean(dim=1, keepdim=True)) / (logits.std(dim=1, keepdim=True) + 1e-7)
