"""The fully convolutional network against explicit arithmetic."""

from __future__ import annotations

import torch

from kdbench.costs.counting import multiply_adds, parameters

UCI = (9, 128, 6)


def test_fcn_costs_what_three_convolutions_cost(build) -> None:
    network = build("fcn", UCI, small=False)
    convolutions = (8 * 9 + 1) * 128 + (5 * 128 + 1) * 256 + (3 * 256 + 1) * 128
    assert parameters(network) == convolutions + 2 * (128 + 256 + 128) + 129 * 6 == 273_670
    by_hand = 128 * (8 * 9 * 128 + 5 * 128 * 256 + 3 * 256 * 128) + 128 * 6
    assert multiply_adds(network, *UCI[:2]) == by_hand == 34_734_848


def test_a_layer_is_a_convolution_its_normalisation_and_relu(build, slow) -> None:
    network = build("fcn", (2, 9, 3), width=0.02).double().eval()
    slow.stir(network)
    x = torch.randn(1, 2, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    outputs, z = network(x), x[0]
    for layer, left, stage in zip(network.layers, (3, 2, 1), outputs.stages, strict=True):
        (_, conv), norm, _ = layer
        z = slow.norm(slow.conv(z, conv, left), norm).clamp(min=0)
        torch.testing.assert_close(stage[0], z, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(outputs.embedding[0], z.sum(dim=1) / 9, rtol=1e-12, atol=1e-12)
