"""Times of a user's own recordings: how they are written, and whether they go at the rate that is stated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from kdbench.data._own.settings import ISO, UNITS

RATE_TOLERANCE = 0.1
"""Share by which the step between two times may differ from what the rate says."""

Floats = npt.NDArray[np.float64]

_BEGIN = datetime(1970, 1, 1)


def is_date(text: str) -> bool:
    """Whether a time is written as ISO 8601 has them."""
    try:
        datetime.fromisoformat(text.strip())
    except ValueError:
        return False
    return True


def dates(texts: Sequence[str], missing: Callable[[str], bool]) -> Floats:
    """Seconds since 1970; NaN where one is missing. Either all say how far they are from UTC, or none does.

    Raises:
        ValueError: a text is no time, or is of the other kind; its arguments are the row and what was wanted.
    """
    seconds = np.empty(len(texts))
    aware: bool | None = None
    for row, text in enumerate(texts):
        try:
            when = datetime.fromisoformat(text.strip())
        except ValueError:
            if not missing(text):
                raise ValueError(row, "wanted a time as in 2024-05-01T12:30:00.250") from None
            seconds[row] = np.nan
            continue
        if aware is None:
            aware = when.tzinfo is not None
        if aware != (when.tzinfo is not None):
            raise ValueError(row, "wanted all times with their distance to UTC, or none")
        if aware:
            when = when.astimezone(UTC).replace(tzinfo=None)
        seconds[row] = (when - _BEGIN).total_seconds()
    return seconds


SLOWEST, FASTEST = 0.45, 100.0
"""Of a rate that files are brought to, what their own may be. Beyond these, times are in another unit or no times."""


def contradiction(steps: Floats, rate: float, column: str, unit: str, *, resample: bool) -> str | None:
    """What steps between times, in seconds, say against a rate in Hz, and the way out; None where they agree.

    ``resample``: whether the file is brought to the rate, so that its own may be another one.
    """
    ahead = steps[steps > 0]
    still, back = int((steps == 0).sum()), int((steps < 0).sum())
    order = f"{back} of {len(steps)} times go back, so rows are not in the order of their times"
    order += "; sort them, or name the column that tells recordings in turn apart: recording"
    if not len(ahead):
        return f"column {column!r}: {order}" if back >= 4 else None
    own = 1 / float(np.median(ahead))
    if (len(ahead) < 4 or SLOWEST <= own / rate <= FASTEST) if resample else _agree(steps, rate):
        return None
    said = f"rate is {rate:g} Hz, but column {column!r} in {unit} gives {own:.4g} Hz"
    if 5 * still > len(steps):
        what = f"{still} of {len(steps)} times stand still, as where a sensor sends packets"
        return f"{said}: {what}; where rows are evenly spaced all the same, leave time out"
    if 5 * back > len(steps):
        return f"{said}: {order}"
    if way := _unit(own, rate, unit, (SLOWEST, 10.0) if resample else (1 - RATE_TOLERANCE, 1 + RATE_TOLERANCE)):
        return said + way
    if not resample:
        return f"{said}; wanted equal; resample = true brings every file to {rate:g} Hz"
    low = "resample = true cannot make up what lies between; lower rate, or leave the file out"
    return f"{said}; {low if own < rate else 'correct time_unit, or raise rate'}"


def _agree(steps: Floats, rate: float) -> bool:
    ahead = steps[steps > 0]
    # Of few steps, the median of those that waver is itself uncertain.
    tolerance = max(RATE_TOLERANCE, 1.5 / np.sqrt(len(ahead))) if len(ahead) < 200 else RATE_TOLERANCE
    median = float(np.median(ahead))
    near = steps[(steps >= 0) & (steps <= 3 / rate)]
    means = [float(near.mean())] if 2 * len(near) > len(steps) else []  # of bursts, the mean is right
    return any(abs(step * rate - 1) <= tolerance for step in (median, *means))


def _unit(own: float, rate: float, unit: str, near: tuple[float, float]) -> str:
    """The unit in which the times would be right; ``near``: shares of the rate that are."""
    if unit == ISO:
        return ""
    for other, many in UNITS.items():
        would = own * many / UNITS[unit]
        if near[0] <= would / rate <= near[1]:
            return f'; with time_unit = "{other}" it would be {would:.4g} Hz'
    return ""
