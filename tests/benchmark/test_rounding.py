"""Weights that are rounded so that errors cancel are steps of 8 bits, and change what comes out less."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import Tensor, nn  # noqa: E402

from kdbench.architectures import Outputs  # noqa: E402
from kdbench.deploy.rounding import STEPS, rounded  # noqa: E402
from kdbench.deploy.subject import Whole  # noqa: E402


class Layers(nn.Module):
    """Every kind of layer that is rounded, and one that is used twice, which is not."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(3, 6, 4, padding="same", dilation=2)
        self.grouped = nn.Conv1d(6, 6, 3, stride=2, padding=1, groups=3)
        self.twice = nn.Linear(16, 16)
        self.head = nn.Linear(96, 4)

    def forward(self, x: Tensor) -> Outputs:
        stage = self.grouped(self.first(x).relu()).relu()
        stage = self.twice(self.twice(stage)).relu()
        return Outputs(self.head(stage.flatten(1)), (stage,), stage.flatten(1))


@pytest.fixture
def windows() -> np.ndarray:
    """Smooth ones, whose samples go together as those of a sensor do."""
    noise = np.random.default_rng(0).normal(size=(400, 3, 32))
    return noise.cumsum(axis=2).astype(np.float32)


@pytest.fixture
def model() -> Whole:
    torch.manual_seed(0)
    return Whole(Layers(), np.zeros(3, np.float32), np.ones(3, np.float32)).eval().requires_grad_(False)


def to_the_nearest(weight: Tensor) -> Tensor:
    steps = weight.flatten(1).abs().amax(dim=1).reshape(-1, *[1] * (weight.dim() - 1)) / STEPS
    return (weight / steps).round() * steps


@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_weights_are_steps_and_what_comes_out_is_nearer_than_with_the_nearest_steps(
    model: Whole, windows: np.ndarray
) -> None:
    made, nearest = rounded(model, windows[:200]), rounded(model, windows[:200])
    for name in ("first", "grouped", "head"):
        before, after = getattr(model.network, name).weight, getattr(made.network, name).weight
        torch.testing.assert_close(to_the_nearest(after), after)  # the quantiser keeps them
        torch.testing.assert_close(before.flatten(1).abs().amax(dim=1), after.flatten(1).abs().amax(dim=1))
        assert not torch.equal(before, after)
        getattr(nearest.network, name).weight.copy_(to_the_nearest(before))
    assert torch.equal(model.network.twice.weight, made.network.twice.weight)
    x = torch.from_numpy(windows[200:])  # not those that it was fitted on
    wanted = model.network(x).logits
    off, other = ((each.network(x).logits - wanted).square().mean() for each in (made, nearest))
    assert off < 0.5 * other, (off, other)
