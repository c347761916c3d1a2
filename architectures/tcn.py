"""Temporal convolutional network: causal dilated convolutions."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from kdbench.architectures._base import Backbone, Outputs
from kdbench.architectures._blocks import output_of_each, scaled
from kdbench.settings import Range

_KERNEL = 7
_DROPOUT = 0.05


def _causal_conv(inputs: int, outputs: int, dilation: int) -> nn.Sequential:
    """Weight-normalised convolution whose output at t reads t, t - dilation, ..., t - (_KERNEL - 1) dilation."""
    pad = nn.ConstantPad1d(((_KERNEL - 1) * dilation, 0), 0.0)
    conv = weight_norm(nn.Conv1d(inputs, outputs, _KERNEL, dilation=dilation))
    return nn.Sequential(pad, conv, nn.ReLU(), nn.Dropout(_DROPOUT))


class _TemporalBlock(nn.Module):
    """Two causal convolutions and a shortcut: (B, inputs, T) -> (B, outputs, T)."""

    def __init__(self, inputs: int, outputs: int, dilation: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_causal_conv(inputs, outputs, dilation), _causal_conv(outputs, outputs, dilation))
        self.shortcut = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        summed: Tensor = self.body(x) + self.shortcut(x)  # (B, outputs, T)
        return summed.relu()


class TCN(Backbone):
    """Residual blocks of causal convolutions whose dilation doubles, read at the last step.

    Source: Bai, Kolter, Koltun, "An empirical evaluation of generic convolutional and recurrent networks for sequence
    modeling", 2018, https://arxiv.org/abs/1803.01271; kernel 7, dropout 0.05 and the last step as in the authors'
    public code for sequential MNIST, which has 8 blocks of 25 units.

    =========  ===================================================================  =========  ======
    part       layers                                                               out        stage
    =========  ===================================================================  =========  ======
    block i    (conv 7 of dilation 2^(i-1), ReLU, dropout 0.05) twice; + x; ReLU    (64, T)    i
    head       last step of the last block = embedding; linear                      (64), (K)
    =========  ===================================================================  =========  ======

    Convolutions are weight-normalised; there is no other normalisation. The first shortcut has a conv 1, unless C is
    the number of units. The last step sees 1 + 12 (2^levels - 1) samples: 757 with 6 blocks.

    At width 1: 321,990 parameters and 41.0 M multiply-adds for 9 x 128 and 6 classes.

    Args:
        channels: C.
        length: T, samples; any.
        classes: K.
        width: scale of every layer's units.
        levels: residual blocks; 6 see any window of up to 757 samples whole.

    Deviations: 64 units and 6 blocks by default (the source sets both per task); dropout of single values as in the
    public code, where the paper drops whole channels; initialisation is torch's.
    """

    family = "conv"

    def __init__(
        self,
        channels: int,
        length: int,
        classes: int,
        *,
        width: Annotated[float, Range(0.02, 4.0)] = 1.0,
        levels: Annotated[int, Range(1, 10)] = 6,
    ) -> None:
        super().__init__()
        units = scaled(64, width)
        self.blocks = nn.ModuleList(
            _TemporalBlock(units if level else channels, units, dilation=2**level) for level in range(levels)
        )
        self.head = nn.Linear(units, classes)

    def forward(self, x: Tensor) -> Outputs:
        maps = output_of_each(self.blocks, x)  # (B, units, T)
        embedding = maps[-1][:, :, -1]  # (B, units)
        return Outputs(self.head(embedding), maps, embedding)
