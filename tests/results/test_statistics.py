"""The sign-flip test against its definition."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from scipy.stats import norm

from kdbench.results.statistics import mean, sign_flip, smallest_p


def slow_sign_flip(differences: list[int]) -> Fraction:
    vectors = product((1, -1), repeat=len(differences))
    sums = [abs(sum(s * d for s, d in zip(signs, differences, strict=True))) for signs in vectors]
    return Fraction(sum(total >= abs(sum(differences)) for total in sums), len(sums))


@pytest.mark.parametrize(
    "differences", [[3], [5, -2], [-4, -4, -4, 4], [1, 2, 3], [4, -1, 2, 2, -3], [0, 1, 1], [7, 7, 7, -7, 1, 2, 9]]
)
def test_p_counts_the_sign_vectors_as_far_from_zero(differences: list[int]) -> None:
    assert sign_flip(differences) == slow_sign_flip(differences)
    assert sign_flip([0.1 * d for d in differences]) == slow_sign_flip(differences)  # rounding does not break ties


@pytest.mark.parametrize("n", [1, 2, 3, 5, 6, 16])
def test_equal_signs_reach_the_smallest_p(n: int) -> None:
    assert sign_flip([0.01 * (i + 1) for i in range(n)]) == smallest_p(n) == 2 / 2**n


def test_no_difference_at_all_gives_one() -> None:
    assert sign_flip([0.0, 0.0, 0.0]) == 1


def test_p_does_not_depend_on_the_sign_of_all_differences() -> None:
    differences = [0.3, -0.1, 0.25, 0.07]
    assert sign_flip(differences) == sign_flip([-d for d in differences])


def test_many_differences_are_sampled_repeatably_and_near_the_normal_limit() -> None:
    differences = np.random.default_rng(3).normal(0.3, 1, size=40)
    z = abs(differences.sum()) / np.sqrt((differences**2).sum())
    p = sign_flip(list(differences))
    assert p == sign_flip(list(differences))
    assert p == pytest.approx(2 * norm.sf(z), abs=0.02)


def test_a_sampled_p_never_goes_below_the_smallest() -> None:
    assert sign_flip([1.0] * 60) == smallest_p(60) > 0


def test_no_differences_are_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        sign_flip([])


def test_a_mean_does_not_depend_on_the_order() -> None:
    values = [0.1, 1e16, 0.3, -1e16, 0.7]
    assert mean(values) == mean(sorted(values)) == pytest.approx(0.22)
