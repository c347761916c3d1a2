"""Fully convolutional network for time series."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor, nn

from kdbench.architectures._base import Backbone, Outputs
from kdbench.architectures._blocks import fcn_layers, output_of_each, scaled
from kdbench.settings import Range


class FCN(Backbone):
    """Three convolutions with batch normalisation, averaged over time.

    Source: Wang, Yan, Oates, "Time series classification from scratch with deep neural networks", IJCNN 2017,
    https://arxiv.org/abs/1611.06455.

    ======  ===============================================  ==========  ======
    part    layers                                           out         stage
    ======  ===============================================  ==========  ======
    1       conv 8, BN, ReLU                                 (128, T)    1
    2       conv 5, BN, ReLU                                 (256, T)    2
    3       conv 3, BN, ReLU                                 (128, T)    3
    head    mean over time of layer 3 = embedding; linear    (128), (K)
    ======  ===============================================  ==========  ======

    At width 1: 273,670 parameters and 34.7 M multiply-adds for 9 x 128 and 6 classes.

    Args:
        channels: C.
        length: T, samples; any.
        classes: K.
        width: scale of every layer's channels.

    Deviations: initialisation is torch's; batch normalisation has torch's epsilon of 1e-5 and momentum of 0.1, where
    the source's public code has Keras's 1e-3 and 0.99 (0.01 as torch puts it).
    """

    family = "conv"

    def __init__(
        self, channels: int, length: int, classes: int, *, width: Annotated[float, Range(0.02, 4.0)] = 1.0
    ) -> None:
        super().__init__()
        narrow, wide = scaled(128, width), scaled(256, width)
        self.layers = fcn_layers(channels, narrow, wide)
        self.head = nn.Linear(narrow, classes)

    def forward(self, x: Tensor) -> Outputs:
        maps = output_of_each(self.layers, x)  # (B, narrow or wide, T)
        embedding = maps[-1].mean(dim=2)  # (B, narrow)
        return Outputs(self.head(embedding), maps, embedding)
