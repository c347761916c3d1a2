"""The transformer encoder: positions, one pre-norm layer by hand, patches."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from kdbench.architectures import probe
from kdbench.costs.counting import multiply_adds, parameters

C, T, K, UNITS, WIDE, PATCHES = 9, 128, 6, 64, 128, 32


def normal(count: int, channels: int, length: int) -> Tensor:
    return torch.randn(count, channels, length, generator=torch.Generator().manual_seed(0))


def test_positions_are_sines_and_cosines(build) -> None:
    positions = build("transformer", (2, 40, 3), width=0.5).positions
    assert positions.shape == (10, 32)
    for time in range(10):
        for column in range(32):
            angle = time / 10000 ** (column // 2 * 2 / 32)
            wanted = math.cos(angle) if column % 2 else math.sin(angle)
            assert positions[time, column].item() == pytest.approx(wanted, abs=1e-5)


def test_the_order_of_patches_matters_through_their_positions_alone(build) -> None:
    network = build("transformer", (3, 32, 4)).eval()
    x = normal(2, 3, 32)
    turned = x.unflatten(2, (8, 4)).flip(2).flatten(2)  # the last patch first
    assert not torch.allclose(network(x).logits, network(turned).logits, atol=1e-4)
    network.positions.zero_()
    torch.testing.assert_close(network(x).logits, network(turned).logits, rtol=1e-4, atol=1e-5)


def test_zeros_fill_up_the_last_patch(build) -> None:
    shorter, longer = build("transformer", (3, 30, 4)).eval(), build("transformer", (3, 32, 4)).eval()
    x = normal(2, 3, 30)
    torch.testing.assert_close(shorter(x).logits, longer(torch.nn.functional.pad(x, (0, 2))).logits)
    assert probe(build("transformer", (3, 30, 4), patch=1), 3, 30).stages[0][1] == 30


def test_a_layer_adds_attention_and_feed_forward_of_what_is_normalised_before(build) -> None:
    network = build("transformer", (2, 12, 3), width=0.25).double().eval()  # 8 heads of 2
    outputs = network(normal(1, 2, 12).double())
    layer, z = network.layers[1], outputs.stages[0][0].T  # (N, units)
    attention = layer.self_attn

    def norm(rows: Tensor) -> Tensor:  # an untrained normalisation has weight 1 and bias 0
        centred = rows - rows.mean(dim=1, keepdim=True)
        return centred / (centred.square().mean(dim=1, keepdim=True) + 1e-5).sqrt()

    q, k, v = (norm(z) @ attention.in_proj_weight.T + attention.in_proj_bias).chunk(3, dim=1)
    heads = []
    for head in range(8):
        part = slice(2 * head, 2 * head + 2)
        scores = (q[:, part] @ k[:, part].T / math.sqrt(2)).exp()
        heads.append(scores / scores.sum(dim=1, keepdim=True) @ v[:, part])
    z = z + torch.cat(heads, dim=1) @ attention.out_proj.weight.T + attention.out_proj.bias
    hidden = norm(z) @ layer.linear1.weight.T + layer.linear1.bias
    hidden = hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2)))
    z = z + hidden @ layer.linear2.weight.T + layer.linear2.bias
    torch.testing.assert_close(outputs.stages[1][0].T, z)
    torch.testing.assert_close(outputs.embedding[0], norm(outputs.stages[-1][0].T).mean(dim=0))


def test_evaluation_says_the_same_with_and_without_gradients(build) -> None:
    network = build("transformer", (3, 32, 4)).eval()
    x = normal(2, 3, 32)
    with torch.no_grad():
        fast = network(x)
    slow = network(x)
    for a, b in zip((fast.logits, *fast.stages), (slow.logits, *slow.stages), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    assert all(stage.requires_grad for stage in slow.stages)


def test_transformer_costs_what_its_table_says(build) -> None:
    network = build("transformer", (C, T, K), small=False)
    assert probe(network, C, T).stages == ((UNITS, PATCHES),) * 6
    embedding = 4 * C * UNITS + 3 * UNITS * UNITS
    layer = 4 * UNITS * UNITS + 2 * UNITS * WIDE  # query, key, value, output; feed-forward
    biases = 4 * UNITS + 6 * (4 * UNITS + WIDE + UNITS) + K
    norms = (6 * 2 + 1) * 2 * UNITS
    assert parameters(network) == embedding + 6 * layer + UNITS * K + biases + norms == 216_198
    attention = 2 * PATCHES * PATCHES * UNITS  # scores and their use
    by_hand = PATCHES * embedding + 6 * (PATCHES * layer + attention) + UNITS * K
    assert multiply_adds(network, C, T) == by_hand == 7_545_216
