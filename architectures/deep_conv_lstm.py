"""DeepConvLSTM: convolutions shared by all sensor channels, then two recurrent layers."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor, nn

from kdbench.architectures._base import Backbone, Outputs
from kdbench.architectures._blocks import scaled
from kdbench.settings import Range

_CONVOLUTIONS, _KERNEL = 4, 5


class DeepConvLSTM(Backbone):
    """Four convolutions along time, the same for every sensor channel, and two LSTMs over what they give.

    Source: Ordóñez, Roggen, "Deep convolutional and LSTM recurrent neural networks for multimodal wearable activity
    recognition", Sensors 16(1):115, 2016, https://doi.org/10.3390/s16010115.

    Filters see one sensor channel at a time and are shared by all; the first LSTM is where channels meet. Nothing is
    padded, so every convolution takes four samples off the length.

    ===========  ===================================================  ==============  ============
    part         layers                                               out             stage
    ===========  ===================================================  ==============  ============
    conv 1       64 filters of 5 samples x 1 channel, ReLU            (64, C, T-4)    1
    conv 2       the same                                             (64, C, T-8)    2
    conv 3       the same                                             (64, C, T-12)   3
    conv 4       the same                                             (64, C, T-16)   4
    LSTM 1       dropout 0.5, T-16 steps of 64 C values, 128 units    (128, T-16)     5
    LSTM 2       dropout 0.5, 128 units; the last step                (128)           6, embedding
    head         dropout 0.5, linear                                  (K)
    ===========  ===================================================  ==============  ============

    The stage of a convolution is its mean over the sensor channels, (64, T'): filters are its features, and its size
    does not grow with C.

    At width 1: 556,358 parameters and 120 M multiply-adds for 9 x 128 and 6 classes.

    Args:
        channels: C.
        length: T, samples; at least 17.
        classes: K.
        width: scale of filters and units.

    Raises:
        ValueError: if the window is shorter than the convolutions need.

    Deviations: none known from the layers; initialisation is torch's. The paper predicts at the last step of windows of
    24 samples and keeps that step here too. Its table of parameters (384 and 20,544 of the convolutions, 942,592 and
    33,280 of the LSTMs for 113 channels) agrees, if an LSTM's weights are counted for one gate of four and its biases
    for all, and the sum of 996,800 for one of the three equal convolutions.
    """

    family = "hybrid"

    def __init__(
        self, channels: int, length: int, classes: int, *, width: Annotated[float, Range(0.02, 4.0)] = 1.0
    ) -> None:
        super().__init__()
        shortest = _CONVOLUTIONS * (_KERNEL - 1) + 1
        if length < shortest:
            raise ValueError(f"a window of {length} samples: four unpadded convolutions need at least {shortest}")
        filters, units = scaled(64, width), scaled(128, width)
        inputs = (1, *[filters] * (_CONVOLUTIONS - 1))
        self.convolutions = nn.ModuleList(nn.Conv2d(i, filters, (1, _KERNEL)) for i in inputs)
        self.first = nn.LSTM(filters * channels, units, batch_first=True)
        self.second = nn.LSTM(units, units, batch_first=True)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(units, classes)

    def forward(self, x: Tensor) -> Outputs:
        stages = []
        z = x[:, None]  # (B, 1, C, T)
        for convolution in self.convolutions:
            z = convolution(z).relu()  # (B, filters, C, T')
            stages.append(z.mean(dim=2))
        joined = z.flatten(1, 2).transpose(1, 2)  # (B, T', filters C)
        steps, _ = self.first(self.dropout(joined))  # (B, T', units)
        _, (states, _) = self.second(self.dropout(steps))
        last = states[0]  # (B, units)
        return Outputs(self.head(self.dropout(last)), (*stages, steps.transpose(1, 2), last[:, :, None]), last)
