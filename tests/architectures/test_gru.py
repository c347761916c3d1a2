"""The stacked GRU against explicit arithmetic."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kdbench.costs.counting import multiply_adds, parameters

C, T, K, UNITS = 9, 128, 6, 120


def unrolled(gru: nn.GRU, steps: Tensor) -> Tensor:
    """Hidden states (T, units) over steps (T, C); gates are ordered reset, update, new."""
    hidden, states = torch.zeros(gru.hidden_size, dtype=steps.dtype), []
    for step in steps:
        from_input = (gru.weight_ih_l0 @ step + gru.bias_ih_l0).chunk(3)
        from_hidden = (gru.weight_hh_l0 @ hidden + gru.bias_hh_l0).chunk(3)
        reset, update = ((a + b).sigmoid() for a, b in zip(from_input[:2], from_hidden[:2], strict=True))
        new = (from_input[2] + reset * from_hidden[2]).tanh()
        hidden = (1 - update) * new + update * hidden
        states.append(hidden)
    return torch.stack(states)


def test_gru_is_two_layers_over_time_and_the_last_step_of_the_second(build) -> None:
    network = build("gru", (2, 7, 3)).double().eval()
    x = torch.randn(1, 2, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    outputs = network(x)
    first = unrolled(network.first, x[0].T)
    last = unrolled(network.second, first)[-1]
    torch.testing.assert_close(outputs.stages[0][0], first.T)
    torch.testing.assert_close(outputs.stages[1][0, :, 0], last)
    torch.testing.assert_close(outputs.logits[0], network.head.weight @ last + network.head.bias)


def test_dropout_stands_behind_each_layer(build) -> None:
    network = build("gru", (2, 7, 3), small=False).train()
    dropped: list[tuple[int, ...]] = []
    network.dropout.register_forward_hook(lambda m, args, out: dropped.append(tuple(args[0].shape)))
    network(torch.ones(2, 2, 7))
    assert dropped == [(2, 7, UNITS), (2, UNITS)]
    assert network.dropout.p == 0.5


def test_gru_costs_what_its_table_says(build) -> None:
    network = build("gru", (C, T, K), small=False)
    recurrent = 3 * UNITS * (C + UNITS) + 3 * UNITS * 2 * UNITS  # three gates; torch has two bias vectors
    assert parameters(network) == recurrent + 2 * 2 * 3 * UNITS + UNITS * K + K == 135_006
    assert multiply_adds(network, C, T) == T * recurrent + UNITS * K == 17_004_240
