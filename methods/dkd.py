"""Decoupled knowledge distillation: the labelled class and the other classes weighted apart."""

from __future__ import annotations

from typing import Annotated

from kdbench.architectures import Outputs, Range
from kdbench.methods._base import Batch, Losses, Method, NotApplicable, Setup
from kdbench.methods._functional import NCKD_IS_VOID, cross_entropy, decoupled_divergence, ramp


class DKD(Method):
    """Match the teacher's probability of the label, and apart from it how the other classes share the rest.

    Formula, with b = (p_y, 1 - p_y) and p^ the softmax over the classes other than the label::

        L    = CE(z_S, y) + rho(e) t^2 (alpha TCKD + beta NCKD)
        TCKD = KL(b_T^t || b_S^t)
        NCKD = KL(p^_T^t || p^_S^t)
        rho  = min(1, e / (warmup E)) in epoch e of E, counted from 1

    Softened cross-entropy weighs NCKD with what the teacher leaves to the other classes, 1 - p_y, which a confident
    teacher makes small; beta does not depend on it. With two classes there is nothing to share among the others: NCKD
    is 0 for every student, and the row says so. Reads the teacher's logits.

    Source: Zhao, Cui, Song, Qiu, Liang, "Decoupled knowledge distillation", CVPR 2022,
    https://arxiv.org/abs/2203.08679. Defaults: alpha 1, beta 8, t 4 and a warm-up over 20 of 240 epochs, as in the
    authors' code for CIFAR-100 (https://github.com/megvii-research/mdistiller); a starting point, not tuned.

    Args:
        setup: what the run tells the method.
        temperature: t, softens both networks' probabilities.
        alpha: weight of the labelled class's part.
        beta: weight of the other classes' part.
        warmup: share of the epochs over which the distillation loss reaches its weight.

    Raises:
        NotApplicable: with two classes where alpha is 0, since nothing is left.

    Deviations: both parts come from log-sum-exp; the authors' code takes the logarithm of summed probabilities, which
    is infinite for confident networks.
    """

    kind = "logit"
    checked_against = ("dkd",)

    def __init__(
        self,
        setup: Setup,
        *,
        temperature: Annotated[float, Range(0.1, 100, search=(1, 10), log=True)] = 4.0,
        alpha: Annotated[float, Range(0, 100, search=(0.2, 2), log=True)] = 1.0,
        beta: Annotated[float, Range(0, 100, search=(0.5, 10), log=True)] = 8.0,
        warmup: Annotated[float, Range(0, 1)] = 20 / 240,
    ) -> None:
        super().__init__(setup)
        if setup.classes < 3 and not alpha:
            raise NotApplicable(f"{NCKD_IS_VOID}, and alpha=0 leaves out what the label's class says")
        self.temperature, self.alpha, self.beta, self.warmup = temperature, alpha, beta, warmup
        self.rho = 1.0

    def start_epoch(self, epoch: int, epochs: int) -> None:
        self.rho = ramp(epoch, epochs, self.warmup)

    def losses(self, batch: Batch, student: Outputs, teacher: Outputs) -> Losses:
        decoupled = decoupled_divergence(
            student.logits, teacher.logits, batch.y, self.temperature, alpha=self.alpha, beta=self.beta
        )
        return {"hard": cross_entropy(student.logits, batch.y), "soft": self.rho * decoupled}

    def notes(self) -> tuple[str, ...]:
        return (*super().notes(), *([NCKD_IS_VOID] if self.setup.classes < 3 else []))
