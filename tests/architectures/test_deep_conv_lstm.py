"""DeepConvLSTM: filters shared by sensor channels, unpadded convolutions, dropout where the paper has it."""

from __future__ import annotations

import pytest
import torch

from kdbench.architectures import probe
from kdbench.costs.counting import multiply_adds, parameters

C, T, K, FILTERS, UNITS = 9, 128, 6, 64, 128


def test_every_sensor_channel_passes_the_same_filters_alone(build) -> None:
    network = build("deep_conv_lstm", (3, 40, 4), width=0.1).eval()
    x = torch.randn(2, 3, 40, generator=torch.Generator().manual_seed(0))
    stages = network(x).stages
    for depth in range(1, 5):
        alone = []
        for channel in range(3):
            z = x[:, None, channel]  # (B, 1, T)
            for conv in network.convolutions[:depth]:
                z = torch.nn.functional.conv1d(z, conv.weight[:, :, 0], conv.bias).relu()
            alone.append(z)
        torch.testing.assert_close(stages[depth - 1], torch.stack(alone).mean(dim=0))


def test_the_first_lstm_reads_every_filter_of_every_channel(build) -> None:
    network = build("deep_conv_lstm", (C, T, K), small=False)
    assert network.first.input_size == FILTERS * C
    assert probe(network, C, T).stages == ((64, 124), (64, 120), (64, 116), (64, 112), (128, 112), (128, 1))


def test_sizes_are_those_of_the_papers_table(build) -> None:
    network = build("deep_conv_lstm", (113, 24, 18), small=False)
    assert [parameters(conv) for conv in network.convolutions] == [384, 20_544, 20_544, 20_544]
    # The table counts the weights of one gate of four, and one of torch's two bias vectors whole.
    lstms = [
        (lstm.weight_ih_l0.numel() + lstm.weight_hh_l0.numel()) // 4 + lstm.bias_ih_l0.numel()
        for lstm in (network.first, network.second)
    ]
    assert lstms == [942_592, 33_280]
    assert 384 + 20_544 + sum(lstms) == 996_800  # the table's total has one of the three equal convolutions


def test_dropout_stands_before_each_recurrent_layer_and_the_classifier(build) -> None:
    network = build("deep_conv_lstm", (2, 20, 3), small=False).train()
    dropped: list[tuple[int, ...]] = []
    network.dropout.register_forward_hook(lambda m, args, out: dropped.append(tuple(args[0].shape)))
    network(torch.ones(2, 2, 20))
    assert dropped == [(2, 4, 2 * FILTERS), (2, 4, UNITS), (2, UNITS)]
    assert network.dropout.p == 0.5


def test_a_window_of_seventeen_samples_is_the_shortest(build) -> None:
    network = build("deep_conv_lstm", (2, 17, 3)).eval()
    assert network(torch.zeros(1, 2, 17)).stages[3].shape[2] == 1
    with pytest.raises(ValueError, match=r"a window of 16 samples: .* at least 17"):
        build("deep_conv_lstm", (2, 16, 3))


def test_deep_conv_lstm_costs_what_its_table_says(build) -> None:
    network = build("deep_conv_lstm", (C, T, K), small=False)
    kernels = [5 * FILTERS, *[5 * FILTERS * FILTERS] * 3]
    gates = [4 * UNITS * (FILTERS * C + UNITS), 4 * UNITS * 2 * UNITS]  # torch has two bias vectors for each
    biases = 4 * FILTERS + 2 * 2 * 4 * UNITS + K
    assert parameters(network) == sum(kernels) + sum(gates) + UNITS * K + biases == 556_358
    over_time = sum(C * steps * kernel for steps, kernel in zip((124, 120, 116, 112), kernels, strict=True))
    assert multiply_adds(network, C, T) == over_time + 112 * sum(gates) + UNITS * K == 119_551_488
