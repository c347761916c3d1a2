"""Means over seeds, and how far a difference between them can be trusted."""

import math
from collections.abc import Iterable, Sequence

EXACT_UP_TO = 16
DRAWS = 2**16


def mean(values: Iterable[float]) -> float:
    """Mean from the exactly rounded sum, so that the same values in another order tie; needs at least one value."""
    listed = list(values)
    return math.fsum(listed) / len(listed)


def sign_flip(differences: Sequence[float]) -> float:
    """Two-sided p-value of the paired sign-flip (permutation) test, in (0, 1].

    Under the null hypothesis each seed's difference is as likely to have the other sign. The p-value is the share of
    sign vectors whose sum is at least as far from zero as the observed one: of all 2^n for n <= 16, else of 65,536
    drawn with a fixed seed, the observed one counted among them.

    Raises ``ValueError`` without differences.
    """
    import numpy as np  # not above: what only reads tables needs none

    values = np.asarray(differences, dtype=np.float64)  # (n,)
    if values.ndim != 1 or not values.size:
        raise ValueError(f"sign_flip: differences {values.shape} came, (n,) with n above 0 is wanted")
    observed = abs(values.sum())
    slack = 1e-9 * np.abs(values).sum()  # equal sums differ by rounding
    if values.size > EXACT_UP_TO:
        signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(DRAWS, values.size))
        extreme = int((np.abs(signs @ values) >= observed - slack).sum())
        return (extreme + 1) / (DRAWS + 1)
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate((sums + value, sums - value))  # (2^i,)
    return float((np.abs(sums) >= observed - slack).mean())


def smallest_p(n: int) -> float:
    """The smallest value ``sign_flip`` can give for ``n`` differences: two sign vectors of 2^n, or of those drawn."""
    return 2.0 ** (1 - n) if n <= EXACT_UP_TO else 1 / (DRAWS + 1)
