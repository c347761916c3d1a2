"""One long short-term memory layer over time, read forwards and backwards."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor, nn

from kdbench.architectures._base import Backbone, Outputs
from kdbench.architectures._blocks import scaled
from kdbench.settings import Range


class BiLSTM(Backbone):
    """One bidirectional LSTM over time, the end of each direction, one dense layer.

    Source: bidirectional LSTMs on wearable sensors are Hammerla, Halloran, Plötz, "Deep, convolutional, and recurrent
    models for human activity recognition using wearables", IJCAI 2016, https://arxiv.org/abs/1604.08880; the layer is
    Graves, Schmidhuber, "Framewise phoneme classification with bidirectional LSTM and other neural network
    architectures", Neural Networks 18(5-6), 2005, https://doi.org/10.1016/j.neunet.2005.06.042.

    Each direction has seen the whole window where it ends: forwards at the last sample, backwards at the first. These
    two states are kept, not both states at the last sample, where the backward one has read one sample only.

    ======  =========================================================  =======  ============
    part    layers                                                     out      stage
    ======  =========================================================  =======  ============
    LSTM    T steps of C values, 64 units a direction; concat(last     (128)    1
            state forwards, last state backwards)
    dense   linear, ReLU                                               (64)     2, embedding
    head    linear                                                     (K)
    ======  =========================================================  =======  ============

    At width 1: 47,046 parameters and 4.79 M multiply-adds for 9 x 128 and 6 classes.

    Args:
        channels: C.
        length: T, samples.
        classes: K.
        width: scale of all units; 64 at width 1 and at least 8 as in `lstm`, so that the two differ by the second
            direction alone.

    Deviations: one layer, no dropout and no max-norm; the dense layer is that of `lstm`.
    """

    family = "recurrent"

    def __init__(
        self, channels: int, length: int, classes: int, *, width: Annotated[float, Range(0.02, 4.0)] = 1.0
    ) -> None:
        super().__init__()
        units = max(8, scaled(64, width))
        self.lstm = nn.LSTM(channels, units, batch_first=True, bidirectional=True)
        self.dense = nn.Linear(2 * units, units)
        self.head = nn.Linear(units, classes)

    def forward(self, x: Tensor) -> Outputs:
        _, (ends, _) = self.lstm(x.transpose(1, 2))  # (2, B, units): forwards, backwards
        both = ends.transpose(0, 1).flatten(1)  # (B, 2 units)
        embedding = self.dense(both).relu()  # (B, units)
        return Outputs(self.head(embedding), (both[:, :, None], embedding[:, :, None]), embedding)
