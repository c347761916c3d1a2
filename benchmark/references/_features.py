"""Simple statistics of windows, as activity recognition used them before it used networks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LAGS = (0.1, 0.25, 0.5, 1.0)
"""Of the autocorrelation, in seconds: steps take half a second to a second."""

BANDS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, np.inf)
"""Edges in Hz. Posture, slow and fast steps, what shakes."""

CHUNK = 1024
"""Windows at a time, so that memory does not grow with the dataset."""


def statistics(x: npt.NDArray[np.float32], rate: float) -> npt.NDArray[np.float32]:
    """Statistics of each window alone, float32 (N, F), the same for a window whatever stands beside it.

    Of each channel in time: mean, standard deviation, minimum, maximum, three quartiles, energy (mean square), how
    often it crosses zero and its mean, autocorrelation at `LAGS`. In frequency, the mean left out: the strongest
    frequency in Hz, spectral entropy (0 is one frequency, 1 is noise), energy in each of `BANDS`. Of each pair of
    channels the correlation. What is not defined, as of a channel that does not move, is 0.

    Args:
        x: (N, C, T), normalised; zero is each channel's mean over the training windows.
        rate: samples a second.
    """
    parts = [_of(x[first : first + CHUNK].astype(np.float64), rate) for first in range(0, len(x), CHUNK)]
    return np.concatenate(parts).astype(np.float32)


def _of(x: Floats, rate: float) -> Floats:
    """(n, F) of windows (n, C, T)."""
    centred = x - x.mean(axis=2, keepdims=True)
    found = np.stack([*_in_time(x, centred, rate), *_in_frequency(centred, rate)], axis=2)  # (n, C, statistics)
    flat: Floats = np.concatenate([found.reshape(len(x), -1), _between(centred)], axis=1)
    return flat


def _in_time(x: Floats, centred: Floats, rate: float) -> Iterator[Floats]:
    """Each (n, C)."""
    yield x.mean(axis=2)
    yield x.std(axis=2)
    yield x.min(axis=2)
    yield x.max(axis=2)
    yield from np.quantile(x, (0.25, 0.5, 0.75), axis=2)
    yield np.square(x).mean(axis=2)
    yield _crossings(x)
    yield _crossings(centred)
    energy = np.square(centred).sum(axis=2)
    for lag in LAGS:
        samples = max(1, round(lag * rate))
        yield _share((centred[..., samples:] * centred[..., :-samples]).sum(axis=2), energy)


def _crossings(x: Floats) -> Floats:
    """Share of neighbouring samples of different sign, (n, C); 0 where there is one sample."""
    changes = np.diff(np.signbit(x).astype(np.int8), axis=2) != 0
    return _share(changes.sum(axis=2).astype(np.float64), np.full(x.shape[:2], float(x.shape[2] - 1)))


def _in_frequency(centred: Floats, rate: float) -> Iterator[Floats]:
    """Each (n, C)."""
    length = centred.shape[2]
    power = np.square(np.abs(np.fft.rfft(centred, axis=2))) / length**2  # (n, C, T // 2 + 1)
    frequencies = np.fft.rfftfreq(length, 1 / rate)
    yield frequencies[power.argmax(axis=2)]
    share = _share(power, power.sum(axis=2, keepdims=True))
    logs = np.log(share, out=np.zeros_like(share), where=share > 0)
    yield -(share * logs).sum(axis=2) / np.log(max(2, len(frequencies)))
    for low, high in pairwise(BANDS):
        yield power[..., (frequencies >= low) & (frequencies < high)].sum(axis=2)


def _between(centred: Floats) -> Floats:
    """Correlation of each pair of channels, (n, C (C - 1) / 2)."""
    size = np.sqrt(np.square(centred).sum(axis=2, keepdims=True))
    unit = _share(centred, size)
    first, second = np.triu_indices(centred.shape[1], 1)
    found: Floats = (unit @ unit.transpose(0, 2, 1))[:, first, second]
    return found


def _share(part: Floats, whole: Floats) -> Floats:
    """A quotient; 0 where the divisor is."""
    whole = np.broadcast_to(whole, part.shape)
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
