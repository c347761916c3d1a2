"""InceptionTime against explicit arithmetic and the counts of public code."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from kdbench.costs.counting import multiply_adds, parameters

UCI = (9, 128, 6)
KERNELS = 40 + 20 + 10


def module(inputs: int) -> int:
    """Weights of one module, without biases: bottleneck, three convolutions, convolution after the maximum."""
    return inputs * 32 + 32 * 32 * KERNELS + inputs * 32


def weights(channels: int) -> int:
    """Of all convolutions: six modules and two shortcuts."""
    return module(channels) + 5 * module(128) + channels * 128 + 128 * 128


def test_inception_time_costs_what_six_modules_and_two_shortcuts_cost(build) -> None:
    network = build("inception_time", UCI, small=False)
    assert parameters(network) == weights(9) + (6 + 2) * 2 * 128 + 129 * 6 == 491_974
    assert multiply_adds(network, *UCI[:2]) == 128 * weights(9) + 128 * 6 == 62_612_224


def test_the_count_differs_from_a_public_port_by_its_odd_kernels_and_its_bare_shortcut(build) -> None:
    # The tsai library asserts 455,490 for 3 channels and 2 classes, with kernels 39, 19 and 9 and a second shortcut of
    # a normalisation alone; the authors' own code has kernels 40, 20 and 10 and a convolution in both shortcuts.
    longer_kernels, second_shortcut = 6 * 32 * 32 * 3, 128 * 128
    network = build("inception_time", (3, 128, 2), small=False)
    assert parameters(network) == 455_490 + longer_kernels + second_shortcut


def inception(x: Tensor, layer: nn.Module, slow) -> Tensor:
    """One module by explicit sums."""
    narrow = x if isinstance(layer.bottleneck, nn.Identity) else slow.conv(x, layer.bottleneck)
    branches = [slow.conv(narrow, conv, left) for (_, conv), left in zip(layer.convs, (19, 9, 4), strict=True)]
    length = x.shape[1]
    largest = torch.stack([x[:, max(0, t - 1) : min(length, t + 2)].amax(dim=1) for t in range(length)], dim=1)
    branches.append(slow.conv(largest, layer.pooled[1]))
    return slow.norm(torch.cat(branches), layer.norm).clamp(min=0)


@pytest.mark.parametrize("channels", [1, 2])
def test_a_block_is_three_modules_beside_a_shortcut(build, slow, channels: int) -> None:
    network = build("inception_time", (channels, 25, 3)).double().eval()
    slow.stir(network)
    x = torch.randn(1, channels, 25, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    outputs, z = network(x), x[0]
    for block, stage in zip(network.blocks, outputs.stages, strict=True):
        conv, norm = block.shortcut
        shortcut = slow.norm(slow.conv(z, conv), norm)
        for layer in block.body:
            z = inception(z, layer, slow)
        z = (z + shortcut).clamp(min=0)
        torch.testing.assert_close(stage[0], z, rtol=1e-12, atol=1e-12)


def test_one_channel_has_no_bottleneck_and_more_have(build) -> None:
    bottlenecks = [build("inception_time", (c, 32, 2)).blocks[0].body[0].bottleneck for c in (1, 2)]
    assert [isinstance(layer, nn.Conv1d) for layer in bottlenecks] == [False, True]
