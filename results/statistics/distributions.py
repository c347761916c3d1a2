"""Two distributions for whole degrees of freedom, where finite sums are exact; the standard library alone.

Source: Abramowitz and Stegun, "Handbook of Mathematical Functions", 1964, 26.7.3 and 26.7.4 (t), 26.4.4 and 26.4.5
(chi-squared).
"""

import math
from functools import lru_cache


def t_cdf(t: float, degrees: int) -> float:
    """P(T <= t) of Student's t with that many degrees of freedom, at least 1."""
    angle = math.atan2(t, math.sqrt(degrees))
    cosine, odd = math.cos(angle) ** 2, degrees % 2
    term, total = 1.0, 0.0
    for step in range(degrees // 2):
        total += term
        term *= cosine * (2 * step + 1 + odd) / (2 * step + 2 + odd)
    if odd:
        return 0.5 + (angle + math.sin(angle) * math.cos(angle) * total) / math.pi
    return (1 + math.sin(angle) * total) / 2


@lru_cache(maxsize=1024)  # tables ask for few, many times
def t_quantile(share: float, degrees: int) -> float:
    """The t below which that share lies, by bisection; ``share`` in (0, 1).

    Raises ``ValueError`` on a share outside or no degree of freedom.
    """
    if not 0 < share < 1 or degrees < 1:
        raise ValueError(f"t_quantile: {share} of {degrees} degrees came, a share in (0, 1) of 1 or more is wanted")
    low, high = -1.0, 1.0
    while t_cdf(low, degrees) > share:
        low *= 2
    while t_cdf(high, degrees) < share:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if t_cdf(middle, degrees) < share else (low, middle)
    return (low + high) / 2


def chi_squared_tail(x: float, degrees: int) -> float:
    """P(X >= x) of chi-squared with that many degrees of freedom, at least 1; ``x`` at least 0."""
    if degrees % 2:
        tail, term, first = math.erfc(math.sqrt(x / 2)), math.sqrt(2 * x / math.pi) * math.exp(-x / 2), 3
    else:
        tail, term, first = 0.0, math.exp(-x / 2), 2
    for divisor in range(first, degrees + 1, 2):
        tail += term
        term *= x / divisor
    return tail
