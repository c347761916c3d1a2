"""OFA: exits from the student's stages into the space of logits, where unlike networks can be compared."""

from __future__ import annotations

from typing import Annotated

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from kdbench.architectures import Outputs, Range
from kdbench.methods._base import Batch, Losses, Method, Setup
from kdbench.methods._functional import at_least_float32, cross_entropy, total


class OFA(Method):
    """Give every stage of the student an exit to logits, which the teacher's logits teach.

    Formula, with u_i = A_i f_i the logits of the exit head on the i-th stage vector::

        L       = CE(z_S, y) + weight OFA(z_S) + exit_weight sum_i OFA(u_i)
        OFA(z)  = -sum_k [(p_T^t,k + 1[k = y])^eps - 1[k = y]] log p_k^t(z)

    With eps 1 this is the cross-entropy with the teacher's probabilities; a larger one strengthens the label where the
    teacher is sure of it. Stages of unlike networks say nothing to each other, logits do: only the teacher's logits
    are read, so any pair will do. The exit heads are trained with the student and dropped at inference.

    Source: Hao, Guo, Han, Tang, Hu, Wang, Xu, "One-for-all: bridge the gap between heterogeneous architectures in
    knowledge distillation", NeurIPS 2023, https://arxiv.org/abs/2310.19444, code https://github.com/Hao840/OFAKD.
    Defaults: eps 1, t 1 and all weights 1, the code's.

    Args:
        setup: what the run tells the method.
        eps: exponent of the enhanced target.
        temperature: t, softens the probabilities of both networks and of the exits.
        weight: of the student's own logits' part.
        exit_weight: of each exit's part.

    Deviations: an exit is one linear layer on the stage averaged over time, where the code has further separable
    convolutions before the average, or attention blocks, depending on the architecture. Every stage has an exit; the
    code cuts all networks into four stages. Computed from log-softmax: the code's logarithm of a softmax is infinite
    for confident networks.
    """

    kind = "logit"
    checked_against = ("ofa",)

    def __init__(
        self,
        setup: Setup,
        *,
        eps: Annotated[float, Range(0.1, 10, search=(1, 2))] = 1.0,
        temperature: Annotated[float, Range(0.1, 100, search=(1, 5), log=True)] = 1.0,
        weight: Annotated[float, Range(0, 100, search=(0.1, 10), log=True)] = 1.0,
        exit_weight: Annotated[float, Range(0, 100, search=(0.1, 10), log=True)] = 1.0,
    ) -> None:
        super().__init__(setup)
        self.eps, self.temperature, self.weight, self.exit_weight = eps, temperature, weight, exit_weight
        self.exits = nn.ModuleList(nn.Linear(channels, setup.classes) for channels, _ in setup.student.stages)

    def losses(self, batch: Batch, student: Outputs, teacher: Outputs) -> Losses:
        target = self.enhanced(teacher.logits, batch.y)  # (B, K)
        guesses = [head(at_least_float32(f)) for head, f in zip(self.exits, student.pooled, strict=True)]  # (B, K) each
        return {
            "hard": cross_entropy(student.logits, batch.y),
            "soft": self.weight * self.distance(student.logits, target),
            "exits": self.exit_weight * total([self.distance(guess, target) for guess in guesses]),
        }

    def enhanced(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The teacher's probabilities with the label strengthened, (B, K): (p + 1[k = y])^eps - 1[k = y]."""
        log_p = F.log_softmax(at_least_float32(logits) / self.temperature, dim=1)
        is_label = F.one_hot(labels, logits.shape[1]).bool()
        of_label = (self.eps * log_p.exp().log1p()).expm1()
        return of_label.where(is_label, (self.eps * log_p).exp())

    def distance(self, logits: Tensor, target: Tensor) -> Tensor:
        """Cross-entropy of logits (B, K) with a target (B, K) that need not sum to 1."""
        log_q = F.log_softmax(at_least_float32(logits) / self.temperature, dim=1)
        return -(target * log_q).sum(dim=1).mean()
