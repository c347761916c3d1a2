"""Layers that several networks share, all on (B, C, T)."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn


def scaled(channels: int, width: float) -> int:
    """Channels of a layer at a relative width, at least one."""
    return max(1, round(channels * width))


def output_of_each(layers: Iterable[nn.Module], x: Tensor) -> list[Tensor]:
    """What each layer makes of the output of the one before it, the first of x."""
    outputs = []
    for layer in layers:
        x = layer(x)
        outputs.append(x)
    return outputs


def same_conv(inputs: int, outputs: int, kernel: int, *, bias: bool = True) -> nn.Sequential:
    """Convolution of stride 1 that keeps the length: (B, inputs, T) -> (B, outputs, T).

    An even kernel pads one sample less on the left than on the right (kernel 8: 3 left, 4 right), as TensorFlow's
    "same" padding does, where the time-series ResNet and FCN were first written.
    """
    left = (kernel - 1) // 2
    conv = nn.Conv1d(inputs, outputs, kernel, bias=bias)
    return nn.Sequential(nn.ConstantPad1d((left, kernel - 1 - left), 0.0), conv)


def fcn_layers(channels: int, narrow: int, wide: int) -> nn.ModuleList:
    """The convolutions (8, 5, 3) of the FCN, each with batch normalisation: (B, channels, T) -> (B, narrow, T).

    Source: Wang, Yan, Oates, "Time series classification from scratch with deep neural networks", IJCNN 2017,
    https://arxiv.org/abs/1611.06455.
    """
    shapes = ((channels, narrow, 8), (narrow, wide, 5), (wide, narrow, 3))
    return nn.ModuleList(
        nn.Sequential(same_conv(inputs, outputs, kernel), nn.BatchNorm1d(outputs), nn.ReLU())
        for inputs, outputs, kernel in shapes
    )


class ResidualBlock(nn.Module):
    """Three convolutions (8, 5, 3) with batch normalisation and a shortcut: (B, inputs, T) -> (B, outputs, T).

    Source: Wang, Yan, Oates, "Time series classification from scratch with deep neural networks", IJCNN 2017,
    https://arxiv.org/abs/1611.06455.

    Args:
        inputs: channels in.
        outputs: channels out.
        project: whether the shortcut has a convolution 1 before its normalisation (needed where channels change).
    """

    def __init__(self, inputs: int, outputs: int, *, project: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            same_conv(inputs, outputs, 8), nn.BatchNorm1d(outputs), nn.ReLU(),
            same_conv(outputs, outputs, 5), nn.BatchNorm1d(outputs), nn.ReLU(),
            same_conv(outputs, outputs, 3), nn.BatchNorm1d(outputs),
        )  # fmt: skip
        norm = nn.BatchNorm1d(outputs)
        self.shortcut = nn.Sequential(nn.Conv1d(inputs, outputs, 1), norm) if project else norm

    def forward(self, x: Tensor) -> Tensor:
        summed: Tensor = self.body(x) + self.shortcut(x)  # (B, outputs, T)
        return summed.relu()


def residual_blocks(channels: int, narrow: int, wide: int) -> nn.ModuleList:
    """The three blocks of the ResNet: (B, channels, T) -> (B, wide, T)."""
    return nn.ModuleList(
        [
            ResidualBlock(channels, narrow, project=True),
            ResidualBlock(narrow, wide, project=True),
            ResidualBlock(wide, wide, project=False),
        ]
    )
