"""LSTM-FCN: a recurrent branch over channels beside the convolutions."""

from __future__ import annotations

import torch
from torch import nn

from kdbench.architectures import probe
from kdbench.costs.counting import multiply_adds, parameters

C, T, K, CELLS = 9, 128, 6, 128


def test_the_lstm_takes_a_whole_channel_as_one_step(build) -> None:
    network = build("lstm_fcn", (3, 20, 4)).double().eval()
    x = torch.randn(2, 3, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    cell = nn.LSTMCell(20, network.lstm.hidden_size).double()
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in network.lstm.state_dict().items()})
    state = None
    for channel in range(3):
        state = cell(x[:, channel], state)
    torch.testing.assert_close(network(x).stages[3][:, :, 0], state[0])


def test_the_embedding_is_the_lstm_beside_the_mean_of_the_last_convolution(build) -> None:
    outputs = build("lstm_fcn", (3, 20, 4)).eval()(torch.randn(2, 3, 20, generator=torch.Generator().manual_seed(0)))
    wanted = torch.cat([outputs.stages[3][:, :, 0], outputs.stages[2].mean(dim=2)], dim=1)
    torch.testing.assert_close(outputs.embedding, wanted)


def test_dropout_is_on_the_half_of_the_lstm_alone(build) -> None:
    network = build("lstm_fcn", (3, 20, 4)).train()
    assert network.dropout.p == 0.8
    network.dropout.p = 1.0
    outputs = network(torch.randn(2, 3, 20, generator=torch.Generator().manual_seed(0)))
    kept = outputs.embedding.clone()
    kept[:, : network.lstm.hidden_size] = 0
    torch.testing.assert_close(outputs.logits, network.head(kept))


def test_lstm_fcn_costs_what_its_table_says(build) -> None:
    network = build("lstm_fcn", (C, T, K), small=False)
    assert probe(network, C, T).stages == ((128, 128), (256, 128), (128, 128), (128, 1))
    kernels = 8 * C * 128 + 5 * 128 * 256 + 3 * 256 * 128
    gates = 4 * CELLS * (T + CELLS)  # torch has two bias vectors
    per_filter = (1 + 2) * (128 + 256 + 128)  # a bias, and the two of the normalisation
    head = (CELLS + 128) * K
    assert parameters(network) == kernels + per_filter + gates + 2 * 4 * CELLS + head + K == 406_534
    assert multiply_adds(network, C, T) == T * kernels + C * gates + head == 35_915_264
