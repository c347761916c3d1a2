"""Softmax regression representation learning: the teacher's classifier judges the student's embedding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import torch.nn.functional as F  # noqa: N812
from torch import nn

from kdbench.methods._base import Batch, Losses, Method, Nets, Setup
from kdbench.methods._functional import at_least_float32, cross_entropy
from kdbench.methods._modules import BatchNorm
from kdbench.settings import Range


class SRRL(Method):
    """Match the teacher's embedding, and what the teacher's own classifier says of it.

    Formula: L = CE(z_S, y) + feature_weight mean (g - v_T)^2 + logit_weight mean (W g + c - W v_T - c)^2, with
    g = BN(A v_S) the student's embedding through the connector A, and W, c the teacher's frozen classifier.

    Reads the labels, the teacher's embedding and its classifier. The connector is trained with the student and dropped
    at inference: the student is deployed with its own classifier.

    Source: Yang et al., "Knowledge distillation via softmax regression representation learning", ICLR 2021,
    https://openreview.net/forum?id=ZzwDy_wiWv. Defaults: both weights 1, as in
    https://github.com/jingyang2017/KD_SRRL (ImageNet: a start, not tuned).

    Args:
        setup: what the run tells the method.
        feature_weight: of the embeddings' distance.
        logit_weight: of the distance of the classifier's outputs.

    Deviations: the connector has no ReLU at its end, since an embedding may be negative here.
    """

    kind = "feature"
    checked_against = ("srrl",)

    def __init__(
        self,
        setup: Setup,
        *,
        feature_weight: Annotated[float, Range(0, 1e4, search=(0.1, 10), log=True)] = 1.0,
        logit_weight: Annotated[float, Range(0, 1e4, search=(0.1, 10), log=True)] = 1.0,
    ) -> None:
        super().__init__(setup)
        self.feature_weight, self.logit_weight = feature_weight, logit_weight
        width = setup.taught_by.embedding
        self.connector = nn.Sequential(nn.Linear(setup.student.embedding, width, bias=False), BatchNorm(width))

    def rounds(self, batch: Batch, nets: Nets) -> Iterator[Losses]:
        student, teacher = nets.student(batch), nets.teacher(batch)
        target = at_least_float32(teacher.embedding)  # (B, D_T)
        connected = self.connector(at_least_float32(student.embedding))
        judged, wanted = (
            at_least_float32(nets.teacher_head(embedding.to(teacher.embedding.dtype)))
            for embedding in (connected, target)
        )  # (B, K)
        yield {
            "hard": cross_entropy(student.logits, batch.y),
            "feature": self.feature_weight * F.mse_loss(connected, target),
            "logit": self.logit_weight * F.mse_loss(judged, wanted),
        }
