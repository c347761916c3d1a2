"""Tests by flipping signs: of one difference, and of all pairs of methods at once.

Under the null hypothesis a person's (or a seed's) difference is as likely to have the other sign, so every vector of
signs gives a table that was as likely as the observed one.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

EXACT_UP_TO = 20
"""All sign vectors of so many differences are counted; of more, ``DRAWS`` are drawn."""
DRAWS = 2**16
JOINT_EXACT_UP_TO = 17
"""Likewise where all pairs are tested at once, which costs as many times more as there are pairs: of ``DRAWS`` at most
that differ."""
CHUNK = 4096
"""Sign vectors at a time."""
SUMS = 2**20
"""Sums at a time, where all sign vectors of several rows are tried."""
ROUNDING = 1e-9
"""Sums within this share of their size are equal: they differ by rounding."""

Floats = npt.NDArray[np.float64]


def sign_flip(differences: Sequence[float] | Floats) -> float:
    """Two-sided p-value of the paired sign-flip (permutation) test, in (0, 1].

    The share of sign vectors whose sum is at least as far from zero as the observed one: of all 2^n for n <= 20, else
    of 65,536 drawn with a fixed seed, the observed one counted among them.

    Raises ``ValueError`` without differences.
    """
    values = np.asarray(differences, dtype=np.float64)  # (n,)
    if values.ndim != 1 or not values.size:
        raise ValueError(f"sign_flip: differences {values.shape} came, (n,) with n above 0 is wanted")
    return float(sign_flips(values[None, :])[0])


def sign_flips(differences: Floats) -> Floats:
    """``sign_flip`` of each of k rows (k, n), n above 0; those of many people share the vectors drawn."""
    observed = np.abs(differences.sum(axis=1)) - ROUNDING * np.abs(differences).sum(axis=1)  # (k,)
    n = differences.shape[1]
    if n <= EXACT_UP_TO:
        rows = max(1, SUMS // 2**n)
        parts = range(0, len(differences), rows)
        return np.concatenate([_exact(differences[at : at + rows], observed[at : at + rows]) for at in parts])
    extreme, signs = np.zeros(len(differences)), drawn_signs(n)
    for start in range(0, DRAWS, CHUNK):
        extreme += (np.abs(signs[start : start + CHUNK].astype(np.float64) @ differences.T) >= observed).sum(axis=0)
    return np.asarray((extreme + 1) / (DRAWS + 1), dtype=np.float64)


def _exact(rows: Floats, least: Floats) -> Floats:
    """The share of all sign vectors whose sum is at least that far from zero, of each row (k, n), (k,)."""
    sums = rows[:, :1]  # the first sign is kept: the other half of the vectors mirrors this one
    for value in rows[:, 1:].T[:, :, None]:
        sums = np.concatenate((sums + value, sums - value), axis=1)  # (k, 2^i)
    return np.asarray((np.abs(sums) >= least[:, None]).mean(axis=1), dtype=np.float64)


def smallest_p(n: int) -> float:
    """The smallest value ``sign_flip`` can give for ``n`` differences: two sign vectors of 2^n, or of those drawn."""
    return 2.0 ** (1 - n) if n <= EXACT_UP_TO else 1 / (DRAWS + 1)


@lru_cache(maxsize=2)  # of people and of seeds, which all pairs of a table share
def drawn_signs(n: int) -> npt.NDArray[np.int8]:
    """``DRAWS`` sign vectors (DRAWS, n), always the same; as bytes, since thousands of seeds would fill memory."""
    rng, drawn = np.random.default_rng(0), np.empty((DRAWS, n), dtype=np.int8)
    for start in range(0, DRAWS, CHUNK):
        drawn[start : start + CHUNK] = 2 * rng.integers(0, 2, size=(CHUNK, n)) - 1
    drawn.flags.writeable = False
    return drawn


@lru_cache(maxsize=2)
def all_signs(n: int) -> Floats:
    """Every sign vector whose first sign is +, (2^(n-1), n), the observed one first; the other half mirrors them."""
    bits = (np.arange(2 ** (n - 1))[:, None] >> np.arange(n)) & 1  # (2^(n-1), n): the last is never set
    signs = np.asarray(1.0 - 2.0 * bits, dtype=np.float64)[:, ::-1]
    signs.flags.writeable = False
    return signs


def max_t(rows: Floats, pairs: Sequence[tuple[int, int]]) -> Floats:
    """Adjusted p-values of all pairs at once, step-down (Westfall and Young 1993, algorithm 2.8), (pairs,).

    Each person's sign is flipped in all pairs together, so what the pairs share is kept. A pair's statistic is the size
    of its summed difference over the root of its summed squares, which no flip changes: pairs of unlike noise count
    alike. All sign vectors up to 17 people, else 65,536 drawn with a fixed seed, the observed one counted.

    Args:
        rows: (M, n) what each of n people contributes to each of M methods' means.
        pairs: numbers of two methods each.

    Raises:
        ValueError: no people or no pairs.
    """
    if rows.ndim != 2 or not rows.shape[1] or not pairs:
        raise ValueError(f"max_t: rows {rows.shape} and {len(pairs)} pairs came, people and pairs are wanted")
    first, second = np.array(pairs).T  # (pairs,)
    differences = rows[first] - rows[second]  # (pairs, n)
    size = np.sqrt((differences**2).sum(axis=1))  # (pairs,)
    size[size <= ROUNDING * np.abs(rows).sum(axis=1).max()] = np.inf  # two rows that are one: no evidence, p = 1
    observed = np.abs(differences.sum(axis=1)) / size
    order = np.argsort(observed, kind="stable")  # the least extreme first
    first, second, size, sorted_ = first[order], second[order], size[order], observed[order]
    exact = rows.shape[1] <= JOINT_EXACT_UP_TO
    signs = all_signs(rows.shape[1]) if exact else drawn_signs(rows.shape[1])
    extreme = np.zeros(len(pairs))
    for start in range(0, len(signs), CHUNK):
        sums = signs[start : start + CHUNK].astype(np.float64, copy=False) @ rows.T  # (CHUNK, M)
        found = np.abs(sums[:, first] - sums[:, second]) / size  # (CHUNK, pairs)
        np.maximum.accumulate(found, axis=1, out=found)  # the largest among the pairs that are not more extreme
        extreme += (found >= sorted_ * (1 - ROUNDING)).sum(axis=0)
    share = extreme / len(signs) if exact else (extreme + 1) / (len(signs) + 1)
    adjusted = np.empty(len(pairs))
    adjusted[order] = np.maximum.accumulate(share[::-1])[::-1]  # a less extreme pair is never surer
    return adjusted


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (1979), in the order of the p-values."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, number in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[number]))
        adjusted[number] = largest
    return adjusted
