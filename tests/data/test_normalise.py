from __future__ import annotations

import numpy as np
import pytest

from kdbench.data import Normalisation


def test_training_windows_get_mean_zero_and_deviation_one_per_channel() -> None:
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(50, 3, 16)) * [[5.0], [0.1], [1.0]] + [[100.0], [0.0], [-3.0]]).astype(np.float32)
    out = Normalisation.fit(x).apply(x)
    assert out.dtype == np.float32
    assert out.flags.c_contiguous
    np.testing.assert_allclose(out.mean(axis=(0, 2), dtype=np.float64), 0, atol=1e-5)
    np.testing.assert_allclose(out.std(axis=(0, 2), dtype=np.float64), 1, atol=1e-5)


def test_other_windows_are_measured_by_the_training_windows() -> None:
    train = np.array([[[0.0, 2.0]]], np.float32)
    other = np.array([[[5.0, 1.0]]], np.float32)
    assert Normalisation.fit(train).apply(other).tolist() == [[[4.0, 0.0]]]


@pytest.mark.parametrize("value", [0.0, 0.1, 1e4])
def test_a_constant_channel_is_only_centred(value: float) -> None:
    x = np.full((20, 1, 7), value, np.float32)
    normalisation = Normalisation.fit(x)
    assert normalisation.std.tolist() == [1.0]
    np.testing.assert_allclose(normalisation.apply(x), 0, atol=1e-3)
    np.testing.assert_allclose(normalisation.apply(x + np.float32(1)), 1, atol=1e-2)


def test_mapped_read_only_windows_are_not_touched() -> None:
    x = np.ones((2, 1, 4), np.float32)
    x.flags.writeable = False
    Normalisation.fit(x).apply(x)
    assert (x == 1).all()
