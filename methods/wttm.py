"""Transformed teacher matching: a power of the teacher's probabilities, and none of the student's."""

from __future__ import annotations

from typing import Annotated

import torch.nn.functional as F  # noqa: N812

from kdbench.architectures import Outputs, Range
from kdbench.methods._base import Batch, Losses, Method, Setup
from kdbench.methods._functional import at_least_float32, cross_entropy


class WTTM(Method):
    """Match the student's plain probabilities with a power of the teacher's, weighted by the teacher's doubt.

    Formula, over samples i and classes k::

        L    = CE(z_S, y) + weight mean_i n_i KL(P_i || p_S,i)
        P_ik = p_T,ik^power / n_i,  n_i = sum_k p_T,ik^power

    A power below 1 softens as a temperature of 1 / power does, but the student keeps temperature 1. n_i grows with the
    teacher's doubt. Without it (``weighted=False``, or the preset ``ttm``) this is transformed teacher matching. Reads
    the teacher's logits.

    Source: Zheng, Yang, "Knowledge distillation based on transformed teacher matching", ICLR 2024,
    https://arxiv.org/abs/2402.11148, code https://github.com/zkxufo/TTM. Defaults: power 0.2 and weight 4, and for the
    preset ``ttm`` power 0.1 and weight 45, the examples of the code's README for CIFAR-100 (the first is given there
    for use beside another method). n_i lies between 1 and K^(1 - power), so with few classes the same weight is less.

    Args:
        setup: what the run tells the method.
        power: exponent of the teacher's probabilities, gamma in the paper.
        weight: of the distillation loss, beta in the paper.
        weighted: whether samples have the weights n_i, or all of them 1.

    Deviations: none known.
    """

    kind = "logit"
    checked_against = ("wttm", "ttm")
    presets = {"ttm": {"weighted": False, "power": 0.1, "weight": 45.0}}  # noqa: RUF012

    def __init__(
        self,
        setup: Setup,
        *,
        power: Annotated[float, Range(0.01, 10, search=(0.05, 1), log=True)] = 0.2,
        weight: Annotated[float, Range(0, 1000, search=(0.5, 50), log=True)] = 4.0,
        weighted: bool = True,
    ) -> None:
        super().__init__(setup)
        self.power, self.weight, self.weighted = power, weight, weighted

    def losses(self, batch: Batch, student: Outputs, teacher: Outputs) -> Losses:
        log_q = F.log_softmax(at_least_float32(student.logits), dim=1)
        log_power = self.power * F.log_softmax(at_least_float32(teacher.logits), dim=1)  # log p^power
        log_n = log_power.logsumexp(dim=1)  # (B,)
        distance = F.kl_div(log_q, log_power - log_n[:, None], reduction="none", log_target=True).sum(dim=1)
        soft = (log_n.exp() * distance if self.weighted else distance).mean()
        return {"hard": cross_entropy(student.logits, batch.y), "soft": self.weight * soft}
