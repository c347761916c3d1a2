"""The temporal convolutional network: its counts, and what its outputs may see."""

from __future__ import annotations

import pytest
import torch

from kdbench.costs.counting import multiply_adds, parameters

UCI = (9, 128, 6)


def count(channels: int, units: int, levels: int, classes: int) -> int:
    """Parameters: weight-normalised convolutions (a bias and a norm for each unit), one shortcut, the head."""
    first, others = 7 * channels * units + 2 * units, 7 * units * units + 2 * units
    return first + (2 * levels - 1) * others + (channels + 1) * units + (units + 1) * classes


def test_tcn_costs_what_twelve_convolutions_and_a_shortcut_cost(build) -> None:
    network = build("tcn", UCI, small=False)
    assert parameters(network) == count(9, 64, 6, 6) == 321_990
    by_hand = 128 * (7 * 9 * 64 + 11 * 7 * 64 * 64 + 9 * 64) + 64 * 6
    assert multiply_adds(network, *UCI[:2]) == by_hand == 40_960_384


def test_eight_blocks_of_25_units_have_the_published_70_thousand_parameters(build) -> None:
    network = build("tcn", (1, 784, 10), small=False, width=25 / 64, levels=8)
    assert parameters(network) == count(1, 25, 8, 10) == 66_910
    assert round(parameters(network), -4) == 70_000


def test_later_samples_do_not_change_earlier_outputs(build) -> None:
    network = build("tcn", (3, 64, 4), small=False).eval()
    x = torch.randn(1, 3, 64, generator=torch.Generator().manual_seed(0))
    later = x.clone()
    later[:, :, 40:] += 1
    before, after = network(x), network(later)
    for a, b in zip(before.stages, after.stages, strict=True):
        assert torch.equal(a[:, :, :40], b[:, :, :40])
        assert not torch.equal(a[:, :, 40], b[:, :, 40])


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_the_last_step_sees_twelve_samples_more_for_each_dilation(build, levels: int) -> None:
    network = build("tcn", (2, 128, 4), small=False, levels=levels).double().eval()
    x = torch.randn(1, 2, 128, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    outputs = network(x)
    assert len(outputs.stages) == levels
    assert torch.equal(outputs.embedding, outputs.stages[-1][:, :, -1])
    (gradient,) = torch.autograd.grad(outputs.logits.sum(), x)
    seen = gradient[0].abs().amax(dim=0) > 0
    reach = 1 + 12 * (2**levels - 1)
    assert seen.tolist() == [False] * (128 - reach) + [True] * reach


def test_a_convolution_is_its_direction_times_its_norm(build) -> None:
    _, conv, _, _ = build("tcn", (2, 32, 3)).blocks[0].body[0]
    norm, direction = conv.parametrizations.weight.original0, conv.parametrizations.weight.original1
    for unit in range(conv.out_channels):
        length = direction[unit].square().sum().sqrt()
        torch.testing.assert_close(conv.weight[unit], norm[unit] * direction[unit] / length)
