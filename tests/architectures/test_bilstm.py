"""Both directions of the bidirectional LSTM see the whole window."""

from __future__ import annotations

import torch

from kdbench.costs.counting import multiply_adds, parameters

C, T, K, UNITS = 9, 128, 6, 64


def test_a_reversed_window_swaps_the_halves_where_both_directions_have_one_set_of_weights(build) -> None:
    network = build("bilstm", (3, 20, 4)).eval()
    for name, parameter in network.lstm.named_parameters():
        if name.endswith("_reverse"):
            parameter.data.copy_(network.lstm.get_parameter(name.removesuffix("_reverse")).data)
    x = torch.randn(2, 3, 20, generator=torch.Generator().manual_seed(0))
    forwards, backwards = network(x).stages[0].chunk(2, dim=1)
    torch.testing.assert_close(network(x.flip(2)).stages[0], torch.cat([backwards, forwards], dim=1))
    assert not torch.allclose(forwards, backwards)


def test_each_half_depends_on_the_first_and_on_the_last_sample(build) -> None:
    network = build("bilstm", (3, 20, 4)).eval()
    x = torch.randn(1, 3, 20, generator=torch.Generator().manual_seed(0), requires_grad=True)
    for half in network(x).stages[0].chunk(2, dim=1):
        (gradient,) = torch.autograd.grad(half.sum(), x, retain_graph=True)
        assert gradient[0, :, 0].abs().max() > 0
        assert gradient[0, :, -1].abs().max() > 0


def test_bilstm_costs_what_its_table_says(build) -> None:
    network = build("bilstm", (C, T, K), small=False)
    recurrent = 2 * 4 * UNITS * (C + UNITS)  # two directions of four gates; torch has two bias vectors
    dense = 2 * UNITS * UNITS + UNITS * K
    assert parameters(network) == recurrent + 2 * 2 * 4 * UNITS + dense + UNITS + K == 47_046
    assert multiply_adds(network, C, T) == T * recurrent + dense == 4_792_704
