"""Knowledge distillation by softened class probabilities."""

from __future__ import annotations

from typing import Annotated

from kdbench.architectures import Outputs, Range
from kdbench.methods._base import Batch, Losses, Method, Setup
from kdbench.methods._functional import cross_entropy, soft_divergence


class KD(Method):
    """Match the teacher's softened class probabilities.

    Formula: L = (1 - alpha) CE(z_S, y) + alpha t^2 KL(p_T^t || p_S^t).

    Source: Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network", 2015,
    https://arxiv.org/abs/1503.02531. Defaults: t 4, alpha 0.9, as in public CIFAR-100 suites.

    Args:
        setup: what the run tells the method.
        temperature: t, softens both networks' probabilities.
        alpha: share of the teacher's targets in the loss; the labels have the rest.

    Deviations: none known.
    """

    kind = "logit"
    checked_against = ("kd",)

    def __init__(
        self,
        setup: Setup,
        *,
        temperature: Annotated[float, Range(0.1, 100, search=(1, 10), log=True)] = 4.0,
        alpha: Annotated[float, Range(0, 1, search=(0.1, 0.95))] = 0.9,
    ) -> None:
        super().__init__(setup)
        self.temperature, self.alpha = temperature, alpha

    def losses(self, batch: Batch, student: Outputs, teacher: Outputs) -> Losses:
        soft = soft_divergence(student.logits, teacher.logits, self.temperature)
        return {"hard": (1 - self.alpha) * cross_entropy(student.logits, batch.y), "soft": self.alpha * soft}
