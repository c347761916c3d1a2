"""The light recurrent student against explicit arithmetic."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kdbench.costs.counting import multiply_adds, parameters

C, T, K, UNITS = 9, 128, 6, 64


def last_step(lstm: nn.LSTM, steps: Tensor) -> Tensor:
    """The last hidden state over steps (T, C), unrolled; gates are ordered input, forget, cell, output."""
    hidden = cell = torch.zeros(lstm.hidden_size, dtype=steps.dtype)
    for step in steps:
        gates = lstm.weight_ih_l0 @ step + lstm.bias_ih_l0 + lstm.weight_hh_l0 @ hidden + lstm.bias_hh_l0
        i, f, g, o = gates.chunk(4)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        hidden = o.sigmoid() * cell.tanh()
    return hidden


def test_lstm_is_its_last_step_a_dense_layer_and_a_classifier(build) -> None:
    network = build("lstm", (2, 7, 3)).double().eval()
    x = torch.randn(1, 2, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    outputs = network(x)
    last = last_step(network.lstm, x[0].T)
    dense = (network.dense.weight @ last + network.dense.bias).clamp(min=0)
    torch.testing.assert_close(outputs.stages[0][0, :, 0], last)
    torch.testing.assert_close(outputs.stages[1][0, :, 0], dense)
    torch.testing.assert_close(outputs.logits[0], network.head.weight @ dense + network.head.bias)


def test_lstm_costs_what_its_table_says(build) -> None:
    network = build("lstm", (C, T, K), small=False)
    recurrent = 4 * UNITS * (C + UNITS)  # weights of the four gates; torch has two bias vectors
    weights = recurrent + UNITS * UNITS + UNITS * K
    assert parameters(network) == weights + 2 * 4 * UNITS + UNITS + K == 23_750
    assert multiply_adds(network, C, T) == T * recurrent + UNITS * UNITS + UNITS * K == 2_396_544
