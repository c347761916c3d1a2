"""InceptionTime: convolutions of several lengths side by side."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from kdbench.architectures._base import Backbone, Outputs
from kdbench.architectures._blocks import same_conv, scaled
from kdbench.settings import Range

_KERNELS = (40, 20, 10)


class _Inception(nn.Module):
    """Three convolutions over a bottleneck, beside a convolution over a maximum: (B, inputs, T) -> (B, 4 filters, T).

    A single channel needs no bottleneck.
    """

    def __init__(self, inputs: int, filters: int) -> None:
        super().__init__()
        self.bottleneck = nn.Conv1d(inputs, filters, 1, bias=False) if inputs > 1 else nn.Identity()
        narrow = filters if inputs > 1 else inputs
        self.convs = nn.ModuleList(same_conv(narrow, filters, kernel, bias=False) for kernel in _KERNELS)
        self.pooled = nn.Sequential(nn.MaxPool1d(3, stride=1, padding=1), nn.Conv1d(inputs, filters, 1, bias=False))
        self.norm = nn.BatchNorm1d(4 * filters)

    def forward(self, x: Tensor) -> Tensor:
        narrow = self.bottleneck(x)  # (B, filters, T)
        branches = torch.cat([*(conv(narrow) for conv in self.convs), self.pooled(x)], dim=1)  # (B, 4 filters, T)
        normed: Tensor = self.norm(branches)
        return normed.relu()


class _Residual(nn.Module):
    """Three inception modules and a shortcut around them: (B, inputs, T) -> (B, 4 filters, T)."""

    def __init__(self, inputs: int, filters: int) -> None:
        super().__init__()
        outputs = 4 * filters
        self.body = nn.Sequential(
            _Inception(inputs, filters), _Inception(outputs, filters), _Inception(outputs, filters)
        )
        self.shortcut = nn.Sequential(nn.Conv1d(inputs, outputs, 1, bias=False), nn.BatchNorm1d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        summed: Tensor = self.body(x) + self.shortcut(x)  # (B, 4 filters, T)
        return summed.relu()


class InceptionTime(Backbone):
    """Six inception modules in two residual blocks, averaged over time.

    Source: Ismail Fawaz et al., "InceptionTime: finding AlexNet for time series classification", Data Mining and
    Knowledge Discovery 34, 2020, https://arxiv.org/abs/1909.04939; sizes and biases as in the authors' public code.

    A module is a bottleneck (conv 1, 32) under conv 40, conv 20 and conv 10 (32 each), beside a maximum over 3 samples
    and conv 1 (32); the four are concatenated, BN, ReLU.

    ========  =============================================  ==========  ======
    part      layers                                         out         stage
    ========  =============================================  ==========  ======
    block 1   3 modules; + conv 1, BN; ReLU                  (128, T)    1
    block 2   the same                                       (128, T)    2
    head      mean over time of block 2 = embedding; linear  (128), (K)
    ========  =============================================  ==========  ======

    At width 1: 491,974 parameters and 62.6 M multiply-adds for 9 x 128 and 6 classes.

    Args:
        channels: C; with one channel the first module has no bottleneck.
        length: T, samples; any.
        classes: K.
        width: scale of the filters of every branch and bottleneck.

    Deviations: one network rather than the source's ensemble of five; initialisation is torch's; batch normalisation
    has torch's epsilon of 1e-5 and momentum of 0.1, where the source's public code has Keras's 1e-3 and 0.99 (0.01 as
    torch puts it).
    """

    family = "conv"

    def __init__(
        self, channels: int, length: int, classes: int, *, width: Annotated[float, Range(0.02, 4.0)] = 1.0
    ) -> None:
        super().__init__()
        filters = scaled(32, width)
        self.blocks = nn.ModuleList([_Residual(channels, filters), _Residual(4 * filters, filters)])
        self.head = nn.Linear(4 * filters, classes)

    def forward(self, x: Tensor) -> Outputs:
        first, second = self.blocks
        shallow = first(x)  # (B, 4 filters, T)
        deep = second(shallow)
        embedding = deep.mean(dim=2)  # (B, 4 filters)
        return Outputs(self.head(embedding), (shallow, deep), embedding)
