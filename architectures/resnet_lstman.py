"""ResNetLSTMaN: a residual convolutional branch beside an LSTM-attention branch; the headline teacher."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from kdbench.architectures._base import Backbone, Outputs
from kdbench.architectures._blocks import output_of_each, residual_blocks, scaled
from kdbench.settings import Choice, Range


class _LSTMaN(nn.Module):
    """LSTM attention network: (B, steps, width) -> (B, units).

    Query, key and value are the last steps of three LSTMs; the attention of one query with one key is the outer product
    of the two vectors, a (units, units) matrix whose rows are softmaxed, without scaling. A dense shortcut from the
    flattened input is added.
    """

    def __init__(self, steps: int, width: int, units: int) -> None:
        super().__init__()
        self.query = nn.LSTM(width, units, batch_first=True)
        self.key = nn.LSTM(width, units, batch_first=True)
        self.value = nn.LSTM(width, units, batch_first=True)
        self.shortcut = nn.Linear(steps * width, units)
        for lstm in (self.query, self.key, self.value):
            # A forget gate that starts open (Jozefowicz 2015); gates are ordered input, forget, cell, output.
            for name, start in (("bias_ih_l0", 1.0), ("bias_hh_l0", 0.0)):
                nn.init.constant_(lstm.get_parameter(name).data[units : 2 * units], start)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (lstm(x)[1][0][0] for lstm in (self.query, self.key, self.value))  # last hidden states, (B, units)
        attention = torch.softmax(q[:, :, None] * k[:, None, :], dim=-1)  # (B, units, units)
        attended = torch.bmm(attention, v[:, :, None])[:, :, 0]  # (B, units)
        shortcut: Tensor = self.shortcut(x.flatten(1)).relu()
        return attended + shortcut


class ResNetLSTMaN(Backbone):
    """Residual blocks beside two LSTM attention layers, their features concatenated.

    Source: the network of Xiao et al., IEEE TNNLS 36(9):16589-16603, 2025 (the teacher of HMKD), as in the first
    author's public code for time-series networks; the residual branch is Wang, Yan, Oates, IJCNN 2017,
    https://arxiv.org/abs/1611.06455.

    ===========  ====================================================================  ===========  =======
    part         layers                                                                out          stage
    ===========  ====================================================================  ===========  =======
    block 1      conv 8, BN, ReLU, conv 5, BN, ReLU, conv 3, BN; + conv 1, BN; ReLU    (128, T)     1
    block 2      the same                                                              (256, T)     2
    block 3      the same, shortcut BN only                                            (256, T)     3
    LSTMaN 1     three LSTMs over the raw window, outer-product attention; + dense     (128)        4
    LSTMaN 2     the same over LSTMaN 1's output as one step                           (128)        5
    head         concat(mean over time of block 3, LSTMaN 2) = embedding; linear       (384), (K)
    ===========  ====================================================================  ===========  =======

    At width 1: 2,975,622 parameters and 261 M multiply-adds for 9 x 128 and 6 classes.

    Args:
        channels: C.
        length: T, samples.
        classes: K.
        width: scale of every layer's channels and units.
        lstm_axis: what the first LSTMs step over: "channel" (C steps, each the whole window of one channel, as in the
            source) or "time" (T steps of C values).

    Deviations: none known from the layer table; initialisation is torch's, with a forget-gate bias of 1.
    """

    family = "hybrid"

    def __init__(
        self,
        channels: int,
        length: int,
        classes: int,
        *,
        width: Annotated[float, Range(0.02, 4.0)] = 1.0,
        lstm_axis: Annotated[str, Choice("channel", "time")] = "channel",
    ) -> None:
        super().__init__()
        narrow, wide, units = scaled(128, width), scaled(256, width), scaled(128, width)
        self.blocks = residual_blocks(channels, narrow, wide)
        self.over_time = lstm_axis == "time"
        steps, step_width = (length, channels) if self.over_time else (channels, length)
        self.attend_input = _LSTMaN(steps, step_width, units)
        self.attend_again = _LSTMaN(1, units, units)
        self.head = nn.Linear(wide + units, classes)

    def forward(self, x: Tensor) -> Outputs:
        maps = output_of_each(self.blocks, x)  # (B, narrow or wide, T)
        first = self.attend_input(x.transpose(1, 2) if self.over_time else x)  # (B, units)
        second = self.attend_again(first[:, None, :])  # (B, units)
        embedding = torch.cat([maps[-1].mean(dim=2), second], dim=1)  # (B, wide + units)
        return Outputs(self.head(embedding), (*maps, first[:, :, None], second[:, :, None]), embedding)
