"""Correlation congruence."""

from __future__ import annotations

import math
from typing import Annotated

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from kdbench.architectures import Outputs, Range
from kdbench.methods._base import Batch, Losses, Method, NotApplicable, Setup
from kdbench.methods._functional import at_least_float32, cross_entropy, total, unit


class CC(Method):
    """Match the correlations of the windows in a batch, under a Gaussian kernel in Taylor expansion.

    Formula, with f the embedding at unit length::

        L    = CE(z_S, y) + weight (1/B^2) || C_S - C_T ||_F^2
        C_ij = exp(-2 gamma) sum_q=0..order (2 gamma)^q / q! <f_i, f_j>^q

    which is the Gaussian exp(-gamma ||f_i - f_j||^2), expanded.

    Source: Peng et al., "Correlation congruence for knowledge distillation", ICCV 2019,
    https://arxiv.org/abs/1904.01802. Defaults: weight 100, gamma 0.4, order 2, as a public CIFAR-10 suite sets them at
    batch 128 (https://github.com/AberHu/Knowledge-Distillation-Zoo): a starting point, not tuned. Another loss goes by
    the same name in some suites, a product of neighbouring absolute differences; this is not it.

    Args:
        setup: what the run tells the method.
        weight: of the distance.
        gamma: width of the Gaussian kernel, as a factor of the squared distance.
        order: P, the highest power in the expansion.

    Raises:
        NotApplicable: if the student's embedding is one number.

    Deviations: the correlation term alone, without the paper's softened probabilities beside it, and on batches as they
    come, without its sampling by class.
    """

    kind = "relation"
    checked_against = ("cc",)

    def __init__(
        self,
        setup: Setup,
        *,
        weight: Annotated[float, Range(0, 1e6, search=(1, 1000), log=True)] = 100.0,
        gamma: Annotated[float, Range(0.01, 10, search=(0.1, 2), log=True)] = 0.4,
        order: Annotated[int, Range(1, 20, search=(1, 4))] = 2,
    ) -> None:
        super().__init__(setup)
        if setup.student.embedding < 2:
            raise NotApplicable("an embedding of one number has the cosine 1 or -1 with any other: nothing to match")
        self.weight, self.gamma, self.order = weight, gamma, order

    def losses(self, batch: Batch, student: Outputs, teacher: Outputs) -> Losses:
        gap = F.mse_loss(self.correlation(student.embedding), self.correlation(teacher.embedding))
        return {"hard": cross_entropy(student.logits, batch.y), "match": self.weight * gap}

    def correlation(self, embedding: Tensor) -> Tensor:
        """Kernel of every two windows, (B, D) to (B, B)."""
        f = unit(at_least_float32(embedding))
        cosine, width = f @ f.T, 2 * self.gamma
        terms = [width**q / math.factorial(q) * cosine**q for q in range(self.order + 1)]
        return math.exp(-width) * total(terms)
