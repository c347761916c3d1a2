"""Augmented views: what is drawn once a channel, what once a value, and that a seed gives them again."""

from __future__ import annotations

import pytest
import torch

from kdbench.methods._views import jittered_and_scaled


def windows() -> torch.Tensor:
    return torch.randn(40, 5, 60, generator=torch.Generator().manual_seed(3), dtype=torch.float64) + 3


def test_scaling_alone_is_one_factor_for_each_sample_and_channel() -> None:
    x = windows()
    factors = jittered_and_scaled(x, jitter=0.0, scaling=0.1) / x
    assert torch.allclose(factors, factors[:, :, :1].expand_as(factors), rtol=1e-12)
    assert factors[:, :, 0].unique().numel() == 40 * 5
    assert factors[:, :, 0].mean().item() == pytest.approx(1, abs=0.03)
    assert factors[:, :, 0].std().item() == pytest.approx(0.1, rel=0.2)


def test_jitter_alone_is_noise_of_its_size_on_every_value() -> None:
    x = windows()
    noise = jittered_and_scaled(x, jitter=0.05, scaling=0.0) - x
    assert noise.mean().item() == pytest.approx(0, abs=0.005)
    assert noise.std().item() == pytest.approx(0.05, rel=0.05)
    assert abs(torch.corrcoef(noise.reshape(-1, 60)).triu(1).mean().item()) < 0.01


def test_without_noise_the_view_is_the_window_and_a_seed_gives_a_view_again() -> None:
    x = windows()
    assert torch.equal(jittered_and_scaled(x, jitter=0.0, scaling=0.0), x)
    views = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        views.append(jittered_and_scaled(x, jitter=0.05, scaling=0.1))
    assert torch.equal(views[0], views[1])
    assert not torch.equal(views[0], views[2])
