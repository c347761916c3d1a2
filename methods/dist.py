"""DIST: correlation of the networks' predictions instead of their equality."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from kdbench.architectures import Outputs, Range
from kdbench.methods._base import Batch, Losses, Method, NotApplicable, Setup
from kdbench.methods._functional import at_least_float32, cross_entropy

CONSTANT = "with two classes the correlation between a sample's classes has no gradient"


class DIST(Method):
    """Correlate predictions with the teacher's, over the classes of a sample and over the samples of a class.

    Formula, with r Pearson's correlation, P_i a row (sample) and P^k a column (class) of the softened probabilities::

        L = CE(z_S, y) + t^2 [beta (1 - mean_i r(P_S,i, P_T,i)) + gamma (1 - mean_k r(P_S^k, P_T^k))]

    A student may keep its own scale and shift as long as its relations are the teacher's. With two classes r(P_S,i,
    P_T,i) is 1 or -1 and has no gradient: that part is left out, and the row says so. Reads the teacher's logits.

    Source: Huang, You, Wang, Qian, Xu, "Knowledge distillation from a stronger teacher", NeurIPS 2022,
    https://arxiv.org/abs/2205.10536, code https://github.com/hunto/DIST_KD. Defaults: beta 2, gamma 2, t 4, the
    values published for CIFAR-100; a starting point, not tuned.

    Args:
        setup: what the run tells the method.
        temperature: t, softens both networks' probabilities.
        beta: weight of the relation between the classes of a sample.
        gamma: weight of the relation between the samples of a class; it needs a batch of some size, and with one
            sample it is the constant t^2 gamma.

    Raises:
        NotApplicable: with two classes where gamma is 0, since nothing is left.

    Deviations: none known.
    """

    kind = "logit"
    version = 2  # 1 had the relation of two classes in its loss
    checked_against = ("dist",)

    def __init__(
        self,
        setup: Setup,
        *,
        temperature: Annotated[float, Range(0.1, 100, search=(1, 10), log=True)] = 4.0,
        beta: Annotated[float, Range(0, 100, search=(0.2, 5), log=True)] = 2.0,
        gamma: Annotated[float, Range(0, 100, search=(0.2, 5), log=True)] = 2.0,
    ) -> None:
        super().__init__(setup)
        if setup.classes < 3 and not gamma:
            raise NotApplicable(f"{CONSTANT}, and gamma=0 leaves out what is between samples")
        self.temperature, self.beta, self.gamma = temperature, beta, gamma

    def losses(self, batch: Batch, student: Outputs, teacher: Outputs) -> Losses:
        q = (at_least_float32(student.logits) / self.temperature).softmax(dim=1)  # (B, K)
        p = (at_least_float32(teacher.logits) / self.temperature).softmax(dim=1)
        losses = {"hard": cross_entropy(student.logits, batch.y)}
        if self.setup.classes > 2:
            losses["inter"] = self.temperature**2 * self.beta * (1 - _correlation(q, p).mean())
        losses["intra"] = self.temperature**2 * self.gamma * (1 - _correlation(q.T, p.T).mean())
        return losses

    def notes(self) -> tuple[str, ...]:
        void = [f"{CONSTANT}, and is left out"] if self.setup.classes < 3 else []
        return (*super().notes(), *void)


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    """Pearson's correlation of each row of a with the same row of b; 0 where one is constant."""
    a, b = a - a.mean(dim=1, keepdim=True), b - b.mean(dim=1, keepdim=True)
    lengths = torch.linalg.vector_norm(a, dim=1) * torch.linalg.vector_norm(b, dim=1)
    correlation: Tensor = (a * b).sum(dim=1) / (lengths + 1e-8)
    return correlation
