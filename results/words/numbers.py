"""Differences, intervals and p-values as people read them."""

import math
from collections.abc import Sequence

from kdbench.results.statistics.intervals import Interval

MANY = 6
"""Longer lists of names are cut."""


def points(difference: float) -> str:
    """A difference of fractions in points: ``+1.2``, ``-0.3``, and ``0.0`` whatever its sign."""
    return signed(f"{100 * difference:+.1f}")


def signed(text: str) -> str:
    """A number as written, its sign dropped where it is zero."""
    return text.lstrip("+-") if not text.strip("+-0.") else text


def p_value(p: float) -> str:
    """A p-value after its sign, rounded up: ``= 0.032``, ``< 0.001``."""
    thousandths = math.ceil(1000 * p - 1e-6)
    return "< 0.001" if thousandths < 1 or p < 0.001 else f"= {thousandths / 1000:.3g}"


def interval(found: Interval) -> str:
    """An interval in points: ``+0.2 to +2.4``; a word where it bounds nothing."""
    return f"{points(found.low)} to {points(found.high)}" if found.bounded else "unbounded"


def listed(names: Sequence[str], *, last: str = "and") -> str:
    """Names in a sentence: ``a, b and c``; of many the first few and how many more."""
    shown = list(names) if len(names) <= MANY + 1 else [*names[:MANY], f"{len(names) - MANY} more"]
    return f" {last} ".join(filter(None, [", ".join(shown[:-1]), shown[-1]])) if shown else ""


def duration(seconds: float) -> str:
    """A time of training: ``0.4 s``, ``12 s``, ``3.2 min``, ``5.1 h``."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 9.95 else f"{seconds:.1f} s"
