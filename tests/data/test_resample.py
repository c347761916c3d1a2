"""Bringing signals to another rate, against what scipy and arithmetic say."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy.signal import chirp, decimate, resample_poly

from kdbench.data import Source
from kdbench.data._resample import resampled
from kdbench.data.uci_har import SIGNALS, UciHar

INNER = slice(25, -25)


def sweep(t: npt.NDArray[np.float64], last: float) -> npt.NDArray[np.float64]:
    return np.stack([chirp(t, 0.5, 10, last), 1 + chirp(t, 1, 10, last / 2)], axis=1)


@pytest.mark.parametrize(
    ("own", "up", "down"), [(100.0, 1, 2), (25.0, 2, 1), (125.0, 2, 5), (75.0, 2, 3), (2000.0, 1, 40)]
)
def test_even_times_give_what_scipy_gives(own: float, up: int, down: int) -> None:
    t = np.arange(int(10 * own)) / own
    x = sweep(t, 8)
    found = resampled(t, x, 50)
    np.testing.assert_allclose(found, resample_poly(x, up, down, axis=0, padtype="line")[: len(found)], atol=1e-9)
    assert len(found) == int((len(t) - 1) / own * 50 + 1e-6) + 1


@pytest.mark.parametrize("own", [200.0, 103.0, 97.0])
def test_a_chirp_at_uneven_times_is_the_chirp_at_even_ones(own: float) -> None:
    rng = np.random.default_rng(0)
    t = np.arange(int(10 * own)) / own + rng.uniform(-0.2, 0.2, int(10 * own)) / own
    found = resampled(t, sweep(t, 8), 50, start=0.1, stop=9.8)
    want = sweep(0.1 + np.arange(len(found)) / 50, 8)
    assert len(found) == 486
    assert np.abs(found - want)[INNER].max() < 0.05


def test_what_lies_above_half_the_rate_goes_and_is_not_folded_back() -> None:
    t = np.arange(4000) / 400
    fast = np.sin(2 * np.pi * 45 * t)[:, None]
    assert np.abs(resampled(t, fast, 50)[INNER]).max() < 0.01
    assert np.abs(fast[::8]).max() > 0.9, "without a filter it would be a slow wave"


def test_what_is_constant_stays_so_to_the_ends() -> None:
    t = np.arange(300) / 100
    np.testing.assert_allclose(resampled(t, np.full((300, 3), 9.81), 50), 9.81, atol=1e-6)
    assert resampled(t[:1], np.ones((1, 3)), 50).tolist() == [[1, 1, 1]]


def test_windows_of_uci_har_at_half_their_rate_are_what_scipy_makes_of_them() -> None:
    folder = Path(os.environ.get("KDBENCH_DATA") or "unset")
    archive = next((folder / name for name in UciHar.archives if (folder / name).exists()), None)
    if archive is None:
        pytest.skip("KDBENCH_DATA names no folder with UCI HAR")
    with Source(archive) as source:
        members = [source.read(f"test/Inertial Signals/{signal}_test.txt").splitlines()[::100] for signal in SIGNALS]
    windows = np.array([[line.split() for line in lines] for lines in members], np.float64).transpose(1, 2, 0)
    assert windows.shape == (30, 128, 9)
    times = np.arange(128) / 50
    for window in windows:
        half = resampled(times, window, 25)
        np.testing.assert_allclose(half, resample_poly(window, 1, 2, axis=0, padtype="line"), atol=1e-9)
        other = decimate(window - window[0], 2, ftype="fir", axis=0) + window[0]
        assert np.abs(half - other)[12:-12].max() < 0.12 * window.std(axis=0).max() + 0.01
