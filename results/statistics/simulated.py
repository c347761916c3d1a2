"""People of known truth, to see how often the tests cry wolf and how often they find what is there."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from kdbench.results.statistics.tests import Floats, holm, max_t, sign_flip
from kdbench.results.statistics.variance import split

LEVEL = 0.05
METHODS = 4
"""Beside student alone: ten pairs."""


def normal(rng: np.random.Generator, size: tuple[int, ...]) -> Floats:
    """Effects on people with mean 0 and standard deviation 1."""
    return rng.normal(size=size)


def skewed(rng: np.random.Generator, size: tuple[int, ...]) -> Floats:
    """The same, most people a little below and a few far above: an exponential distribution."""
    return rng.exponential(size=size) - 1


def outlier(rng: np.random.Generator, size: tuple[int, ...]) -> Floats:
    """The same, but for one person, who is five times as far out."""
    effects = rng.normal(size=size)
    effects[..., 0] *= 5
    return effects


TRUTHS = {"normal": normal, "skewed": skewed, "one outlier": outlier}


SEEDS = 6
NOISE = 0.5
"""Standard deviation of one person at one seed, beside that of people, which is 1."""


class Rates(NamedTuple):
    """Shares of the tables drawn in which something is found at p <= 0.05."""

    people: float
    """One difference, from student alone, over people alone, though there is none on average."""
    both: float
    """The same over people and seeds, as kdbench judges it."""
    holm: float
    """Any of all pairs, over people and seeds, by Holm's correction: what a table calls better."""
    max_t: float
    """Any of all pairs, over people alone, by max-T."""
    power: float
    """A true gain of one standard deviation of people, alone."""
    power_holm: float
    """The same among all pairs, where the other methods gain nothing."""


def rates(truth: str, people: int, tables: int, *, of_seeds: float = 0.0, seed: int = 0) -> Rates:
    """Draw tables of student alone and ``METHODS`` methods on so many people and ``SEEDS`` seeds, and count.

    A method's effect on a person is drawn for itself, so a difference from student alone has the distribution named,
    and two methods share what student alone does not: the pairs hang together as in a real table.

    Args:
        truth: a key of ``TRUTHS``.
        people: how many.
        tables: how many to draw.
        of_seeds: standard deviation of what a training does to everyone alike.
        seed: what they are drawn by.
    """
    rng, draw = np.random.default_rng([seed, people]), TRUTHS[truth]
    pairs = list(combinations(range(METHODS + 1), 2))
    found = np.zeros(6)
    for _ in range(tables):
        rows = rng.normal(scale=NOISE, size=(METHODS + 1, SEEDS, people))
        rows += rng.normal(scale=of_seeds, size=(METHODS + 1, SEEDS, 1))
        rows[1:] += draw(rng, (METHODS, 1, people))
        means = rows.mean(axis=1)
        found[0] += sign_flip(means[1] - means[0]) <= LEVEL
        found[1] += p_of(rows[1] - rows[0]) <= LEVEL
        found[2] += min(_adjusted(rows, pairs)) <= LEVEL
        found[3] += max_t(means, pairs).min() <= LEVEL
        rows[1] += 1  # and now method 1, of which the first pair is, gains
        found[4] += p_of(rows[1] - rows[0]) <= LEVEL
        found[5] += _adjusted(rows, pairs)[0] <= LEVEL
    return Rates(*(found / tables).tolist())


def p_of(differences: Floats) -> float:
    """Of the mean of (S, n) differences, by seed and person: the larger of the tests over people and over both."""
    found = split(differences)
    return max(sign_flip(differences.mean(axis=0)), found.p(float(differences.mean())) if found else 0.0)


def _adjusted(rows: Floats, pairs: Sequence[tuple[int, int]]) -> list[float]:
    return holm([p_of(rows[a] - rows[b]) for a, b in pairs])


def proportion_interval(hits: int, of: int) -> tuple[float, float]:
    """Of 95 % for a share, by Wilson's score (1927); ``of`` at least 1."""
    z, share = 1.959963984540054, hits / of
    center, width = share + z**2 / (2 * of), z * np.sqrt(share * (1 - share) / of + z**2 / (4 * of**2))
    return float((center - width) / (1 + z**2 / of)), float((center + width) / (1 + z**2 / of))


def halves(values: Mapping[str, Floats], draws: int, *, seed: int = 0) -> dict[str, list[int]]:
    """How often each test tells a method from itself: its seeds are cut into two halves at random.

    All methods of ``values`` are cut alike and make one family, as in a table.

    Args:
        values: (S, n) by method: a score for each seed and person; at least four seeds.
        draws: how often to cut.
        seed: what is cut by.

    Returns:
        Hits and comparisons of "both", "people", "seeds" (single tests), "holm" (of both) and "max-t" (of people; any
        of the methods).
    """
    rng = np.random.default_rng(seed)
    found = {name: [0, 0] for name in ("both", "people", "seeds", "holm", "max-t")}
    half = min(len(each) for each in values.values()) // 2
    for _ in range(draws):
        rows, p_values = [], []
        for each in values.values():
            order = rng.permutation(len(each))
            first, second = each[order[:half]], each[order[half : 2 * half]]
            rows += [first.mean(axis=0), second.mean(axis=0)]
            p_values.append(p_of(first - second))
            _count(found["both"], p_values[-1])
            _count(found["people"], sign_flip(rows[-2] - rows[-1]))
            _count(found["seeds"], sign_flip((first - second).mean(axis=1)))
        pairs = [(number, number + 1) for number in range(0, len(rows), 2)]
        _count(found["holm"], min(holm(p_values)))
        _count(found["max-t"], float(max_t(np.array(rows), pairs).min()))
    return found


def _count(hits: list[int], p: float) -> None:
    hits[0] += p <= LEVEL
    hits[1] += 1
