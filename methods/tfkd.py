"""Teacher-free distillation: a virtual teacher, designed by hand, that is always right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import torch.nn.functional as F  # noqa: N812

from kdbench.methods._base import Batch, Losses, Method, Nets, Setup
from kdbench.methods._functional import at_least_float32, cross_entropy
from kdbench.roles import Role
from kdbench.settings import Range


class TfKD(Method):
    """Learn from a virtual teacher that is sure of the label and gives the other classes the same rest.

    Formula, with u the virtual teacher's distribution and p^d its softened form::

        L   = (1 - alpha) CE(z, y) + alpha KL(p^d || p)
        u_k = correct where k = y, (1 - correct) / (K - 1) elsewhere
        p^d = softmax(u / t)

    There is no teacher: a regularisation, related to label smoothing, and a control for what soft targets do by
    themselves.

    Source: Yuan, Tay, Li, Wang, Feng, "Revisiting knowledge distillation via label smoothing regularization", CVPR
    2020, https://arxiv.org/abs/1909.11723, code https://github.com/yuanli2333/Teacher-free-Knowledge-Distillation.
    Defaults: t 20, alpha 0.1, correct 0.99, the code's for ResNet-18 on CIFAR-100; a starting point, not tuned.

    Args:
        setup: what the run tells the method.
        alpha: share of the virtual teacher's targets in the loss; the labels have the rest.
        temperature: t, of the virtual teacher alone.
        correct: what the virtual teacher gives to the label.

    Deviations: the divergence is summed over classes; the code averages it over them and multiplies by a number for
    each network, 100 for the ResNet-18, which is the same with its 100 classes. The softening is the code's: a softmax
    of probabilities, not of logits, so p^d is close to even. The method's other form, self-training, is not here: it
    is plain distillation from a teacher of the student's own kind.
    """

    kind = "self"
    roles = (Role.ABSENT,)

    def __init__(
        self,
        setup: Setup,
        *,
        alpha: Annotated[float, Range(0, 1, search=(0.05, 0.95))] = 0.1,
        temperature: Annotated[float, Range(0.01, 1000, search=(0.1, 40), log=True)] = 20.0,
        correct: Annotated[float, Range(0, 1, search=(0.9, 0.999))] = 0.99,
    ) -> None:
        super().__init__(setup)
        self.alpha, self.temperature, self.correct = alpha, temperature, correct

    def rounds(self, batch: Batch, nets: Nets) -> Iterator[Losses]:
        logits = at_least_float32(nets.student(batch).logits)
        is_label = F.one_hot(batch.y, logits.shape[1]).to(logits.dtype)
        elsewhere = (1 - self.correct) / (logits.shape[1] - 1)
        virtual = elsewhere + (self.correct - elsewhere) * is_label  # u, (B, K)
        log_target = F.log_softmax(virtual / self.temperature, dim=1)
        soft = F.kl_div(F.log_softmax(logits, dim=1), log_target, reduction="batchmean", log_target=True)
        yield {"hard": (1 - self.alpha) * cross_entropy(logits, batch.y), "soft": self.alpha * soft}
