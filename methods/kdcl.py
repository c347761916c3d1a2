"""Collaborative learning: two networks taught by the ensemble that they make."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from kdbench.architectures import Choice, Range
from kdbench.methods._base import Batch, Losses, Method, Nets, Setup
from kdbench.methods._functional import at_least_float32, cross_entropy, soft_divergence
from kdbench.methods._views import AUGMENTED, jittered_and_scaled
from kdbench.roles import Role

HALVINGS = 30  # of the interval that holds a share of the linear ensemble


class KDCL(Method):
    """Two networks that learn together are taught by the ensemble of their logits.

    Formula, for each network n in {T, S}, with sg the stop-gradient and z_E the ensemble's logits::

        L_n = CE(z_n, y) + weight t^2 KL(sg p^t(z_E) || p^t(z_n))

    ``ensemble`` says what z_E is, for each sample:

    - ``minlogit``: min over networks of z_n,k - z_n,y for each class k, the least doubt that either has of the label;
    - ``naive``: the logits of the network with the lower cross-entropy;
    - ``linear``: a z_S + (1 - a) z_T with the a in 0..1 of the lowest cross-entropy.

    Both networks learn from scratch. With ``views`` (preset ``augmented``) each sees the windows through an augmented
    view of its own, so that the ensemble also teaches what an augmentation must not change. Then a gain over the
    student alone, which has no augmentation, may be that of the augmentation; the row says so, and the default is its
    control.

    Source: Guo et al., "Online knowledge distillation via collaborative learning", CVPR 2020,
    https://openaccess.thecvf.com/content_CVPR_2020/html/Guo_Online_Knowledge_Distillation_via_Collaborative_Learning_CVPR_2020_paper.html.
    We know no code of the authors: t 4 and weight 1 are our choice, as is ``minlogit`` among the ensembles.

    Args:
        setup: what the run tells the method.
        ensemble: minlogit | naive | linear.
        temperature: t, softens the probabilities of the ensemble and of both networks.
        weight: of the ensemble's part.
        views: whether each network sees an augmented view of its own, rather than the windows as they are.
        jitter: of the views, standard deviation of their noise in standard deviations of a channel.
        scaling: of the views, standard deviation of their factors.

    Deviations: no views by default, so that a gain is that of the ensemble and not of augmentation. Where they are,
    they are the jitter and scaling of Um et al., ICMI 2017, with the values of its code; the paper's are of images. The
    paper's fourth ensemble, weighted by errors on held-out samples, is not here.
    """

    kind = "mutual"
    roles = (Role.PEER,)
    version = 2  # 1 augmented by default
    presets = {"augmented": {"views": True}}  # noqa: RUF012

    def __init__(
        self,
        setup: Setup,
        *,
        ensemble: Annotated[str, Choice("minlogit", "naive", "linear")] = "minlogit",
        temperature: Annotated[float, Range(0.1, 100, search=(1, 10), log=True)] = 4.0,
        weight: Annotated[float, Range(0, 100, search=(0.1, 10), log=True)] = 1.0,
        views: bool = False,
        jitter: Annotated[float, Range(0, 10, search=(0.01, 0.5), log=True)] = 0.05,
        scaling: Annotated[float, Range(0, 10, search=(0.01, 0.5), log=True)] = 0.1,
    ) -> None:
        super().__init__(setup)
        self.combine = {"minlogit": _min_logit, "naive": _naive, "linear": _linear}[ensemble]
        self.temperature, self.weight = temperature, weight
        self.views, self.jitter, self.scaling = views, jitter, scaling

    def rounds(self, batch: Batch, nets: Nets) -> Iterator[Losses]:
        mine, yours = self.view(batch), self.view(batch)
        z_s, z_t = at_least_float32(nets.student(mine).logits), at_least_float32(nets.teacher(yours).logits)
        target = self.combine(z_s.detach(), z_t.detach(), batch.y)
        yield {
            "hard_student": cross_entropy(z_s, batch.y),
            "hard_teacher": cross_entropy(z_t, batch.y),
            "soft_student": self.weight * soft_divergence(z_s, target, self.temperature),
            "soft_teacher": self.weight * soft_divergence(z_t, target, self.temperature),
        }

    def view(self, batch: Batch) -> Batch:
        """The batch as one network sees it."""
        return batch.with_inputs(jittered_and_scaled(batch.x, self.jitter, self.scaling)) if self.views else batch

    def notes(self) -> tuple[str, ...]:
        return (*super().notes(), *([AUGMENTED] if self.views else []))


def _min_logit(a: Tensor, b: Tensor, labels: Tensor) -> Tensor:
    """The lower of both networks' logits (B, K), each counted from its label's."""
    return torch.minimum(a - a.gather(1, labels[:, None]), b - b.gather(1, labels[:, None]))


def _naive(a: Tensor, b: Tensor, labels: Tensor) -> Tensor:
    """For each sample the logits of the network with the lower cross-entropy, (B, K)."""
    better = F.cross_entropy(a, labels, reduction="none") <= F.cross_entropy(b, labels, reduction="none")
    return a.where(better[:, None], b)


def _linear(a: Tensor, b: Tensor, labels: Tensor) -> Tensor:
    """For each sample the mixture of both networks' logits with the lowest cross-entropy, (B, K).

    The cross-entropy is convex in the share, so halving finds where its slope changes sign.
    """
    step = a - b
    low, high = a.new_zeros(len(a), 1), a.new_ones(len(a), 1)
    for _ in range(HALVINGS):
        share = (low + high) / 2
        slope = ((b + share * step).softmax(dim=1) * step).sum(dim=1, keepdim=True) - step.gather(1, labels[:, None])
        low, high = share.where(slope < 0, low), high.where(slope < 0, share)
    return b + (low + high) / 2 * step
