"""Parameters and multiply-adds, counted against published numbers and by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from kdbench.catalog.find import NETWORKS
from kdbench.costs.counting import counts, multiply_adds, parameters

UCI, HAPT, SHORT = (9, 128, 6), (6, 128, 12), (3, 90, 6)

# name, settings, (channels, length, classes), parameters, multiply-adds in millions
PUBLISHED = [
    ("resnet_lstman", {}, UCI, 2_975_622, 261),
    ("resnet_lstman", {}, HAPT, 2_925_324, 260),
    ("resnet_lstman", {}, SHORT, 2_797_446, 182),
    ("resnet", {}, UCI, 2_018_182, 257),
    ("fcn", {}, UCI, 273_670, 34.7),
    ("mlp", {"hidden": 500}, UCI, (1152 + 1) * 500 + 2 * (500 + 1) * 500 + (500 + 1) * 6, 1.081),
    ("mlp", {"hidden": 64}, UCI, (1152 + 1) * 64 + 2 * (64 + 1) * 64 + (64 + 1) * 6, 0.0823),
]


@pytest.mark.parametrize(("name", "settings", "size", "count", "millions"), PUBLISHED)
def test_a_network_costs_what_is_published(
    build, name: str, settings: dict[str, int], size: tuple[int, int, int], count: int, millions: float
) -> None:
    network = build(name, size, small=False, **settings)
    assert parameters(network) == count
    assert multiply_adds(network, *size[:2]) == pytest.approx(millions * 1e6, rel=0.01)


def residual_branch(channels: int, length: int, narrow: int, wide: int) -> int:
    """Multiply-adds of three residual blocks by hand: kernel x inputs x outputs x length of each convolution."""
    shapes = [(channels, narrow, True), (narrow, wide, True), (wide, wide, False)]
    per_sample = sum(8 * a * b + 5 * b * b + 3 * b * b + (a * b if project else 0) for a, b, project in shapes)
    return per_sample * length


def lstman(steps: int, width: int, units: int) -> int:
    """By hand: three LSTMs of four gates, the outer product of q and k, the attention times the value, and the dense
    shortcut."""
    return 3 * steps * 4 * units * (width + units) + 2 * units * units + steps * width * units


@pytest.mark.parametrize("axis", ["channel", "time"])
@pytest.mark.parametrize("size", [UCI, SHORT])
def test_resnet_lstman_is_counted_as_by_hand(build, size: tuple[int, int, int], axis: str) -> None:
    channels, length, classes = size
    steps, width = (channels, length) if axis == "channel" else (length, channels)
    branch = lstman(steps, width, 128) + lstman(1, 128, 128)
    by_hand = residual_branch(channels, length, 128, 256) + branch + 384 * classes
    counted = multiply_adds(build("resnet_lstman", size, small=False, lstm_axis=axis), channels, length)
    assert counted == by_hand


class Averaged(nn.Module):
    """A layer on (B, T, C), a mean over time and a classifier of 6."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer, self.head = layer, nn.Linear(64, 6)

    def forward(self, x: Tensor) -> Tensor:
        out = self.layer(x.transpose(1, 2))
        out = out[0] if isinstance(out, tuple) else out
        logits: Tensor = self.head(out.mean(dim=1))
        return logits


class OverTime(nn.Module):
    """A convolution on (B, T, C)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(6, 64, 5, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x.transpose(1, 2))
        return out.transpose(1, 2)


def transformer() -> nn.Module:
    layer = nn.TransformerEncoderLayer(64, 4, dim_feedforward=128, batch_first=True)
    return nn.Sequential(nn.Linear(6, 64), layer)


T, HEAD = 128, 64 * 6
HAND_COUNTS = [
    ("convolution", OverTime, 6 * 64 * 5 * T + HEAD),
    ("LSTM", lambda: nn.LSTM(6, 64, batch_first=True), 4 * 64 * (6 + 64) * T + HEAD),
    ("GRU", lambda: nn.GRU(6, 64, batch_first=True), 3 * 64 * (6 + 64) * T + HEAD),
    (
        "transformer",
        transformer,
        # embedding; query, key, value and output projections; scores and their use; feed-forward; head
        T * (6 * 64 + 4 * 64 * 64 + 2 * T * 64 + 2 * 64 * 128) + HEAD,
    ),
]


@pytest.mark.parametrize(("name", "layer", "by_hand"), HAND_COUNTS, ids=[row[0] for row in HAND_COUNTS])
def test_a_layer_is_counted_as_by_hand(name: str, layer, by_hand: int) -> None:
    assert multiply_adds(Averaged(layer()), 6, T) == by_hand


@pytest.mark.parametrize("name", NETWORKS.names())
def test_the_count_is_half_the_operations_that_torch_counts(build, name: str) -> None:
    network = build(name, UCI, small=False).eval()
    found = counts(network, *UCI[:2])
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            network(torch.zeros(1, *UCI[:2]))
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    unseen = 0 if name == "gru" else found.products["recurrent"]  # an LSTM is one operation, of which torch counts none
    unseen += 2 * 128 * 128 if name == "resnet_lstman" else 0  # two outer products, which are element-wise for torch
    assert counter.get_total_flops() == 2 * (found.multiply_adds - unseen)


@pytest.mark.parametrize("training", [True, False])
def test_counting_leaves_the_network_and_torch_as_they_were(training: bool) -> None:
    network = Averaged(transformer()).train(training)
    fast = torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled
    multiply_adds(network, 6, T)
    assert network.training is training
    assert (torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled) == fast


def test_a_shared_parameter_is_counted_once() -> None:
    layer = nn.Linear(3, 3)
    assert parameters(nn.Sequential(layer, nn.ReLU(), layer)) == 12


@pytest.mark.parametrize("name", [name for name in NETWORKS.names() if "width" in NETWORKS.schema(name)])
def test_width_shrinks_a_network(build, name: str) -> None:
    costs = []
    for width in (1.0, 0.5, 0.25, 0.1):
        network = build(name, UCI, small=False, width=width)
        costs.append((parameters(network), multiply_adds(network, *UCI[:2])))
    assert costs == sorted(costs, reverse=True)
    assert costs[-1][0] < 0.1 * costs[0][0]
    assert costs[-1][1] < 0.1 * costs[0][1]
