"""Methods by their places in each block, rather than by points."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kdbench.results.statistics.distributions import chi_squared_tail
from kdbench.results.statistics.intervals import Interval, members_of
from kdbench.results.statistics.tests import Floats

RESAMPLED = 1000
WITNESSES = 5
"""Fewer groups of people carry neither Friedman's test nor a diagram of ranks."""


class Tally(NamedTuple):
    """In how many blocks the first of two is above, equal and below."""

    win: int
    tie: int
    lose: int


def ranks(values: Floats) -> Floats:
    """Places of M methods in B blocks, both (M, B): 1 is the highest value, equal ones share the mean of theirs."""
    above = (values[None, :, :] > values[:, None, :]).sum(axis=1)  # (M, B)
    equal = (values[None, :, :] == values[:, None, :]).sum(axis=1)
    return np.asarray(above + (equal + 1) / 2, dtype=np.float64)


def rank_intervals(values: Floats, groups: Sequence[str], level: float = 0.95) -> list[Interval]:
    """Of each method's average rank, by drawing the people of each group again with a fixed seed.

    Args:
        values: (M, B, n) by method, block and person; NaN where a person is not in a block.
        groups: (n,) the group that each person is of. A person drawn counts in all blocks alike.
        level: of confidence.
    """
    rng, members = np.random.default_rng(0), members_of(groups)
    drawn = [np.concatenate([rng.choice(group, len(group)) for group in members]) for _ in range(RESAMPLED)]
    times = np.array([np.bincount(each, minlength=len(groups)) for each in drawn], dtype=np.float64).T  # (n, draws)
    count = ~np.isnan(values[0]) @ times  # (B, draws)
    means = np.where(np.isnan(values), 0.0, values) @ times / np.maximum(count, 1)  # (M, B, draws)
    places = [ranks(block).T for block in means.round(12).transpose(1, 0, 2)]  # B of (draws, M)
    low, high = np.quantile(np.mean(places, axis=0), [(1 - level) / 2, (1 + level) / 2], axis=0)
    return [Interval(float(a), float(b)) for a, b in zip(low, high, strict=True)]


def tally(differences: Sequence[float], rounding: float) -> Tally:
    """Count differences, one a block; within ``rounding`` of zero is equal."""
    win = sum(difference > rounding for difference in differences)
    lose = sum(difference < -rounding for difference in differences)
    return Tally(win, len(differences) - win - lose, lose)


def friedman(values: Floats) -> float:
    """P-value of Friedman's test (1937) that M methods are alike in B witnesses, (M, B); corrected for ties.

    Raises ``ValueError`` below two methods or five witnesses.
    """
    methods, witnesses = values.shape
    if methods < 2 or witnesses < WITNESSES:
        raise ValueError(f"friedman: {methods} methods and {witnesses} witnesses came, 2 and {WITNESSES} are wanted")
    places = ranks(values)  # (M, B)
    sums = float(((places.sum(axis=1) - witnesses * (methods + 1) / 2) ** 2).sum())
    squares = float((places**2).sum()) - witnesses * methods * (methods + 1) ** 2 / 4
    return chi_squared_tail((methods - 1) * sums / squares, methods - 1) if squares > 0 else 1.0
