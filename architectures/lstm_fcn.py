"""LSTM-FCN: a fully convolutional branch beside a recurrent one."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from kdbench.architectures._base import Backbone, Outputs
from kdbench.architectures._blocks import fcn_layers, output_of_each, scaled
from kdbench.settings import Range


class LSTMFCN(Backbone):
    """Three convolutions averaged over time, beside an LSTM that steps over channels.

    Source: Karim, Majumdar, Darabi, Chen, "LSTM fully convolutional networks for time series classification", IEEE
    Access 6, 2018, https://arxiv.org/abs/1709.05206; layer sizes as in the authors' public code,
    https://github.com/titu1994/LSTM-FCN.

    The dimension shuffle turns the window round for the LSTM: a step is one channel, its T samples are the features.
    The univariate series of the source take one step, C channels take C.

    ===========  ==========================================================  ==========  =========
    part         layers                                                      out         stage
    ===========  ==========================================================  ==========  =========
    conv 1       conv 8, BN, ReLU                                            (128, T)    1
    conv 2       conv 5, BN, ReLU                                            (256, T)    2
    conv 3       conv 3, BN, ReLU                                            (128, T)    3
    LSTM         C steps of T values, 128 cells; the last step               (128)       4
    embedding    concat(LSTM, mean over time of conv 3)                      (256)
    head         dropout 0.8 on the LSTM's half, linear                      (K)
    ===========  ==========================================================  ==========  =========

    At width 1: 406,534 parameters and 35.9 M multiply-adds for 9 x 128 and 6 classes.

    Args:
        channels: C.
        length: T, samples.
        classes: K.
        cells: units of the LSTM at width 1; the source chooses among 8, 64 and 128 for each dataset.
        width: scale of filters and cells.

    Deviations: one number of cells for every dataset; torch's initialisation of the LSTM (the convolutions have the
    source's, He uniform); batch normalisation has torch's epsilon of 1e-5 and momentum of 0.1, where the source's
    public code has Keras's 1e-3 and 0.99 (0.01 as torch puts it).
    """

    family = "hybrid"

    def __init__(
        self,
        channels: int,
        length: int,
        classes: int,
        *,
        cells: Annotated[int, Range(1, 1024, search=(8, 128), log=True)] = 128,
        width: Annotated[float, Range(0.02, 4.0)] = 1.0,
    ) -> None:
        super().__init__()
        narrow, wide, units = scaled(128, width), scaled(256, width), scaled(cells, width)
        self.convolutions = fcn_layers(channels, narrow, wide)
        for module in self.convolutions.modules():
            if isinstance(module, nn.Conv1d):
                nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
        self.lstm = nn.LSTM(length, units, batch_first=True)
        self.dropout = nn.Dropout(0.8)
        self.head = nn.Linear(units + narrow, classes)

    def forward(self, x: Tensor) -> Outputs:
        maps = output_of_each(self.convolutions, x)  # (B, narrow or wide, T)
        mean = maps[-1].mean(dim=2)  # (B, narrow)
        _, (states, _) = self.lstm(x)
        last = states[0]  # (B, units)
        logits = self.head(torch.cat([self.dropout(last), mean], dim=1))
        return Outputs(logits, (*maps, last[:, :, None]), torch.cat([last, mean], dim=1))
