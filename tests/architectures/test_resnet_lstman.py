"""Layers of the headline teacher against explicit arithmetic."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from kdbench.architectures import probe
from kdbench.architectures._blocks import ResidualBlock, same_conv

Vector = list[float]
Matrix = list[Vector]


def test_an_even_kernel_pads_three_left_and_four_right() -> None:
    conv = same_conv(1, 1, 8)
    with torch.no_grad():
        conv[1].weight.copy_(torch.arange(1.0, 9.0)[None, None])
        conv[1].bias.fill_(0)
    impulse = torch.zeros(1, 1, 20)
    impulse[0, 0, 10] = 1
    # out[t] = sum_j w[j] x[t + j - 3], so the impulse at 10 is seen from t = 10 + 3 - j, j = 0..7
    wanted = [0.0] * 20
    for j in range(8):
        wanted[10 + 3 - j] = j + 1.0
    assert conv(impulse)[0, 0].tolist() == wanted


@pytest.mark.parametrize("kernel", [1, 3, 5, 8])
@pytest.mark.parametrize("length", [1, 2, 7, 90])
def test_a_same_convolution_keeps_the_length(kernel: int, length: int) -> None:
    assert same_conv(2, 3, kernel)(torch.zeros(1, 2, length)).shape == (1, 3, length)


def test_the_teacher_has_five_stages_of_the_published_sizes(build) -> None:
    network = build("resnet_lstman", (9, 128, 6), small=False)
    shapes = probe(network, 9, 128)
    assert shapes.stages == ((128, 128), (256, 128), (256, 128), (128, 1), (128, 1))
    assert shapes.embedding == 384


def test_forget_gates_start_open_and_no_other_gate_does(build) -> None:
    network = build("resnet_lstman", (9, 128, 6), small=False)
    lstms = [module for module in network.modules() if isinstance(module, nn.LSTM)]
    assert len(lstms) == 6
    for lstm in lstms:
        units = lstm.hidden_size
        both = lstm.bias_ih_l0 + lstm.bias_hh_l0
        assert torch.equal(both[units : 2 * units], torch.ones(units))
        others = torch.cat([both[:units], both[2 * units :]])
        assert others.abs().max() <= 2 / math.sqrt(units)


def test_the_third_block_has_no_convolution_in_its_shortcut(build) -> None:
    blocks = build("resnet_lstman", (9, 128, 6)).blocks
    convolutions = [[m.kernel_size[0] for m in b.modules() if isinstance(m, nn.Conv1d)] for b in blocks]
    assert convolutions == [[8, 5, 3, 1], [8, 5, 3, 1], [8, 5, 3]]
    assert all(m.bias is not None for b in blocks for m in b.modules() if isinstance(m, nn.Conv1d))


def test_a_residual_block_is_its_branch_plus_its_shortcut_then_relu() -> None:
    torch.manual_seed(0)
    block = ResidualBlock(2, 3, project=True).double().eval()
    x = torch.randn(1, 2, 6, dtype=torch.float64)

    def conv(z: Matrix, layer: nn.Conv1d, left: int) -> Matrix:
        w, b, length = layer.weight.tolist(), layer.bias.tolist(), len(z[0])
        return [
            [
                b[o]
                + sum(
                    w[o][i][j] * z[i][t + j - left]
                    for i in range(len(z))
                    for j in range(len(w[o][i]))
                    if 0 <= t + j - left < length
                )
                for t in range(length)
            ]
            for o in range(len(w))
        ]

    def norm(z: Matrix) -> Matrix:  # untrained statistics: mean 0, variance 1
        return [[v / math.sqrt(1 + 1e-5) for v in row] for row in z]

    def relu(z: Matrix) -> Matrix:
        return [[max(0.0, v) for v in row] for row in z]

    z = x[0].tolist()
    convs = [m for m in block.body.modules() if isinstance(m, nn.Conv1d)]
    branch = relu(norm(conv(z, convs[0], 3)))
    branch = relu(norm(conv(branch, convs[1], 2)))
    branch = norm(conv(branch, convs[2], 1))
    shortcut = norm(conv(z, block.shortcut[0], 0))
    wanted = relu([[a + b for a, b in zip(r, s, strict=True)] for r, s in zip(branch, shortcut, strict=True)])
    torch.testing.assert_close(block(x)[0], torch.tensor(wanted, dtype=torch.float64), rtol=1e-12, atol=1e-12)


def _product(matrix: Matrix, vector: Vector) -> Vector:
    return [sum(m * v for m, v in zip(row, vector, strict=True)) for row in matrix]


def _sigmoid(v: float) -> float:
    return 1 / (1 + math.exp(-v))


def _last_step(lstm: nn.LSTM, steps: Matrix) -> Vector:
    """The last hidden state of an LSTM, unrolled; gates are ordered input, forget, cell, output."""
    units = lstm.hidden_size
    hidden, cell = [0.0] * units, [0.0] * units
    for step in steps:
        from_input = _product(lstm.weight_ih_l0.tolist(), step)
        from_hidden = _product(lstm.weight_hh_l0.tolist(), hidden)
        terms = zip(from_input, from_hidden, lstm.bias_ih_l0.tolist(), lstm.bias_hh_l0.tolist(), strict=True)
        gates = [sum(term) for term in terms]
        for u in range(units):
            i, f, g, o = (gates[n * units + u] for n in range(4))
            cell[u] = _sigmoid(f) * cell[u] + _sigmoid(i) * math.tanh(g)
            hidden[u] = _sigmoid(o) * math.tanh(cell[u])
    return hidden


def _attended(layer: nn.Module, steps: Matrix) -> Vector:
    """An LSTM attention layer by explicit sums."""
    q, k, v = (_last_step(lstm, steps) for lstm in (layer.query, layer.key, layer.value))
    flat = [value for step in steps for value in step]
    dense = _product(layer.shortcut.weight.tolist(), flat)
    out = []
    for i, query in enumerate(q):
        weights = [math.exp(query * key) for key in k]
        attended = sum(w * value for w, value in zip(weights, v, strict=True)) / sum(weights)
        out.append(attended + max(0.0, dense[i] + layer.shortcut.bias.tolist()[i]))
    return out


@pytest.mark.parametrize("axis", ["channel", "time"])
def test_lstm_attention_is_the_published_arithmetic(build, axis: str) -> None:
    network = build("resnet_lstman", (3, 10, 2), width=0.04, lstm_axis=axis).double().eval()
    x = torch.randn(2, 3, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    outputs = network(x)
    for b in range(2):
        steps = x[b].tolist() if axis == "channel" else x[b].T.tolist()
        first = _attended(network.attend_input, steps)
        second = _attended(network.attend_again, [first])
        torch.testing.assert_close(outputs.stages[3][b, :, 0].tolist(), first, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(outputs.stages[4][b, :, 0].tolist(), second, rtol=1e-10, atol=1e-12)


def test_the_embedding_is_the_mean_of_block_three_beside_the_last_attention(build) -> None:
    outputs = build("resnet_lstman", (3, 16, 2)).eval()(torch.randn(2, 3, 16, generator=torch.Generator()))
    wanted = torch.cat([outputs.stages[2].mean(dim=2), outputs.stages[4][:, :, 0]], dim=1)
    torch.testing.assert_close(outputs.embedding, wanted)


def test_steps_over_time_cost_other_weights_than_steps_over_channels(build) -> None:
    size = (3, 90, 6)
    over_time = build("resnet_lstman", size, small=False, lstm_axis="time").attend_input
    over_channels = build("resnet_lstman", size, small=False).attend_input
    assert over_time.query.weight_ih_l0.shape == (512, 3)
    assert over_channels.query.weight_ih_l0.shape == (512, 90)
