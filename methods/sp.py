"""Similarity-preserving knowledge distillation."""

from __future__ import annotations

from typing import Annotated

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from kdbench.architectures import Choice, Outputs, Range
from kdbench.methods._base import Batch, Losses, Method, Setup
from kdbench.methods._functional import at_least_float32, cross_entropy, unit


class SP(Method):
    """Windows that are alike to the teacher shall be alike to the student.

    Formula: L = CE(z_S, y) + weight (1/B^2) || G_S - G_T ||_F^2, G the rows of Q Q^T at unit L2 length, Q (B, -1) the
    features of a batch.

    A row of G has length 1 whatever B is, so the distance falls as 1/B: a batch twice as large needs twice the weight
    for the same pull. The weight is not rescaled here.

    Source: Tung, Mori, "Similarity-preserving knowledge distillation", ICCV 2019, https://arxiv.org/abs/1907.09682.
    Default: weight 3000, as in public CIFAR-100 suites at batch 64 (https://github.com/HobbitLong/RepDistiller) and
    CIFAR-10 suites at batch 128 (https://github.com/AberHu/Knowledge-Distillation-Zoo): a starting point, not tuned.

    Reads the teacher's embedding, or its last stage in full where ``feature`` is stage.

    Args:
        setup: what the run tells the method.
        weight: of the distance.
        feature: what is compared: embedding (the classifier's input) | stage (the last stage, channels and time
            flattened together, as the suites do with the last convolution's map).

    Deviations: by default the embedding stands for the last map, since the last stage of a network with branches sees
    one branch alone.
    """

    kind = "relation"
    checked_against = ("sp",)

    def __init__(
        self,
        setup: Setup,
        *,
        weight: Annotated[float, Range(0, 1e6, search=(100, 30000), log=True)] = 3000.0,
        feature: Annotated[str, Choice("embedding", "stage")] = "embedding",
    ) -> None:
        super().__init__(setup)
        self.weight, self.feature = weight, feature

    def losses(self, batch: Batch, student: Outputs, teacher: Outputs) -> Losses:
        gap = F.mse_loss(similarities(self.read(student)), similarities(self.read(teacher)))
        return {"hard": cross_entropy(student.logits, batch.y), "match": self.weight * gap}

    def read(self, outputs: Outputs) -> Tensor:
        """Features of each window, (B, -1)."""
        return outputs.embedding if self.feature == "embedding" else outputs.stages[-1].flatten(1)


def similarities(features: Tensor) -> Tensor:
    """How alike the windows of a batch are, (B, -1) to (B, B): rows of Q Q^T at unit length."""
    q = at_least_float32(features)
    return unit(q @ q.T)
