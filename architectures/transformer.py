"""A transformer encoder over the patches of a window."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Tensor, nn

from kdbench.architectures._base import Backbone, Outputs
from kdbench.architectures._blocks import scaled
from kdbench.settings import Range

_HEADS, _LAYERS = 8, 6


def _sinusoids(length: int, units: int) -> Tensor:
    """Positions (length, units): sin(t / 10000^(2i / units)) at column 2i, the cosine of the same at column 2i + 1."""
    time = torch.arange(length, dtype=torch.float32)[:, None]
    angle = time * torch.exp(torch.arange(0, units, 2) * (-math.log(10000.0) / units))
    return torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)


class Transformer(Backbone):
    """Six pre-norm encoder layers over patches of four samples, averaged over time.

    Source: the encoder is Vaswani et al., "Attention is all you need", NeurIPS 2017, https://arxiv.org/abs/1706.03762;
    its form for inertial sensors (embedding, sizes, activation, dropout, initialisation) is Shavit, Klein, "Boosting
    inertial-based human activity recognition with transformers", IEEE Access 9:53540-53547, 2021, as in their public
    code, https://github.com/yolish/har-with-imu-transformer.

    ===========  ==============================================================  =========  =======
    part         layers                                                          out        stage
    ===========  ==============================================================  =========  =======
    embedding    conv 4 of stride 4, GELU; three times conv 1, GELU;             (64, N)
                 + sinusoidal positions
    layer 1-6    z + attention of 8 heads (LN z), z + linear 128, GELU,          (64, N)    1-6
                 linear 64 (LN z); dropout 0.1
    head         LN, mean over time = embedding; dropout 0.1, linear             (64), (K)
    ===========  ==============================================================  =========  =======

    N = ceil(T / patch) patches, T / 4 rounded up by default; zeros fill up the last one.

    At width 1: 216,198 parameters and 7.55 M multiply-adds for 9 x 128 and 6 classes.

    Args:
        channels: C.
        length: T, samples.
        classes: K.
        patch: samples of a patch; 1 is the source's embedding of each sample. Time and memory of the attention grow
            with the square of the number of patches.
        width: scale of the eight heads and of the feed-forward layers.

    Deviations: patches of four samples, as vision transformers have them, where the HAR paper embeds each sample; fixed
    sinusoidal positions (the HAR paper learns them); normalisation before each part rather than after, which trains
    without a warm-up of the learning rate; the mean over time in place of a class token, so that every stage is a map
    over time; one linear layer as head, where the HAR paper has a hidden layer of a quarter the width.
    """

    family = "attention"
    positions: Tensor

    def __init__(
        self,
        channels: int,
        length: int,
        classes: int,
        *,
        patch: Annotated[int, Range(1, 32, search=(1, 16), log=True)] = 4,
        width: Annotated[float, Range(0.02, 4.0)] = 1.0,
    ) -> None:
        super().__init__()
        units, wide = _HEADS * scaled(8, width), scaled(128, width)
        self.embed = nn.Sequential(
            nn.ConstantPad1d((0, -length % patch), 0.0),
            nn.Conv1d(channels, units, patch, patch), nn.GELU(),
            nn.Conv1d(units, units, 1), nn.GELU(),
            nn.Conv1d(units, units, 1), nn.GELU(),
            nn.Conv1d(units, units, 1), nn.GELU(),
        )  # fmt: skip
        self.register_buffer("positions", _sinusoids(math.ceil(length / patch), units), persistent=False)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(units, _HEADS, wide, 0.1, "gelu", batch_first=True, norm_first=True)
            for _ in range(_LAYERS)
        )
        self.norm = nn.LayerNorm(units)
        self.dropout = nn.Dropout(0.1)
        self.head = nn.Linear(units, classes)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(self, x: Tensor) -> Outputs:
        stages = []
        z = self.embed(x).transpose(1, 2) + self.positions  # (B, N, units)
        for layer in self.layers:
            z = layer(z)
            stages.append(z.transpose(1, 2))
        embedding = self.norm(z).mean(dim=1)  # (B, units)
        return Outputs(self.head(self.dropout(embedding)), stages, embedding)
