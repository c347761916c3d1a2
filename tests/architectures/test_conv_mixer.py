"""ConvMixer against explicit arithmetic."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from kdbench.catalog.find import NETWORKS
from kdbench.costs.counting import multiply_adds, parameters

UCI = (9, 128, 6)


def test_conv_mixer_costs_what_its_patches_and_eight_layers_cost(build) -> None:
    network = build("conv_mixer", UCI, small=False)
    layer = (9 + 1) * 256 + 2 * 256 + (256 + 1) * 256 + 2 * 256
    assert parameters(network) == (4 * 9 + 1) * 256 + 2 * 256 + 8 * layer + 257 * 6 == 566_534
    by_hand = 32 * (4 * 9 * 256 + 8 * (9 * 256 + 256 * 256)) + 256 * 6
    assert multiply_adds(network, *UCI[:2]) == by_hand == 17_663_488


def gelu(x: Tensor) -> Tensor:
    return torch.tensor([[v * (1 + math.erf(v / math.sqrt(2))) / 2 for v in row] for row in x.tolist()], dtype=x.dtype)


def test_a_layer_mixes_time_with_a_shortcut_and_then_channels(build, slow) -> None:
    network = build("conv_mixer", (2, 22, 3), width=0.02).double().eval()
    slow.stir(network)
    x = torch.randn(1, 2, 22, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    conv, _, norm = network.patches
    patches = [(conv.weight * x[:, :, p : p + 4]).sum(dim=(1, 2)) + conv.bias for p in (0, 4, 8, 12, 16)]
    z = slow.norm(gelu(torch.stack(patches, dim=1)), norm)
    outputs = network(x)
    assert len(outputs.stages) == 8
    for layer, stage in zip(network.layers, outputs.stages, strict=True):
        (along, _, norm_time), (across, _, norm_channels) = layer.time, layer.channels
        z = z + slow.norm(gelu(slow.conv(z, along, 4)), norm_time)
        z = slow.norm(gelu(slow.conv(z, across)), norm_channels)
        torch.testing.assert_close(stage[0], z, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(outputs.embedding[0], z.sum(dim=1) / 5, rtol=1e-10, atol=1e-12)


def test_a_window_shorter_than_a_patch_is_refused() -> None:
    NETWORKS.get("conv_mixer")(2, 8, 3, patch=8)
    with pytest.raises(ValueError, match="7 samples holds no patch of 8"):
        NETWORKS.get("conv_mixer")(2, 7, 3, patch=8)
