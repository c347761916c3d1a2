"""Multi-layer perceptron for time series: the headline student."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor, nn

from kdbench.architectures._base import Backbone, Outputs
from kdbench.settings import Range


class MLP(Backbone):
    """Three dense layers on the flattened window.

    Source: Wang, Yan, Oates, "Time series classification from scratch with deep neural networks", IJCNN 2017,
    https://arxiv.org/abs/1611.06455.

    ======  ===========================================  ==============
    part    layers                                       out
    ======  ===========================================  ==============
    input   flatten, dropout 0.1                         (C * T)
    1       linear, ReLU (stage 1), dropout 0.2          (hidden)
    2       linear, ReLU (stage 2), dropout 0.2          (hidden)
    3       linear, ReLU (stage 3, embedding)            (hidden)
    head    dropout 0.3, linear                          (K)
    ======  ===========================================  ==============

    With 500 units: 1,080,506 parameters and 1.08 M multiply-adds for 9 x 128 and 6 classes.

    Args:
        channels: C.
        length: T, samples.
        classes: K.
        hidden: units of each layer; 500 in the source, 128 and 64 for smaller devices.

    Deviations: none known from the layers; initialisation is torch's.
    """

    family = "mlp"

    def __init__(
        self, channels: int, length: int, classes: int, *, hidden: Annotated[int, Range(1, 8192)] = 500
    ) -> None:
        super().__init__()
        self.input_dropout = nn.Dropout(0.1)
        self.layers = nn.ModuleList(nn.Linear(inputs, hidden) for inputs in (channels * length, hidden, hidden))
        self.dropout = nn.Dropout(0.2)
        self.head_dropout = nn.Dropout(0.3)
        self.head = nn.Linear(hidden, classes)

    def forward(self, x: Tensor) -> Outputs:
        first, second, third = self.layers
        a = first(self.input_dropout(x.flatten(1))).relu()  # (B, hidden)
        b = second(self.dropout(a)).relu()
        c = third(self.dropout(b)).relu()
        return Outputs(self.head(self.head_dropout(c)), (a[:, :, None], b[:, :, None], c[:, :, None]), c)
