"""Residual network for time series: the residual branch of the headline teacher alone."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor, nn

from kdbench.architectures._base import Backbone, Outputs
from kdbench.architectures._blocks import output_of_each, residual_blocks, scaled
from kdbench.settings import Range


class ResNet(Backbone):
    """Three residual blocks of three convolutions each, averaged over time.

    Source: Wang, Yan, Oates, "Time series classification from scratch with deep neural networks", IJCNN 2017,
    https://arxiv.org/abs/1611.06455. Channels are those of the residual branch of ResNetLSTMaN (Xiao et al., IEEE TNNLS
    36(9):16589-16603, 2025); width 0.5 gives the 64, 128 and 128 of Wang et al.

    ========  ====================================================================  ==========  ======
    part      layers                                                                out         stage
    ========  ====================================================================  ==========  ======
    block 1   conv 8, BN, ReLU, conv 5, BN, ReLU, conv 3, BN; + conv 1, BN; ReLU    (128, T)    1
    block 2   the same                                                              (256, T)    2
    block 3   the same, shortcut BN only                                            (256, T)    3
    head      mean over time of block 3 = embedding; linear                         (256), (K)
    ========  ====================================================================  ==========  ======

    At width 1: 2,018,182 parameters and 257 M multiply-adds for 9 x 128 and 6 classes.

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
        self.blocks = residual_blocks(channels, narrow, wide)
        self.head = nn.Linear(wide, classes)

    def forward(self, x: Tensor) -> Outputs:
        maps = output_of_each(self.blocks, x)  # (B, narrow or wide, T)
        embedding = maps[-1].mean(dim=2)  # (B, wide)
        return Outputs(self.head(embedding), maps, embedding)
