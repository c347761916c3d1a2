"""Where the noise of a difference is: in whom it was measured on, or in how training fell out.

Both are samples: of people, and of trainings. A training that came out well does so on everyone alike, so a test over
people alone takes what one training had for what its method has: beside itself, a method was "shown better" in 16 to 50
of 100 comparisons of real records (docs/statistics.md). ``Split.p`` counts both.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kdbench.results.statistics.distributions import t_cdf, t_quantile
from kdbench.results.statistics.intervals import POWER, Interval
from kdbench.results.statistics.tests import Floats

ENOUGH = 0.1
"""Below this share of the variance, more seeds are worth little."""


@dataclass(frozen=True)
class Split:
    """The variance of a mean difference, by what would make it smaller."""

    people: float
    """The part that only more people make smaller."""
    seeds: float
    """The part that more seeds make smaller, the chance of one person with one seed among it."""
    degrees: int = 1
    """Degrees of freedom of the whole, by Satterthwaite (1946), rounded down."""

    @property
    def share(self) -> float:
        """Of the seeds, in 0..1; 0 where nothing varies."""
        total = self.people + self.seeds
        return self.seeds / total if total else 0.0

    @property
    def error(self) -> float:
        """Standard error of the mean difference, over people and seeds."""
        return math.sqrt(self.people + self.seeds)

    def p(self, mean: float) -> float:
        """Two-sided p-value that a mean difference is 0 for people and trainings like these: a quasi-t test.

        As the quasi-F test of Clark, "The language-as-fixed-effect fallacy", 1973, for two samples that are crossed.
        """
        if not self.error:
            return 0.0 if mean else 1.0
        return 2 * t_cdf(-abs(mean) / self.error, self.degrees)

    def interval(self, mean: float, level: float = 0.95) -> Interval:
        """The mean differences that the test does not refuse."""
        width = self.error * t_quantile((1 + level) / 2, self.degrees)
        return Interval(mean - width, mean + width)

    @property
    def detectable(self) -> float:
        """The true difference that the test finds in four of five cases."""
        return self.error * (t_quantile(0.975, self.degrees) + t_quantile(POWER, self.degrees))

    def wanted(self, seeds: int, share: float = ENOUGH) -> float:
        """How many seeds would bring their share down to ``share``, if ``seeds`` gave this split; maybe infinite."""
        if not self.seeds:
            return float(seeds)
        return seeds * self.seeds * (1 - share) / (share * self.people) if self.people else float("inf")


def split(differences: Floats) -> Split | None:
    """Split the variance of the mean of (S, n) differences, by seed and person; None below two of either.

    A balanced two-way layout with one number in each place, by the method of moments: no part is below 0.
    """
    return next(splits(differences[None]))


def splits(differences: Floats) -> Iterator[Split | None]:
    """``split`` of each of k layouts (k, S, n), hundreds of pairs at once."""
    layouts, seeds, people = differences.shape
    if seeds < 2 or people < 2:
        yield from [None] * layouts
        return
    by_person, by_seed = differences.mean(axis=1), differences.mean(axis=2)  # (k, n), (k, S)
    rest = differences - by_person[:, None, :] - by_seed[:, :, None] + differences.mean(axis=(1, 2))[:, None, None]
    places, crossed = seeds * people, (seeds - 1) * (people - 1)
    # Variances of the mean by the mean squares of the rest, of people and of seeds, (k,) each.
    noise = np.square(rest).sum(axis=(1, 2)) / crossed / places
    of_people, of_seeds = by_person.var(axis=1, ddof=1) / people, by_seed.var(axis=1, ddof=1) / seeds
    for own, other, both in zip(of_people.tolist(), of_seeds.tolist(), noise.tolist(), strict=True):
        found = max(0.0, own - both), max(0.0, other - both) + both
        squares = own**2 / (people - 1) + other**2 / (seeds - 1) + both**2 / crossed
        degrees = math.floor(sum(found) ** 2 / squares) if squares else people - 1
        yield Split(*found, max(1, min(degrees, people - 1 if found[0] else crossed)))
