"""Probabilistic knowledge transfer."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from kdbench.architectures import Outputs, Range
from kdbench.methods._base import Batch, Losses, Method, NotApplicable, Setup
from kdbench.methods._functional import at_least_float32, cross_entropy

EPS = 1e-7  # the authors'; it counts where probabilities are small


class PKT(Method):
    """Match the probabilities that two windows of a batch are neighbours.

    Formula, with the cosine kernel::

        L    = CE(z_S, y) + weight (1/B^2) sum_ij P_ij(T) log( (P_ij(T) + e) / (P_ij(S) + e) )
        P_ij = K_ij / sum_j K_ij,  K_ij = (cos(v_i, v_j) + 1) / 2,  e = 1e-7

    v is the embedding. The mean runs over all B^2 pairs, those of a window with itself included, where each row's
    probabilities sum to 1. So the loss falls as 1/B: a batch twice as large needs twice the weight for the same pull.

    Source: Passalis, Tefas, "Learning deep representations with probabilistic knowledge transfer", ECCV 2018,
    https://arxiv.org/abs/1803.10837, and the authors' code, https://github.com/passalis/probabilistic_kt. Default:
    weight 30000, as in public CIFAR-100 suites at batch 64 (https://github.com/HobbitLong/RepDistiller): a starting
    point, not tuned.

    Args:
        setup: what the run tells the method.
        weight: of the divergence.

    Raises:
        NotApplicable: if the student's embedding is one number.

    Deviations: none known.
    """

    kind = "relation"
    checked_against = ("pkt",)

    def __init__(
        self, setup: Setup, *, weight: Annotated[float, Range(0, 1e7, search=(1000, 300000), log=True)] = 30000.0
    ) -> None:
        super().__init__(setup)
        if setup.student.embedding < 2:
            raise NotApplicable("an embedding of one number has the cosine 1 or -1 with any other: nothing to match")
        self.weight = weight

    def losses(self, batch: Batch, student: Outputs, teacher: Outputs) -> Losses:
        p, q = neighbours(teacher.embedding), neighbours(student.embedding)
        divergence = (p * ((p + EPS) / (q + EPS)).log()).mean()
        return {"hard": cross_entropy(student.logits, batch.y), "match": self.weight * divergence}


def neighbours(embedding: Tensor) -> Tensor:
    """Probability that window j is the neighbour of window i, (B, D) to (B, B); each row sums to 1."""
    v = at_least_float32(embedding)
    v = v / (torch.linalg.vector_norm(v, dim=1, keepdim=True) + EPS)
    kernel: Tensor = ((v @ v.T + 1) / 2).clamp_min(0)  # rounding takes a cosine below -1
    return kernel / kernel.sum(dim=1, keepdim=True)
