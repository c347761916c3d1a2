"""Signals at uneven or other times, brought to one rate without folding what lies above half of it back into it."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SMALL = 20
"""Largest denominator of the ratio of the rates; what is left over is interpolated."""


def resampled(
    times: Floats, signals: Floats, rate: float, *, start: float | None = None, stop: float | None = None
) -> Floats:
    """Bring signals (n, C) to a rate, (m, C): sample k is at ``start + k / rate``, the last at ``stop`` or before.

    They are interpolated to even times near their own rate, which is a small fraction of the wanted one, and from there
    filtered and decimated (or the reverse) by ``scipy.signal.resample_poly``.

    Args:
        times: (n,) seconds, ascending.
        signals: at these times.
        rate: wanted, Hz.
        start: of the result, seconds; the first of the times by default.
        stop: the last of the times by default.
    """
    from scipy.signal import resample_poly  # takes a while, and most datasets need none of it

    start = float(times[0]) if start is None else start
    stop = float(times[-1]) if stop is None else stop
    if len(times) < 2 or stop <= start:
        return signals[:1]
    own = 1 / float(np.median(np.diff(times)))
    few = rate * SMALL < own
    ratio = Fraction(1, round(own / rate)) if few else Fraction(rate / own).limit_denominator(SMALL)
    between = rate / float(ratio)
    count = int((stop - start) * between + 1e-6) + 1
    even = start + np.arange(count) / between
    columns = [np.interp(even, times, column) for column in signals.T]
    out: Floats = np.stack(columns, axis=1)
    if ratio != 1:
        # Beyond both ends the line through them goes on, so that a constant, as gravity, stays what it is.
        out = resample_poly(out, ratio.numerator, ratio.denominator, axis=0, padtype="line")
    return out[: int((stop - start) * rate + 1e-6) + 1]
