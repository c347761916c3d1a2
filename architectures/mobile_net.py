"""MobileNet on time series: depth-wise separable convolutions."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor, nn

from kdbench.architectures._base import Backbone, Outputs
from kdbench.architectures._blocks import output_of_each, scaled
from kdbench.settings import Range

# Channels of the separable blocks; the first block of every stage but the first halves the length.
_STAGES = ((64,), (128, 128), (256, 256), (512,) * 6, (1024, 1024))


def _conv(inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution, BN, ReLU: (B, inputs, T) -> (B, outputs, ceil(T / stride))."""
    conv = nn.Conv1d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm1d(outputs), nn.ReLU())


def _separable(inputs: int, outputs: int, *, stride: int) -> nn.Sequential:
    """Convolution of each channel alone, then across channels: (B, inputs, T) -> (B, outputs, ceil(T / stride))."""
    return nn.Sequential(_conv(inputs, inputs, 3, stride=stride, groups=inputs), _conv(inputs, outputs, 1))


class MobileNet(Backbone):
    """A convolution and thirteen depth-wise separable blocks, averaged over time.

    Source: Howard et al., "MobileNets: efficient convolutional neural networks for mobile vision applications", 2017,
    https://arxiv.org/abs/1704.04861, with kernels of 3 samples for 3 x 3 pixels.

    A block is conv 3 of each channel alone, BN, ReLU, conv 1, BN, ReLU. A stage is the last map of its length.

    ======  =====================================================  =============  ======
    part    layers                                                 out            stage
    ======  =====================================================  =============  ======
    1       conv 3 of stride 2, BN, ReLU; 1 block of 64            (64, T/2)      1
    2       2 blocks of 128, the first of stride 2                 (128, T/4)     2
    3       2 blocks of 256, the first of stride 2                 (256, T/8)     3
    4       6 blocks of 512, the first of stride 2                 (512, T/16)    4
    5       2 blocks of 1024, the first of stride 2                (1024, T/32)   5
    head    mean over time of stage 5 = embedding; linear          (1024), (K)
    ======  =====================================================  =============  ======

    Lengths round up. At width 1: 3,183,366 parameters and 20.5 M multiply-adds for 9 x 128 and 6 classes.

    Args:
        channels: C.
        length: T, samples; any.
        classes: K.
        width: the source's width multiplier, of every layer's channels; 1, 0.75, 0.5 and 0.25 in the source.

    Deviations: none known from the layer table (the last block has stride 1: the source's table says 2 but keeps the
    length); initialisation is torch's.
    """

    family = "conv"

    def __init__(
        self, channels: int, length: int, classes: int, *, width: Annotated[float, Range(0.02, 4.0)] = 1.0
    ) -> None:
        super().__init__()
        inputs = scaled(32, width)
        self.stem = _conv(channels, inputs, 3, stride=2)
        self.stages = nn.ModuleList()
        for depth, stage in enumerate(_STAGES):
            blocks = nn.Sequential()
            for i, outputs in enumerate(scaled(count, width) for count in stage):
                blocks.append(_separable(inputs, outputs, stride=2 if depth and i == 0 else 1))
                inputs = outputs
            self.stages.append(blocks)
        self.head = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Outputs:
        maps = output_of_each(self.stages, self.stem(x))  # (B, C_i, T / 2^i)
        embedding = maps[-1].mean(dim=2)  # (B, C_5)
        return Outputs(self.head(embedding), maps, embedding)
