"""Small networks, built from a seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from kdbench.architectures import Backbone
from kdbench.catalog.find import NETWORKS

Build = Callable[..., Backbone]
SHRINK: dict[str, Any] = {"width": 0.05, "hidden": 8}  # settings that make a network small, for those that have them


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Two threads sum in another order than one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        yield
    torch.set_num_threads(threads)


@pytest.fixture
def build() -> Build:
    """``build(name, (C, T, K), small=True, **settings)``: a network from seed 0."""

    def make(name: str, size: tuple[int, int, int], *, small: bool = True, **settings: Any) -> Backbone:
        shrunk = {key: value for key, value in SHRINK.items() if small and key in NETWORKS.schema(name)}
        torch.manual_seed(0)
        return NETWORKS.get(name)(*size, **{**shrunk, **settings})

    return make


class Slow:
    """Layers on one window (C, T) by explicit sums."""

    @staticmethod
    def conv(x: Tensor, layer: nn.Conv1d, left: int = 0) -> Tensor:
        """out[o, t] = b[o] + sum_ij w[o, i, j] x[i, t + j - left], zero outside the window, of the window's length."""
        (inputs, length), (outputs, group, kernel) = x.shape, layer.weight.shape
        z, weight = x.tolist(), layer.weight.tolist()
        biases = [0.0] * outputs if layer.bias is None else layer.bias.tolist()
        out = [[bias] * length for bias in biases]
        for o in range(outputs):
            first = o * inputs // outputs // group * group  # of the input channels that this output reads
            for t in range(length):
                for j in range(kernel):
                    if 0 <= t + j - left < length:
                        out[o][t] += sum(weight[o][i][j] * z[first + i][t + j - left] for i in range(group))
        return torch.tensor(out, dtype=x.dtype)

    @staticmethod
    def norm(x: Tensor, layer: nn.BatchNorm1d) -> Tensor:
        """Batch normalisation in evaluation mode."""
        pairs = zip(layer.running_mean, layer.running_var, layer.weight, layer.bias, strict=True)
        rows = [(row - m) / (v + 1e-5) ** 0.5 * w + b for row, (m, v, w, b) in zip(x, pairs, strict=True)]
        return torch.stack(rows)

    @staticmethod
    def stir(network: nn.Module) -> None:
        """Give batch normalisation statistics and an affine map that are not the initial ones."""
        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d):
                for tensor in (module.running_mean, module.running_var, module.weight, module.bias):
                    nn.init.uniform_(tensor, 0.5, 1.5)


@pytest.fixture
def slow() -> type[Slow]:
    return Slow
