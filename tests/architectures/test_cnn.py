"""The light convolutional network against explicit arithmetic."""

from __future__ import annotations

import pytest
import torch

from kdbench.catalog.find import NETWORKS
from kdbench.costs.counting import multiply_adds, parameters

UCI = (9, 128, 6)


def test_cnn_costs_what_two_convolutions_and_a_dense_layer_cost(build) -> None:
    network = build("cnn", UCI, small=False)
    dense = (8 * 32 + 1) * 732 + 733 * 6
    assert parameters(network) == (5 * 9 + 1) * 8 + (5 * 8 + 1) * 8 + dense == 193_218
    by_hand = 128 * 5 * 9 * 8 + 64 * 5 * 8 * 8 + 8 * 32 * 732 + 732 * 6
    assert multiply_adds(network, *UCI[:2]) == by_hand == 258_344


def test_stages_are_taken_before_the_maximum_over_two_samples(build, slow) -> None:
    network = build("cnn", (2, 11, 3), width=0.25).double().eval()
    x = torch.randn(1, 2, 11, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    outputs, z = network(x), x[0]
    for (_, conv), stage in zip(network.convs, outputs.stages[:2], strict=True):
        z = slow.conv(z, conv, 2).clamp(min=0)
        torch.testing.assert_close(stage[0], z, rtol=1e-12, atol=1e-12)
        z = torch.stack([torch.maximum(z[:, t], z[:, t + 1]) for t in range(0, z.shape[1] - 1, 2)], dim=1)
    assert z.shape == (2, 2)  # 11 -> 5 -> 2 samples
    dense = (network.dense.weight * z.flatten()).sum(dim=1) + network.dense.bias
    torch.testing.assert_close(outputs.stages[2][0, :, 0], dense.clamp(min=0), rtol=1e-12, atol=1e-12)
    assert torch.equal(outputs.stages[2][:, :, 0], outputs.embedding)


def test_a_window_that_cannot_be_halved_twice_is_refused() -> None:
    NETWORKS.get("cnn")(2, 4, 3)
    with pytest.raises(ValueError, match="window of 3 samples"):
        NETWORKS.get("cnn")(2, 3, 3)
