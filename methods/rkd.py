"""Relational knowledge distillation."""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from kdbench.architectures import Outputs, Range
from kdbench.methods._base import Batch, Losses, Method, Setup
from kdbench.methods._functional import at_least_float32, cross_entropy

TINY = 1e-12  # a length below which there is none
AT_ONCE = 2**22  # angles held in memory; a larger batch has its angles computed in pieces, twice


class RKD(Method):
    """Match the distances of every two windows and the angles of every three.

    Formula::

        L = CE(z_S, y) + distance_weight (1/B^2) sum_ij  h(d_ij(S) / m(S) - d_ij(T) / m(T))
                       + angle_weight    (1/B^3) sum_ijk h(c_ijk(S) - c_ijk(T))

    d_ij is the distance of the embeddings of windows i and j, m its mean over i != j, c_ijk the cosine of the angle
    at i between j and k, h the Huber loss with delta 1. What has no length has cosine 0. Where all distances are 0 they
    are all equal, hence each is the mean. One window alone has neither distance nor angle: 0.

    Source: Park, Kim, Lu, Cho, "Relational knowledge distillation", CVPR 2019, https://arxiv.org/abs/1904.05068, and
    the authors' code, https://github.com/lenscloth/RKD. Defaults: weights 25 and 50, as in public CIFAR-100 suites
    (https://github.com/HobbitLong/RepDistiller): starting points, not tuned.

    Args:
        setup: what the run tells the method.
        distance_weight: of the distances.
        angle_weight: of the angles.

    Deviations: equal windows are at distance 0 without a gradient, where the authors' code keeps 1e-6 of it.
    """

    kind = "relation"
    checked_against = ("rkd_distance", "rkd_angle")

    def __init__(
        self,
        setup: Setup,
        *,
        distance_weight: Annotated[float, Range(0, 1e5, search=(1, 250), log=True)] = 25.0,
        angle_weight: Annotated[float, Range(0, 1e5, search=(2, 500), log=True)] = 50.0,
    ) -> None:
        super().__init__(setup)
        self.distance_weight, self.angle_weight = distance_weight, angle_weight

    def losses(self, batch: Batch, student: Outputs, teacher: Outputs) -> Losses:
        s, t = at_least_float32(student.embedding), at_least_float32(teacher.embedding)
        d_s, d_t = distances(s), distances(t)
        return {
            "hard": cross_entropy(student.logits, batch.y),
            "distance": self.distance_weight * F.smooth_l1_loss(by_their_mean(d_s), by_their_mean(d_t)),
            "angle": self.angle_weight * angle_gap(s, d_s, t, d_t),
        }


def distances(f: Tensor) -> Tensor:
    """Euclidean distances, (B, D) to (B, B); exactly 0, and without a gradient, between equal rows."""
    return torch.cdist(f, f, compute_mode="donot_use_mm_for_euclid_dist")


def by_their_mean(distance: Tensor) -> Tensor:
    """Distances (B, B) as multiples of the mean distance of two different windows."""
    count = len(distance)
    mean = distance.sum() / max(count * (count - 1), 1)
    equal = 1 - torch.eye(count, dtype=distance.dtype, device=distance.device)
    return torch.where(mean > TINY, distance / mean.clamp_min(TINY), equal)


def angle_gap(s: Tensor, d_s: Tensor, t: Tensor, d_t: Tensor) -> Tensor:
    """Huber loss between the cosines of two sets of rows (B, D) with their distances (B, B), averaged over triplets."""
    count = len(s)
    sides = (*_products(s, d_s), *_products(t, d_t))
    pieces = torch.split(torch.arange(count, device=s.device), max(1, AT_ONCE // count**2))
    if len(pieces) == 1:
        return _gap_at(pieces[0], *sides) / count**3
    gaps = [checkpoint(_gap_at, piece, *sides, use_reentrant=False, preserve_rng_state=False) for piece in pieces]
    return torch.stack(gaps).sum() / count**3


def _products(f: Tensor, distance: Tensor) -> tuple[Tensor, Tensor]:
    """Scalar products of rows, in double precision since their differences will count, and 1 / distance (0 for 0)."""
    centred = f.double() - f.double().mean(dim=0)
    return centred @ centred.T, torch.where(distance > TINY, 1 / distance.clamp_min(TINY), 0)


def _gap_at(anchors: Tensor, p_s: Tensor, inverse_s: Tensor, p_t: Tensor, inverse_t: Tensor) -> Tensor:
    """Sum of the Huber losses over the triplets with these anchors."""
    return F.smooth_l1_loss(_cosines(anchors, p_s, inverse_s), _cosines(anchors, p_t, inverse_t), reduction="sum")


def _cosines(anchors: Tensor, product: Tensor, inverse: Tensor) -> Tensor:
    """c_ijk for the anchors i and all j, k, (A, B, B), from <f_j - f_i, f_k - f_i> = p_jk - p_ij - p_ik + p_ii.

    It needs B^3 numbers where the difference vectors themselves need B^2 D and B^3 D products.
    """
    at, own = product[anchors], product.diagonal()[anchors]
    dot = product - at[:, :, None] - at[:, None, :] + own[:, None, None]
    return dot.to(inverse.dtype) * inverse[anchors][:, :, None] * inverse[anchors][:, None, :]
