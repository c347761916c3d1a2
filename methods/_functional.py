"""Losses as pure functions of tensors; logits (B, K), batch means throughout, in float32 at least."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """The tensor in float32, or as it is if it is finer."""
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


def ramp(epoch: int, epochs: int, share: float) -> float:
    """How far a schedule is that grows in equal steps over a share of the epochs: above 0 in the first, then 1.

    Args:
        epoch: counted from 0.
        epochs: of the run.
        share: of them, 0 (no growth) to 1.
    """
    return min(1.0, (epoch + 1) / (share * epochs)) if share else 1.0


def total(losses: Sequence[Tensor]) -> Tensor:
    """Sum of at least one loss, in their order."""
    return sum(losses[1:], start=losses[0])


def unit(x: Tensor) -> Tensor:
    """Rows (..., D) at unit L2 length; a row of zeros stays as it is and has no gradient."""
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return torch.where(length > 0, x / length.clamp_min(1e-12), 0)


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of logits (B, K) with labels (B,)."""
    return F.cross_entropy(at_least_float32(logits), labels)


def soft_divergence(student: Tensor, teacher: Tensor, temperature: float | Tensor) -> Tensor:
    """Softened Kullback-Leibler divergence, t^2 KL(p_T^t || p_S^t): summed over classes, averaged over the batch.

    Source: Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network", 2015,
    https://arxiv.org/abs/1503.02531.

    Args:
        student: (B, K) logits.
        teacher: (B, K) logits.
        temperature: t > 0.
    """
    log_q = F.log_softmax(at_least_float32(student) / temperature, dim=1)
    log_p = F.log_softmax(at_least_float32(teacher) / temperature, dim=1)
    return F.kl_div(log_q, log_p, reduction="batchmean", log_target=True) * temperature**2


NCKD_IS_VOID = "with two classes the part on the classes beside the label (NCKD) is 0 whatever the student says"
"""What a row must say that has a decoupled divergence of two classes."""


def decoupled_divergence(
    student: Tensor, teacher: Tensor, labels: Tensor, temperature: float, *, alpha: float, beta: float
) -> Tensor:
    """Decoupled divergence, t^2 (alpha TCKD + beta NCKD).

    TCKD compares how much each network gives to the labelled class, NCKD how each divides the rest among the other
    classes.

    Source: Zhao et al., "Decoupled knowledge distillation", CVPR 2022, https://arxiv.org/abs/2203.08679.
    Deviation: public code takes the logarithm of summed softmaxes and masks the labelled class with -1000, which is
    infinite or wrong for confident networks; here both come from log-sum-exp.

    Args:
        student: (B, K) logits.
        teacher: (B, K) logits.
        labels: (B,) class numbers.
        temperature: t > 0.
        alpha: weight of the labelled class's part.
        beta: weight of the other classes' part.
    """
    target_s, other_s, rest_s = _split_by_label(at_least_float32(student) / temperature, labels)
    target_t, other_t, rest_t = _split_by_label(at_least_float32(teacher) / temperature, labels)
    target_part = (target_t.exp() * (target_t - target_s) + other_t.exp() * (other_t - other_s)).mean()
    other_part = F.kl_div(rest_s, rest_t, reduction="batchmean", log_target=True)
    return temperature**2 * (alpha * target_part + beta * other_part)


def _split_by_label(scaled: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probability (B,) of the label and (B,) of the other classes together, and (B, K - 1) of each among those."""
    column = torch.arange(scaled.shape[1] - 1, device=scaled.device)[None, :]  # (1, K - 1)
    others = scaled.gather(1, column + (column >= labels[:, None]))  # every class but the label, (B, K - 1)
    label, total, rest = scaled.gather(1, labels[:, None])[:, 0], scaled.logsumexp(dim=1), others.logsumexp(dim=1)
    return label - total, rest - total, others - rest[:, None]
