"""Augmented views of windows, for methods that show a sample more than once."""

from __future__ import annotations

import torch
from torch import Tensor

AUGMENTED = "trained on augmented windows (jitter, scaling), which the student alone is not"
"""What a row must say whose method shows such views."""


def jittered_and_scaled(x: Tensor, jitter: float, scaling: float) -> Tensor:
    """Another view of each window: every channel scaled by a factor of its own, noise added to every value.

    x' = a x + e, a ~ N(1, scaling^2) for each sample and channel, e ~ N(0, jitter^2) for each value; drawn from torch's
    global generator.

    Source: Um et al., "Data augmentation of wearable sensor data for Parkinson's disease monitoring using
    convolutional neural networks", ICMI 2017, https://arxiv.org/abs/1706.00527. Its public code has jitter 0.05 and
    scaling 0.1.

    Args:
        x: (B, C, T) normalised windows.
        jitter: standard deviation of the noise, in standard deviations of a channel.
        scaling: standard deviation of the factor.
    """
    factor = 1 + scaling * torch.randn_like(x[:, :, :1])
    return factor * x + jitter * torch.randn_like(x)
