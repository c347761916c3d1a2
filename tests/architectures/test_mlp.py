"""The headline student against explicit arithmetic."""

from __future__ import annotations

import torch
from torch import nn


def test_mlp_in_evaluation_is_three_dense_layers_and_a_classifier(build) -> None:
    network = build("mlp", (2, 3, 4), hidden=5).double().eval()
    x = torch.randn(1, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def dense(layer: nn.Linear, z: list[float]) -> list[float]:
        rows = zip(layer.weight.tolist(), layer.bias.tolist(), strict=True)
        return [b + sum(w * v for w, v in zip(row, z, strict=True)) for row, b in rows]

    outputs, z = network(x), x[0].flatten().tolist()
    for layer, stage in zip(network.layers, outputs.stages, strict=True):
        z = [max(0.0, v) for v in dense(layer, z)]
        torch.testing.assert_close(stage[0, :, 0].tolist(), z, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(outputs.logits[0].tolist(), dense(network.head, z), rtol=1e-12, atol=1e-12)


def test_stages_in_training_are_taken_before_their_dropout(build) -> None:
    network = build("mlp", (2, 3, 4), hidden=400)
    network.dropout.p = network.input_dropout.p = 0.0
    x = torch.randn(1, 2, 3, generator=torch.Generator().manual_seed(0))
    calm, noisy = network.eval()(x), network.train()(x)
    assert all(torch.equal(a, b) for a, b in zip(calm.stages, noisy.stages, strict=True))
    assert torch.equal(calm.embedding, noisy.embedding)
    assert not torch.equal(calm.logits, noisy.logits)


def test_dropout_has_the_published_rates_in_the_published_places(build) -> None:
    network = build("mlp", (2, 50, 4), hidden=300).train()
    dropped: list[tuple[int, float]] = []
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.register_forward_hook(lambda m, args, out: dropped.append((args[0].shape[1], m.p)))
    network(torch.ones(2, 2, 50))
    assert dropped == [(100, 0.1), (300, 0.2), (300, 0.2), (300, 0.3)]
