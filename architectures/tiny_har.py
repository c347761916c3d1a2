"""TinyHAR: attention across sensor channels, then one LSTM with attention over time."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from kdbench.architectures._base import Backbone, Outputs
from kdbench.architectures._blocks import scaled
from kdbench.settings import Range

_KERNEL, _STRIDES = 5, (1, 2, 1, 2)


class TinyHAR(Backbone):
    """Convolutions of each sensor channel, attention between channels, their fusion, an LSTM and attention over time.

    Source: Zhou, Zhao, Huang, Riedel, Hefenbrock, Beigl, "TinyHAR: a lightweight deep learning model designed for human
    activity recognition", ISWC 2022, https://doi.org/10.1145/3544794.3558467; layer sizes as in the authors' public
    code, https://github.com/teco-kit/ISWC22-HAR.

    Filters see one sensor channel at a time and are shared by all. At each time step the encoder lets the channels'
    vectors of 20 attend to each other. With the LSTM's steps h_t and c = sum_t softmax_t(v . tanh(W h_t + b)) h_t, the
    embedding is h_T' + g c, where g is learnt and starts at 0.

    =============  ======================================================  ==================  ============
    part           layers                                                  out                 stage
    =============  ======================================================  ==================  ============
    conv 1-4       20 filters of 5 samples x 1 channel, strides 1, 2,      (20, C, T_i)        1-4
                   1, 2, unpadded; ReLU, BN
    interaction    encoder layer over C, 1 head, feed-forward 16, GELU     (20, C, T')         5
    fusion         dropout 0.1, linear over all 20 C values, ReLU          (40, T')            6
    LSTM           T' steps, 40 units                                      (40, T')            7
    attention      the last step + g c                                     (40)                8, embedding
    head           linear                                                  (K)
    =============  ======================================================  ==================  ============

    Stages 1 to 5 are means over the sensor channels, (20, T_i): filters are their features.

    At width 1: 31,063 parameters and 3.84 M multiply-adds for 9 x 128 (T' = 26) and 6 classes.

    Args:
        channels: C.
        length: T, samples; at least 25.
        classes: K.
        width: scale of filters and units; at least 4 filters are kept, since the encoder normalises over them.

    Raises:
        ValueError: if the window is shorter than the convolutions need.

    Deviations: strides are the public code's (the paper's text has 2 in every layer, which leaves nothing of 32
    samples). The interaction is not the public code's, which has two and chooses by an option: an encoder layer of 4
    heads of 16 (64 wide inside, query, key and value without biases), or, by default, one unscaled head whose result
    enters by a learnt factor that starts at 0. Here it is torch's pre-norm encoder layer of 1 head as wide as the
    filters, with biases: fewer parameters than the former, and a feed-forward layer that the latter lacks. Numbers
    published for TinyHAR are of those variants and not of this one.
    """

    family = "hybrid"

    def __init__(
        self, channels: int, length: int, classes: int, *, width: Annotated[float, Range(0.02, 4.0)] = 1.0
    ) -> None:
        super().__init__()
        shortest = 1
        for stride in reversed(_STRIDES):
            shortest = (shortest - 1) * stride + _KERNEL
        if length < shortest:
            raise ValueError(f"a window of {length} samples: four unpadded convolutions need at least {shortest}")
        filters = max(4, scaled(20, width))
        units = 2 * filters
        self.convolutions = nn.ModuleList(
            nn.Sequential(nn.Conv2d(inputs, filters, (1, _KERNEL), (1, stride)), nn.ReLU(), nn.BatchNorm2d(filters))
            for inputs, stride in zip((1, filters, filters, filters), _STRIDES, strict=True)
        )
        self.interaction = nn.TransformerEncoderLayer(
            filters, 1, scaled(16, width), 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.dropout = nn.Dropout(0.1)
        self.fusion = nn.Linear(filters * channels, units)
        self.lstm = nn.LSTM(units, units, batch_first=True)
        self.score = nn.Sequential(nn.Linear(units, units), nn.Tanh(), nn.Linear(units, 1, bias=False))
        self.context_scale = nn.Parameter(torch.zeros(1))
        self.head = nn.Linear(units, classes)

    def forward(self, x: Tensor) -> Outputs:
        stages = []
        z = x[:, None]  # (B, 1, C, T)
        for convolution in self.convolutions:
            z = convolution(z)  # (B, filters, C, T_i)
            stages.append(z.mean(dim=2))
        steps = z.permute(0, 3, 2, 1)  # (B, T', C, filters)
        mixed = self.interaction(steps.flatten(0, 1)).unflatten(0, steps.shape[:2])  # (B, T', C, filters)
        stages.append(mixed.mean(dim=2).transpose(1, 2))
        fused = self.fusion(self.dropout(mixed).flatten(2)).relu()  # (B, T', units)
        hidden, _ = self.lstm(fused)  # (B, T', units)
        context = (self.score(hidden).softmax(dim=1) * hidden).sum(dim=1)  # (B, units)
        embedding = hidden[:, -1] + self.context_scale * context
        stages += [fused.transpose(1, 2), hidden.transpose(1, 2), embedding[:, :, None]]
        return Outputs(self.head(embedding), stages, embedding)
