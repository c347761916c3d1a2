"""Weighted soft labels: less of the teacher where the student is already the better one."""

from __future__ import annotations

from typing import Annotated

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from kdbench.architectures import Outputs, Range
from kdbench.methods._base import Batch, Losses, Method, Setup
from kdbench.methods._functional import at_least_float32, cross_entropy


class WSLD(Method):
    """Match the teacher's softened probabilities, the more the further the student is behind.

    Formula, over samples i, with sg the stop-gradient::

        L   = CE(z_S, y) + alpha t^2 mean_i sg(w_i) H(p_T,i^t, p_S,i^t),  H(p, q) = -sum_k p_k log q_k
        w_i = 1 - exp(-CE(z_S,i, y_i) / (CE(z_T,i, y_i) + 1e-7))

    Soft labels lower the variance of what is learnt and may raise its bias; the weights hold the bias down. The soft
    term is a cross-entropy, so it is not 0 where the networks agree. Reads the teacher's logits.

    Source: Zhou, Song, Chen, Zhou, Wang, Yuan, Zhang, "Rethinking soft labels for knowledge distillation: a
    bias-variance tradeoff perspective", ICLR 2021, https://arxiv.org/abs/2102.00650, code
    https://github.com/bellymonster/Weighted-Soft-Label-Distillation. Defaults: t 2, alpha 2.5, the code's for
    ImageNet; a starting point, not tuned.

    Args:
        setup: what the run tells the method.
        temperature: t, softens both networks' probabilities.
        alpha: weight of the soft term.

    Deviations: none known.
    """

    kind = "logit"
    checked_against = ("wsld",)

    def __init__(
        self,
        setup: Setup,
        *,
        temperature: Annotated[float, Range(0.1, 100, search=(1, 10), log=True)] = 2.0,
        alpha: Annotated[float, Range(0, 100, search=(0.2, 5), log=True)] = 2.5,
    ) -> None:
        super().__init__(setup)
        self.temperature, self.alpha = temperature, alpha

    def losses(self, batch: Batch, student: Outputs, teacher: Outputs) -> Losses:
        z_s, z_t = at_least_float32(student.logits), at_least_float32(teacher.logits)
        weight = _lag(z_s.detach(), z_t, batch.y)
        target = (z_t / self.temperature).softmax(dim=1)
        soft = (weight * F.cross_entropy(z_s / self.temperature, target, reduction="none")).mean()
        return {
            "hard": cross_entropy(student.logits, batch.y),
            "soft": self.alpha * self.temperature**2 * soft,
        }


def _lag(student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    """w (B,) in 0..1: 0 where the student's cross-entropy is nothing beside the teacher's, 1 where it is far above."""
    behind = F.cross_entropy(student, labels, reduction="none")
    ahead = F.cross_entropy(teacher, labels, reduction="none")
    return 1 - (-behind / (ahead + 1e-7)).exp()
