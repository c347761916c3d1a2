"""Multi-level logit distillation: samples, pairs of samples and pairs of classes, at several temperatures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import torch
from torch import Tensor

from kdbench.architectures import Outputs, Range
from kdbench.methods._base import Batch, Losses, Method, Nets, Setup
from kdbench.methods._functional import at_least_float32, cross_entropy, soft_divergence
from kdbench.methods._views import AUGMENTED, jittered_and_scaled


class MLKD(Method):
    """Match probabilities, their products between samples and between classes, each at several temperatures.

    Formula, with P, Q (B, K) the teacher's and the student's softened probabilities, and m, c the confidence masks::

        L        = (1 - alpha) CE(z_S, y) + alpha (m instance + batch_weight m batch + class_weight c class)
        instance = sum_t t^2 KL(p_T^t || p_S^t)
        batch    = sum_t (1/B) || P P^T - Q Q^T ||_F^2
        class    = sum_t (1/K) || P^T P - Q^T Q ||_F^2

    The published weights are 1, for batches of 64 and 100 classes. The class level grows with (B / K)^2, so with large
    batches of few classes it starts far above the others; its weight is the first thing to tune.

    m is the share of the batch's samples whose highest probability is at most the median one, c the share of classes
    whose summed probability is at most the median one, both by the teacher at t = 1. The public code means to mask but
    multiplies means that were taken before, so what is left is these shares, mostly near one half.

    With ``second_view`` (preset ``two_views``) each batch is seen once more through a strong view, which adds
    (1 - alpha) CE and alpha instance, without a mask; the row says so, and the default is its control. There the
    teacher runs live instead of being served, which costs as much as a forward pass of a peer.

    Source: Jin, Wang, Lin, "Multi-level logit distillation", CVPR 2023,
    https://openaccess.thecvf.com/content/CVPR2023/html/Jin_Multi-Level_Logit_Distillation_CVPR_2023_paper.html, code
    https://github.com/Jin-Ying/Multi-Level-Logit-Distillation. Defaults: alpha 0.9, levels of
    weight 1 and temperatures 2, 3, 4, 5, 6, the code's for CIFAR-100; a starting point, not tuned.

    Args:
        setup: what the run tells the method.
        alpha: share of the teacher's targets in the loss.
        temperature: the lowest t.
        temperatures: how many; each is 1 above the one before.
        batch_weight: of the batch level.
        class_weight: of the class level.
        mask: whether the shares m and c count, or are 1.
        second_view: whether each batch is seen through a strong view too.
        jitter: of the strong view, standard deviation of its noise in standard deviations of a channel.
        scaling: of the strong view, standard deviation of its factors.

    Deviations: the second view is off by default, so that a gain is that of the levels and not of augmentation. The
    code's strong view is of images; ours is the jitter and scaling of Um et al., ICMI 2017. The code takes the weak
    view's logits at two of the strong view's temperatures, which looks like a slip; we take the strong view's at all
    five.
    """

    kind = "logit"
    checked_against = ("mlkd_instance", "mlkd_batch", "mlkd_class")
    presets = {"two_views": {"second_view": True}}  # noqa: RUF012

    def __init__(
        self,
        setup: Setup,
        *,
        alpha: Annotated[float, Range(0, 1, search=(0.1, 0.95))] = 0.9,
        temperature: Annotated[float, Range(0.1, 100, search=(1, 4))] = 2.0,
        temperatures: Annotated[int, Range(1, 20, search=(1, 6))] = 5,
        batch_weight: Annotated[float, Range(0, 100, search=(0.01, 1), log=True)] = 1.0,
        class_weight: Annotated[float, Range(0, 100, search=(0.001, 1), log=True)] = 1.0,
        mask: bool = True,
        second_view: bool = False,
        jitter: Annotated[float, Range(0, 10, search=(0.02, 0.5), log=True)] = 0.05,
        scaling: Annotated[float, Range(0, 10, search=(0.02, 0.5), log=True)] = 0.1,
    ) -> None:
        super().__init__(setup)
        self.alpha, self.mask, self.second_view = alpha, mask, second_view
        self.temperatures = [temperature + step for step in range(temperatures)]
        self.batch_weight, self.class_weight = batch_weight, class_weight
        self.jitter, self.scaling = jitter, scaling

    def rounds(self, batch: Batch, nets: Nets) -> Iterator[Losses]:
        losses = self.losses(batch, nets.student(batch), nets.teacher(batch))
        if self.second_view:
            strong = batch.with_inputs(jittered_and_scaled(batch.x, self.jitter, self.scaling))
            z_s, z_t = nets.student(strong).logits, nets.teacher(strong).logits
            losses["hard_strong"] = (1 - self.alpha) * cross_entropy(z_s, batch.y)
            losses["instance_strong"] = self.alpha * self.instance(z_s, z_t)
        yield losses

    def notes(self) -> tuple[str, ...]:
        return (*super().notes(), *([AUGMENTED] if self.second_view else []))

    def losses(self, batch: Batch, student: Outputs, teacher: Outputs) -> Losses:
        z_s, z_t = at_least_float32(student.logits), at_least_float32(teacher.logits)
        of_samples, of_classes = self.shares(z_t)
        between_samples, between_classes = self.products(z_s, z_t)
        return {
            "hard": (1 - self.alpha) * cross_entropy(z_s, batch.y),
            "instance": self.alpha * of_samples * self.instance(z_s, z_t),
            "batch": self.alpha * self.batch_weight * of_samples * between_samples,
            "class": self.alpha * self.class_weight * of_classes * between_classes,
        }

    def instance(self, z_s: Tensor, z_t: Tensor) -> Tensor:
        """Divergence of the logits (B, K), summed over the temperatures."""
        return torch.stack([soft_divergence(z_s, z_t, t) for t in self.temperatures]).sum()

    def products(self, z_s: Tensor, z_t: Tensor) -> tuple[Tensor, Tensor]:
        """Squared distances of the products between samples and between classes, summed over the temperatures."""
        t = z_s.new_tensor(self.temperatures)[:, None, None]
        q, p = (z_s / t).softmax(dim=2), (z_t / t).softmax(dim=2)  # (temperatures, B, K)
        samples, classes = z_s.shape
        between_samples = (p @ p.mT - q @ q.mT).square().sum() / samples
        between_classes = (p.mT @ p - q.mT @ q).square().sum() / classes
        return between_samples, between_classes

    def shares(self, z_t: Tensor) -> tuple[Tensor | float, Tensor | float]:
        """m and c: the parts of the samples and of the classes on which the teacher is not above its median."""
        if not self.mask:
            return 1.0, 1.0
        p = z_t.softmax(dim=1)
        confidence = (p.max(dim=1).values, p.sum(dim=0))
        m, c = ((x <= x.quantile(0.5)).to(x.dtype).mean() for x in confidence)
        return m, c
