"""How far rows are apart, judged over people, over seeds and over both; hundreds of pairs at once."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kdbench.results.statistics.intervals import Interval, detectable, difference_intervals
from kdbench.results.statistics.tests import Floats, sign_flips
from kdbench.results.statistics.variance import Split, splits
from kdbench.results.tables.people import Panel


@dataclass(frozen=True, eq=False)
class Differences:
    """Of k complete rows from k others, over people: above 0, the first is better."""

    by_seed: Floats
    """(k, S, n) what each person contributes to each mean, seed by seed."""
    weights: Floats
    """(n,) how much of the mean each person is."""

    def __getitem__(self, number: int) -> "Difference":
        return Difference(self, number)

    def __iter__(self) -> "Iterator[Difference]":
        return map(self.__getitem__, range(len(self.by_seed)))

    @cached_property
    def parts(self) -> Floats:
        """(k, n) what each person contributes to each mean."""
        return np.asarray(self.by_seed.mean(axis=1), dtype=np.float64)

    @cached_property
    def means(self) -> list[float]:
        return [math.fsum(parts) for parts in self.parts]

    @cached_property
    def splits(self) -> list[Split | None]:
        """How much of the noise is people and how much is seeds; None below two of either."""
        return list(splits(self.by_seed * len(self.weights)))

    @cached_property
    def p_people(self) -> list[float]:
        """Would other people agree, judging these very trainings?"""
        return [float(p) for p in sign_flips(self.parts)]

    @cached_property
    def p_both(self) -> list[float]:
        """The quasi-t test's; 0 where people and seeds are too few for it, so that the other decides."""
        return [found.p(mean) if found else 0.0 for found, mean in zip(self.splits, self.means, strict=True)]

    @cached_property
    def p(self) -> list[float]:
        """Would other people and other trainings agree? The larger of two p-values, not corrected for other pairs.

        The sign-flip test over people needs no normal distribution and takes these trainings for all; the quasi-t test
        over people and seeds takes neither for all and leans on a normal one.
        """
        return list(map(max, self.p_people, self.p_both))

    @cached_property
    def p_seeds(self) -> list[float]:
        """Would a rerun agree, on these very people?"""
        return [float(p) for p in sign_flips(self.by_seed.sum(axis=2))]

    @cached_property
    def intervals(self) -> list[Interval]:
        """Of 95 %: all that the test over people, or that over people and seeds, does not refuse, and that there is."""
        over_people = difference_intervals(self.parts, self.weights)
        known = zip(over_people, self.splits, self.means, strict=True)
        wide = [each.hull(found.interval(mean)) if found else each for each, found, mean in known]
        return [Interval(max(-1.0, each.low), min(1.0, each.high)) if each.bounded else each for each in wide]


@dataclass(frozen=True, eq=False)
class Difference:
    """One of them."""

    among: Differences
    number: int

    @property
    def mean(self) -> float:
        return self.among.means[self.number]

    @property
    def parts(self) -> Floats:
        """(n,) what each person contributes to the mean."""
        return np.asarray(self.among.parts[self.number], dtype=np.float64)

    @property
    def seeds(self) -> list[float]:
        """The difference at each seed."""
        return [float(value) for value in self.among.by_seed[self.number].sum(axis=1)]

    @property
    def split(self) -> Split | None:
        return self.among.splits[self.number]

    @property
    def interval(self) -> Interval:
        return self.among.intervals[self.number]

    @property
    def p(self) -> float:
        return self.among.p[self.number]

    @property
    def p_seeds(self) -> float:
        return self.among.p_seeds[self.number]

    @property
    def detectable(self) -> float | None:
        """The smallest true difference that people and seeds like these show in four of five cases."""
        over_people = detectable(self.parts * len(self.parts))
        return max(over_people or 0.0, self.split.detectable) if self.split else over_people


def difference(by_seed: Floats, weights: Floats) -> Difference:
    """One alone, of (S, n) contributions and (n,) weights."""
    return Differences(by_seed[None], weights)[0]


def difference_of(first: Panel, second: Panel) -> Difference:
    """Of the only rows of two panels of the same blocks, seeds and people."""
    return difference(first.by_seed[0] - second.by_seed[0], first.weights)
