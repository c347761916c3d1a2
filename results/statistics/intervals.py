"""How large a difference may be, how sure a score is, and what could have been seen."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kdbench.results.statistics.distributions import t_quantile
from kdbench.results.statistics.tests import EXACT_UP_TO, Floats, all_signs, drawn_signs

RESAMPLED = 2000
"""How often people are drawn again for the interval of a score."""
POWER = 0.8
MEANS = 2**20
"""Means of groups at a time, where several differences have their intervals."""


class Interval(NamedTuple):
    """From and to; infinite where so few people bound nothing."""

    low: float
    high: float

    @property
    def bounded(self) -> bool:
        return math.isfinite(self.low) and math.isfinite(self.high)

    def hull(self, other: "Interval") -> "Interval":
        """The smallest interval that holds both."""
        return Interval(min(self.low, other.low), max(self.high, other.high))

    def within(self, margin: float) -> bool:
        """Whether all of it is practically nothing: inside ±margin."""
        return -margin <= self.low and self.high <= margin


def difference_interval(parts: Floats, weights: Floats | None = None, level: float = 0.95) -> Interval:
    """The differences that the sign-flip test over people does not refuse: exact, without a normal distribution.

    A difference d is refused where ``sign_flip(parts - d * weights)`` is at most 1 - ``level``. With the people whose
    signs are flipped in one group and the others in a second, that depends on d and the two groups' means alone, so the
    ends are order statistics of these means (Hartigan 1969). Of more than 20 people, 65,536 groups are drawn.

    Args:
        parts: (n,) what each person contributes to the difference, which is their sum.
        weights: (n,) each person's share of it, summing to 1; equal by default.
        level: of confidence.

    Raises:
        ValueError: no people.
    """
    if not len(parts):
        raise ValueError("difference_interval: no people came")
    weights = np.full(len(parts), 1 / len(parts)) if weights is None else weights
    return difference_intervals(parts[None], weights, level)[0]


def difference_intervals(parts: Floats, weights: Floats, level: float = 0.95) -> list[Interval]:
    """``difference_interval`` of each of k rows (k, n), n above 0, of the same people."""
    flipped = _groups(parts.shape[1])
    spared = math.floor((1 - level) * (len(flipped) + 1) + 1e-9)  # so many vectors may be more extreme than d
    if spared == 0:
        return [Interval(-math.inf, math.inf)] * len(parts)
    weight, rows, found = flipped @ weights, max(1, MEANS // len(flipped)), []
    for start in range(0, len(parts), rows):
        some = parts[start : start + rows]
        part = some @ flipped.T  # (rows, vectors) sums over the group that is flipped
        means = np.stack([part / weight, (some.sum(axis=1)[:, None] - part) / (1 - weight)])  # (2, rows, vectors)
        lows = np.partition(means.min(axis=0), spared - 1, axis=1)[:, spared - 1]
        highs = -np.partition(-means.max(axis=0), spared - 1, axis=1)[:, spared - 1]
        found += [Interval(float(low), float(high)) for low, high in zip(lows, highs, strict=True)]
    return found


@lru_cache(maxsize=1)  # all pairs of a table have the same people
def _groups(n: int) -> Floats:
    """Who of n people is flipped, (vectors, n) of 0 and 1; without the observed vector, which is never refused."""
    signs = all_signs(n)[1:] if n <= EXACT_UP_TO else drawn_signs(n).astype(np.float64)
    signs = signs[np.abs(signs.sum(axis=1)) < n]
    return np.asarray((1 - signs) / 2, dtype=np.float64)


def score_interval(values: Floats, groups: Sequence[str] = (), level: float = 0.95) -> Interval:
    """Of a mean over people, by drawing those of each group again with a fixed seed; too narrow for few people.

    Args:
        values: (n,) each person's.
        groups: (n,) the group that each is of, such as the people of a dataset, whose share of the mean is no chance;
            without, all are one.
        level: of confidence.
    """
    rng, members = np.random.default_rng(0), members_of(groups or [""] * len(values))
    sums = sum(values[group[rng.integers(0, len(group), (RESAMPLED, len(group)))]].sum(axis=1) for group in members)
    low, high = np.quantile(sums / len(values), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def members_of(groups: Sequence[str]) -> list[npt.NDArray[np.intp]]:
    """Which people are of each group, of (n,) names."""
    names = np.array(groups)
    return [np.flatnonzero(names == name) for name in dict.fromkeys(groups)]


def detectable(differences: Floats) -> float | None:
    """The smallest true difference that a test over these people finds in four of five cases; None below two people.

    (t_{0.975, n-1} + t_{0.8, n-1}) sd / sqrt(n), of differences (n,), one a person.
    """
    n = len(differences)
    if n < 2:
        return None
    quantiles = t_quantile(0.975, n - 1) + t_quantile(POWER, n - 1)
    return float(quantiles * differences.std(ddof=1) / math.sqrt(n))
