"""ConvMixer on time series: patches mixed along time and across channels in turn."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor, nn

from kdbench.architectures._base import Backbone, Outputs
from kdbench.architectures._blocks import output_of_each, scaled
from kdbench.settings import Range

_DEPTH = 8
_KERNEL = 9


class _Mixer(nn.Module):
    """Mix each channel along time, with a shortcut, then the channels of each patch: (B, units, P) -> (B, units, P)."""

    def __init__(self, units: int) -> None:
        super().__init__()
        along_time = nn.Conv1d(units, units, _KERNEL, padding=_KERNEL // 2, groups=units)
        self.time = nn.Sequential(along_time, nn.GELU(), nn.BatchNorm1d(units))
        self.channels = nn.Sequential(nn.Conv1d(units, units, 1), nn.GELU(), nn.BatchNorm1d(units))

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.channels(x + self.time(x))
        return mixed


class ConvMixer(Backbone):
    """Eight mixing layers on embedded patches, averaged over time.

    Source: Trockman, Kolter, "Patches are all you need?", TMLR 2023 (preprint 2022), https://arxiv.org/abs/2201.09792,
    its ConvMixer-256/8 with patches and kernels of samples for those of pixels; kernel 9 is the source's default.

    =========  =================================================================  ==========  ======
    part       layers                                                             out         stage
    =========  =================================================================  ==========  ======
    patches    conv 4 of stride 4, GELU, BN                                       (256, P)
    layer i    x + (conv 9 of each channel alone, GELU, BN); conv 1, GELU, BN     (256, P)    i
    head       mean over the patches of layer 8 = embedding; linear               (256), (K)
    =========  =================================================================  ==========  ======

    At width 1: 566,534 parameters and 17.7 M multiply-adds for 9 x 128 and 6 classes.

    Args:
        channels: C.
        length: T, samples, at least one patch; P = floor(T / patch) patches are read, samples after the last are not.
        classes: K.
        width: scale of the 256 channels.
        patch: samples of a patch; 4 leaves 32 of a window of 128.

    Raises:
        ValueError: if the window is shorter than a patch.

    Deviations: none known; initialisation is torch's, as in the source.
    """

    family = "mixer"

    def __init__(
        self,
        channels: int,
        length: int,
        classes: int,
        *,
        width: Annotated[float, Range(0.02, 4.0)] = 1.0,
        patch: Annotated[int, Range(1, 32)] = 4,
    ) -> None:
        if length < patch:
            raise ValueError(f"a window of {length} samples holds no patch of {patch}")
        super().__init__()
        units = scaled(256, width)
        embed = nn.Conv1d(channels, units, patch, stride=patch)
        self.patches = nn.Sequential(embed, nn.GELU(), nn.BatchNorm1d(units))
        self.layers = nn.ModuleList(_Mixer(units) for _ in range(_DEPTH))
        self.head = nn.Linear(units, classes)

    def forward(self, x: Tensor) -> Outputs:
        maps = output_of_each(self.layers, self.patches(x))  # (B, units, P)
        embedding = maps[-1].mean(dim=2)  # (B, units)
        return Outputs(self.head(embedding), maps, embedding)
