"""Two gated recurrent layers over time."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor, nn

from kdbench.architectures._base import Backbone, Outputs
from kdbench.architectures._blocks import scaled
from kdbench.settings import Range


class GRU(Backbone):
    """Two stacked GRU layers over time, the last step of the second.

    Source: the recurrent part of Yao, Hu, Zhao, Zhang, Abdelzaher, "DeepSense: a unified deep learning framework for
    time-series mobile sensing data processing", WWW 2017, https://arxiv.org/abs/1611.01942, units and dropout from its
    public code, https://github.com/yscacaca/DeepSense; the unit is Cho et al., "Learning phrase representations using
    RNN encoder-decoder for statistical machine translation", EMNLP 2014, https://arxiv.org/abs/1406.1078.

    ======  =========================================================  ==========  ============
    part    layers                                                     out         stage
    ======  =========================================================  ==========  ============
    GRU 1   T steps of C values, 120 units                             (120, T)    1
    GRU 2   dropout 0.5, T steps, 120 units; the last step             (120)       2, embedding
    head    dropout 0.5, linear                                        (K)
    ======  =========================================================  ==========  ============

    At width 1: 135,006 parameters and 17.0 M multiply-adds for 9 x 128 and 6 classes.

    Args:
        channels: C.
        length: T, samples.
        classes: K.
        width: scale of the units of both layers.

    Deviations: raw samples in place of the features of DeepSense's convolutions; the last step in place of the mean
    over time; torch's form of the unit, which has a second bias vector and resets after the product.
    """

    family = "recurrent"

    def __init__(
        self, channels: int, length: int, classes: int, *, width: Annotated[float, Range(0.02, 4.0)] = 1.0
    ) -> None:
        super().__init__()
        units = scaled(120, width)
        # Two modules and not one of two layers, whose inner dropout has a random state of its own on a GPU.
        self.first = nn.GRU(channels, units, batch_first=True)
        self.second = nn.GRU(units, units, batch_first=True)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(units, classes)

    def forward(self, x: Tensor) -> Outputs:
        steps, _ = self.first(x.transpose(1, 2))  # (B, T, units)
        _, states = self.second(self.dropout(steps))
        last = states[0]  # (B, units)
        return Outputs(self.head(self.dropout(last)), (steps.transpose(1, 2), last[:, :, None]), last)
