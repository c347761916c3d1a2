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
    are all equal, hence each is the mean. One window alone has neither distance nor angle: 0. Where the student's
    embedding is one number, its cosines are 1 or -1 and have no gradient; the row says so.

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
        dtype = at_least_float32(student.embedding).dtype
        d_s, d_t = distances(student.embedding), distances(teacher.embedding)
        gap = F.smooth_l1_loss(by_their_mean(d_s), by_their_mean(d_t))
        return {
            "hard": cross_entropy(student.logits, batch.y),
            "distance": self.distance_weight * gap.to(dtype),
            "angle": self.angle_weight * angle_gap(d_s, d_t, dtype),
        }

    def notes(self) -> tuple[str, ...]:
        void = "the student's embedding is one number: the angles have no gradient"
        return (*super().notes(), *([] if self.setup.student.embedding > 1 else [void]))


def distances(f: Tensor) -> Tensor:
    """Euclidean distances, (B, D) to (B, B), in double precision, since differences of their squares will count.

    They are exactly 0, and without a gradient, between equal rows.
    """
    return torch.cdist(f.double(), f.double(), compute_mode="donot_use_mm_for_euclid_dist")


def by_their_mean(distance: Tensor) -> Tensor:
    """Distances (B, B) as multiples of the mean distance of two different windows."""
    count = len(distance)
    mean = distance.sum() / max(count * (count - 1), 1)
    equal = 1 - torch.eye(count, dtype=distance.dtype, device=distance.device)
    return torch.where(mean > TINY, distance / mean.clamp_min(TINY), equal)


def angle_gap(d_s: Tensor, d_t: Tensor, dtype: torch.dtype) -> Tensor:
    """Huber loss between the cosines of two sets of rows with these distances (B, B), averaged over triplets."""
    count = len(d_s)
    sides = (*_sides(d_s, dtype), *_sides(d_t, dtype))
    pieces = torch.split(torch.arange(count, device=d_s.device), max(1, AT_ONCE // count**2))
    if len(pieces) == 1:
        return _gap_at(pieces[0], *sides) / count**3
    gaps = [checkpoint(_gap_at, piece, *sides, use_reentrant=False, preserve_rng_state=False) for piece in pieces]
    return torch.stack(gaps).sum() / count**3


def _sides(distance: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Squared distances as they are, and 1 / distance (0 for 0) as precise as the loss."""
    return distance.square(), torch.where(distance > TINY, 1 / distance.clamp_min(TINY), 0).to(dtype)


def _gap_at(anchors: Tensor, sq_s: Tensor, inverse_s: Tensor, sq_t: Tensor, inverse_t: Tensor) -> Tensor:
    """Sum of the Huber losses over the triplets with these anchors."""
    return F.smooth_l1_loss(_cosines(anchors, sq_s, inverse_s), _cosines(anchors, sq_t, inverse_t), reduction="sum")


def _cosines(anchors: Tensor, squared: Tensor, inverse: Tensor) -> Tensor:
    """c_ijk for the anchors i and all j, k, (A, B, B), by the law of cosines: (d_ij^2 + d_ik^2 - d_jk^2) / 2 d_ij d_ik.

    It needs B^3 numbers where the difference vectors themselves need B^2 D and B^3 D products, and unlike scalar
    products of the rows it keeps its precision where windows are much closer to each other than to the rest.
    """
    at, one_over = squared[anchors], inverse[anchors]
    dot = (at[:, :, None] + at[:, None, :] - squared) / 2
    return dot.to(inverse.dtype) * one_over[:, :, None] * one_over[:, None, :]
