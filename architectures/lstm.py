"""One long short-term memory layer over time: the light recurrent student."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor, nn

from kdbench.architectures._base import Backbone, Outputs
from kdbench.architectures._blocks import scaled
from kdbench.settings import Range


class LSTM(Backbone):
    """One LSTM over time, its last step, one dense layer.

    Source: the layer is Hochreiter, Schmidhuber, "Long short-term memory", Neural Computation 9(8), 1997,
    https://doi.org/10.1162/neco.1997.9.8.1735; over raw windows of activities as in Hammerla, Halloran, Plötz, "Deep,
    convolutional, and recurrent models for human activity recognition using wearables", IJCAI 2016,
    https://arxiv.org/abs/1604.08880.

    ======  =========================================================  =======  ============
    part    layers                                                     out      stage
    ======  =========================================================  =======  ============
    LSTM    T steps of C values, 64 units; the last step               (64)     1
    dense   linear, ReLU                                               (64)     2, embedding
    head    linear                                                     (K)
    ======  =========================================================  =======  ============

    At width 1: 23,750 parameters and 2.40 M multiply-adds for 9 x 128 and 6 classes.

    Args:
        channels: C.
        length: T, samples.
        classes: K.
        width: scale of the units of both layers; 64 at width 1 is the choice of this project, a light student. At least
            8 are kept: the few rectified units of a narrower layer may all start silent.

    Deviations: none known from the layer; the paper's networks have more layers and regularisers.
    """

    family = "recurrent"

    def __init__(
        self, channels: int, length: int, classes: int, *, width: Annotated[float, Range(0.02, 4.0)] = 1.0
    ) -> None:
        super().__init__()
        units = max(8, scaled(64, width))
        self.lstm = nn.LSTM(channels, units, batch_first=True)
        self.dense = nn.Linear(units, units)
        self.head = nn.Linear(units, classes)

    def forward(self, x: Tensor) -> Outputs:
        _, (states, _) = self.lstm(x.transpose(1, 2))
        last = states[0]  # (B, units)
        embedding = self.dense(last).relu()  # (B, units)
        return Outputs(self.head(embedding), (last[:, :, None], embedding[:, :, None]), embedding)
