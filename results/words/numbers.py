"""Differences and certainties as people read them."""

import math


def points(difference: float) -> str:
    """A difference of fractions in hundredths, with its sign: ``+1.3``, ``-0.4``; ``0.0`` where it rounds to that."""
    text = f"{100 * difference:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text


def certainty(p: float) -> str:
    """A p-value, never rounded down: ``p = 0.032`` for 1/32, ``p < 0.001`` below that."""
    return "p < 0.001" if p < 0.001 else f"p = {upwards(p)}"


def upwards(value: float) -> str:
    """A number above 0 with two digits, rounded up."""
    scale = 10.0 ** (1 - math.floor(math.log10(value)))
    return f"{math.ceil(value * scale - 1e-9) / scale:.2g}"
