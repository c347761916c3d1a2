"""TinyHAR: sensor channels alone, then attending to each other, then fused; attention over time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kdbench.architectures import probe
from kdbench.costs.counting import multiply_adds, parameters

C, T, K, FILTERS, WIDE = 9, 128, 6, 20, 16


def normal(count: int, channels: int, length: int) -> Tensor:
    return torch.randn(count, channels, length, generator=torch.Generator().manual_seed(0))


def test_channels_are_alone_in_the_convolutions_and_meet_in_the_interaction(build) -> None:
    network = build("tiny_har", (3, 40, 4)).eval()
    x = normal(1, 3, 40).requires_grad_()
    convolved = x[:, None]
    for convolution in network.convolutions:
        convolved = convolution(convolved)
    (alone,) = torch.autograd.grad(convolved[:, :, 1].sum(), x, retain_graph=True)
    assert [alone[0, channel].abs().max().item() > 0 for channel in range(3)] == [False, True, False]
    steps = convolved.permute(0, 3, 2, 1).flatten(0, 1)  # (T', C, filters)
    mixed = network.interaction(steps)
    (together,) = torch.autograd.grad(mixed[:, 1].square().sum(), x)
    assert all(together[0, channel].abs().max() > 0 for channel in range(3))


def test_the_order_of_channels_matters_from_the_fusion_on(build) -> None:
    network = build("tiny_har", (3, 40, 4)).eval()
    x = normal(2, 3, 40)
    before, after = network(x), network(x[:, [2, 0, 1]])
    for depth in range(5):
        torch.testing.assert_close(before.stages[depth], after.stages[depth], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(before.stages[5], after.stages[5], atol=1e-4)


def test_the_embedding_is_the_last_step_plus_a_learnt_share_of_a_weighted_mean(build) -> None:
    network = build("tiny_har", (3, 64, 4)).double().eval()
    x = normal(1, 3, 64).double()
    start = network(x)
    steps = start.stages[6][0].T  # (T', units)
    torch.testing.assert_close(start.embedding[0], steps[-1])
    with torch.no_grad():
        network.context_scale.fill_(0.5)
    hidden, _, vector = network.score
    scores = [vector.weight[0] @ (hidden.weight @ step + hidden.bias).tanh() for step in steps]
    weights = torch.stack(scores).exp()
    mean = sum(weight * step for weight, step in zip(weights / weights.sum(), steps, strict=True))
    torch.testing.assert_close(network(x).embedding[0], steps[-1] + 0.5 * mean)


def test_a_window_of_twenty_five_samples_is_the_shortest(build) -> None:
    network = build("tiny_har", (2, 25, 3)).eval()
    assert network(torch.zeros(1, 2, 25)).stages[3].shape[2] == 1
    with pytest.raises(ValueError, match=r"a window of 24 samples: .* at least 25"):
        build("tiny_har", (2, 24, 3))


def test_tiny_har_costs_what_its_table_says(build) -> None:
    network = build("tiny_har", (C, T, K), small=False)
    lengths, units = (124, 60, 56, 26), 2 * FILTERS
    maps = tuple((FILTERS, length) for length in (*lengths, 26))
    assert probe(network, C, T).stages == (*maps, (units, 26), (units, 26), (units, 1))

    kernels = [5 * FILTERS, *[5 * FILTERS * FILTERS] * 3]
    encoder = 4 * FILTERS * FILTERS + 2 * FILTERS * WIDE  # query, key, value, output; feed-forward
    fusion = FILTERS * C * units
    lstm = 4 * units * 2 * units
    score = units * units + units
    weights = sum(kernels) + encoder + fusion + lstm + score + units * K
    biases = 4 * FILTERS + (4 * FILTERS + WIDE + FILTERS) + units + 2 * 4 * units + units + K
    norms = 4 * 2 * FILTERS + 2 * 2 * FILTERS
    assert parameters(network) == weights + biases + norms + 1 == 31_063

    convolutions = sum(C * length * kernel for length, kernel in zip(lengths, kernels, strict=True))
    attention = 2 * C * C * FILTERS  # scores and their use
    over_time = 26 * (C * encoder + attention + fusion + lstm + score)
    assert multiply_adds(network, C, T) == convolutions + over_time + units * K == 3_838_880
