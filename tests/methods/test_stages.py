"""Which stages meet, at which length, and what the adaptors do with a single sample."""

from __future__ import annotations

import math

import pytest
import torch

from kdbench.architectures import Outputs, Shapes
from kdbench.methods._modules import BatchNorm
from kdbench.methods._stages import matched_stages, pool_time, stage_at


def shapes(*lengths: int) -> Shapes:
    return Shapes(2, tuple((3, length) for length in lengths), 3)


@pytest.mark.parametrize(("steps", "bins"), [(10, 3), (3, 10), (7, 7), (128, 32), (90, 4), (5, 1), (1, 1), (9, 8)])
def test_a_bin_is_the_mean_of_the_steps_it_touches(steps: int, bins: int) -> None:
    x = torch.randn(2, 3, steps, dtype=torch.float64)
    pooled = pool_time(x, bins)
    assert pooled.shape == (2, 3, bins)
    for i in range(bins):
        touched = x[:, :, math.floor(i * steps / bins) : math.ceil((i + 1) * steps / bins)]
        torch.testing.assert_close(pooled[:, :, i], touched.mean(dim=2))


@pytest.mark.parametrize("mine", range(1, 9))
@pytest.mark.parametrize("yours", range(1, 9))
def test_stages_meet_at_equal_relative_depths_and_none_is_used_twice(mine: int, yours: int) -> None:
    pairs = matched_stages(shapes(*[4] * mine), shapes(*[4] * yours))
    assert len(pairs) == min(mine, yours)
    assert pairs[-1] == (mine - 1, yours - 1)
    for side in zip(*pairs, strict=True):
        assert list(side) == sorted(set(side))
    if len(pairs) > 1:
        assert pairs[0] == (0, 0)
        assert all(abs(i / (mine - 1) - j / (yours - 1)) <= 0.5 / (max(mine, yours) - 1) + 1e-9 for i, j in pairs)


def test_only_stages_with_a_time_axis_meet_where_one_is_needed() -> None:
    assert matched_stages(shapes(1, 8, 8, 1), shapes(6, 6, 6, 1, 1), timed=True) == [(1, 0), (2, 2)]
    assert matched_stages(shapes(1, 1), shapes(6, 6), timed=True) == []
    assert matched_stages(shapes(1, 8), shapes(6, 6, 6), timed=True) == [(1, 2)]


def test_a_stage_is_averaged_to_a_length_in_float32_at_least() -> None:
    stage = torch.randn(2, 3, 8)
    outputs = Outputs(torch.zeros(2, 2), (stage.bfloat16(),), torch.zeros(2, 3))
    exact = stage.bfloat16().float()
    torch.testing.assert_close(stage_at(outputs, 0, 4), exact.reshape(2, 3, 4, 2).mean(dim=3))
    torch.testing.assert_close(stage_at(outputs, 0, 8), exact)
    assert stage_at(outputs, 0, 1).shape == (2, 3, 1)
    assert stage_at(outputs, 0, 1).dtype == torch.float32


def test_batch_normalisation_takes_one_sample_and_is_otherwise_the_usual() -> None:
    ours, usual = BatchNorm(3), torch.nn.BatchNorm1d(3)
    many, one = torch.randn(4, 3, 5), torch.randn(1, 3, 1)
    assert torch.equal(ours(many), usual(many))
    before = {key: value.clone() for key, value in ours.state_dict().items()}
    assert torch.equal(ours(one), usual.eval()(one))
    assert all(torch.equal(before[key], value) for key, value in ours.state_dict().items())
    assert torch.equal(ours(one[:, :, 0]), usual(one[:, :, 0]))
