"""Light convolutional network: two convolutions, each under a maximum, and a dense layer."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor, nn

from kdbench.architectures._base import Backbone, Outputs
from kdbench.architectures._blocks import same_conv, scaled
from kdbench.settings import Range


class CNN(Backbone):
    """Two convolutions of eight filters, each followed by a maximum over two samples, and one dense layer.

    Source: layer sizes of the multi-channel network of Zheng et al., "Time series classification using multi-channels
    deep convolutional neural networks", WAIM 2014, https://doi.org/10.1007/978-3-319-08010-9_33, as in the public code
    of Ismail Fawaz et al., "Deep learning for time series classification: a review", Data Mining and Knowledge
    Discovery 33, 2019, https://arxiv.org/abs/1809.04356.

    ======  ================================================  ========  ======
    part    layers                                            out       stage
    ======  ================================================  ========  ======
    1       conv 5, ReLU                                      (8, T)    1
    2       maximum over 2, conv 5, ReLU                      (8, T/2)  2
    3       maximum over 2, flatten, linear, ReLU; embedding  (732)     3
    head    linear                                            (K)
    ======  ================================================  ========  ======

    Lengths round down. At width 1: 193,218 parameters and 0.258 M multiply-adds for 9 x 128 and 6 classes.

    Args:
        channels: C.
        length: T, samples, at least 4.
        classes: K.
        width: scale of filters and dense units.

    Raises:
        ValueError: if nothing of the window is left after the second maximum.

    Deviations: the first convolution reads all channels together, where the source has convolutions of its own for each
    channel; convolutions keep the length; initialisation is torch's.
    """

    family = "conv"

    def __init__(
        self, channels: int, length: int, classes: int, *, width: Annotated[float, Range(0.02, 4.0)] = 1.0
    ) -> None:
        if length < 4:
            raise ValueError(f"a window of {length} samples cannot be halved twice, 4 are needed")
        super().__init__()
        filters, units = scaled(8, width), scaled(732, width)
        self.convs = nn.ModuleList([same_conv(channels, filters, 5), same_conv(filters, filters, 5)])
        self.pool = nn.MaxPool1d(2)
        self.dense = nn.Linear(filters * (length // 4), units)
        self.head = nn.Linear(units, classes)

    def forward(self, x: Tensor) -> Outputs:
        first, second = self.convs
        a = first(x).relu()  # (B, filters, T)
        b = second(self.pool(a)).relu()  # (B, filters, T/2)
        c = self.dense(self.pool(b).flatten(1)).relu()  # (B, units)
        return Outputs(self.head(c), (a, b, c[:, :, None]), c)
