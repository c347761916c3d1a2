"""Every statistic against its definition, counted slowly, or against scipy."""

import math
from fractions import Fraction
from itertools import combinations, product

import numpy as np
import pytest
import scipy.stats

from kdbench.results.statistics import mean
from kdbench.results.statistics.distributions import chi_squared_tail, t_cdf, t_quantile
from kdbench.results.statistics.intervals import Interval, detectable, difference_interval, score_interval
from kdbench.results.statistics.ranks import Tally, friedman, rank_intervals, ranks, tally
from kdbench.results.statistics.simulated import TRUTHS, halves, p_of, proportion_interval, rates
from kdbench.results.statistics.tests import DRAWS, all_signs, holm, max_t, sign_flip, smallest_p
from kdbench.results.statistics.variance import Split, split


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


@pytest.mark.parametrize("n", [1, 2, 3, 5, 6, 16, 20])
def test_equal_signs_reach_the_smallest_p(n: int) -> None:
    assert sign_flip([0.01 * (i + 1) for i in range(n)]) == smallest_p(n) == 2 / 2**n


def test_no_difference_at_all_gives_one() -> None:
    assert sign_flip([0.0, 0.0, 0.0]) == 1


def test_p_does_not_depend_on_the_sign_of_all_differences() -> None:
    differences = [0.3, -0.1, 0.25, 0.07]
    assert sign_flip(differences) == sign_flip([-d for d in differences])


def test_p_is_that_of_scipys_permutation_test() -> None:
    differences = np.random.default_rng(5).normal(0.4, 1, size=9)
    found = scipy.stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert sign_flip(differences) == pytest.approx(found.pvalue)


def test_many_differences_are_sampled_repeatably_and_near_the_normal_limit() -> None:
    differences = np.random.default_rng(3).normal(0.3, 1, size=40)
    z = abs(differences.sum()) / np.sqrt((differences**2).sum())
    p = sign_flip(list(differences))
    assert p == sign_flip(list(differences))
    assert p == pytest.approx(2 * scipy.stats.norm.sf(z), abs=0.02)


def test_a_sampled_p_never_goes_below_the_smallest() -> None:
    assert sign_flip([1.0] * 60) == smallest_p(60) == 1 / (DRAWS + 1)


def test_no_differences_are_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        sign_flip([])


def test_half_of_the_sign_vectors_stand_for_all_of_them() -> None:
    signs = all_signs(4)
    assert signs.shape == (8, 4)
    assert (signs[0] == 1).all()
    assert (signs[:, 0] == 1).all()
    assert {tuple(row) for row in np.concatenate([signs, -signs])} == set(product((1.0, -1.0), repeat=4))


def slow_max_t(rows: np.ndarray, pairs: list[tuple[int, int]]) -> list[float]:
    """By the definition: for every hypothesis, the largest statistic among itself and all that are less extreme."""

    def statistics(signs: tuple[int, ...]) -> list[float]:
        found = []
        for a, b in pairs:
            difference = rows[a] - rows[b]
            found.append(abs((difference * signs).sum()) / math.sqrt((difference**2).sum()))
        return found

    every = [statistics(signs) for signs in product((1, -1), repeat=rows.shape[1])]
    observed = every[0]
    p = {}
    for number in range(len(pairs)):
        rest = [other for other in range(len(pairs)) if observed[other] <= observed[number]]
        p[number] = np.mean([max(found[other] for other in rest) >= observed[number] - 1e-9 for found in every])
    return [max(p[other] for other in p if observed[other] >= observed[number]) for number in range(len(pairs))]


@pytest.mark.parametrize("people", [4, 6, 7])
def test_all_pairs_at_once_are_adjusted_as_the_definition_says(people: int) -> None:
    rows = np.random.default_rng(people).normal(size=(4, people)) + np.array([0, 0, 1, 3])[:, None]
    pairs = list(combinations(range(4), 2))
    assert max_t(rows, pairs) == pytest.approx(slow_max_t(rows, pairs))


def test_one_pair_needs_no_adjustment_and_more_never_make_it_surer() -> None:
    rows = np.random.default_rng(1).normal(size=(5, 8)) + np.arange(5)[:, None] / 2
    pairs = list(combinations(range(5), 2))
    single = [sign_flip(rows[a] - rows[b]) for a, b in pairs]
    assert max_t(rows, pairs[3:4]) == pytest.approx(single[3:4])
    adjusted = max_t(rows, pairs)
    assert (adjusted >= np.array(single) - 1e-12).all()
    assert (adjusted <= np.array(holm(single)) + 1e-12).all()  # what pairs share is not paid for twice


def test_rows_that_are_one_are_no_evidence() -> None:
    rows = np.array([[1.0, 2, 3, 4, 5, 6, 7], [1.0, 2, 3, 4, 5, 6, 7], [2.0, 3, 4, 5, 6, 7, 8.5]])
    assert max_t(rows, [(0, 1), (0, 2), (1, 2)]) == pytest.approx([1.0, 2 / 2**7, 2 / 2**7])


def test_many_people_are_sampled_near_what_all_sign_vectors_give() -> None:
    rows = np.random.default_rng(4).normal(size=(3, 18)) + np.array([0, 0.5, 0.6])[:, None]
    (sampled,) = max_t(rows[:2], [(0, 1)])
    assert sampled == pytest.approx(sign_flip(rows[0] - rows[1]), abs=0.01)


def test_holms_correction_is_the_textbooks() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize("people", [6, 7, 9])
@pytest.mark.parametrize("weighted", [False, True])
def test_an_interval_holds_the_differences_that_the_test_does_not_refuse(people: int, weighted: bool) -> None:
    rng = np.random.default_rng(people)
    weights = rng.dirichlet(np.ones(people)) if weighted else np.full(people, 1 / people)
    parts = weights * rng.normal(1, 2, size=people)
    low, high = difference_interval(parts, weights)
    for inside, outside in ((low + 1e-6, low - 1e-6), (high - 1e-6, high + 1e-6)):
        assert sign_flip(parts - inside * weights) > 0.05
        assert sign_flip(parts - outside * weights) <= 0.05
    assert low < parts.sum() < high


def test_five_people_bound_no_difference() -> None:
    assert difference_interval(np.array([0.2] * 5)) == Interval(-math.inf, math.inf)
    assert not difference_interval(np.array([0.2])).bounded
    assert difference_interval(np.array([0.2] * 6)).bounded


def test_an_interval_over_many_people_is_near_that_of_t() -> None:
    values = np.random.default_rng(0).normal(0.5, 1, size=40)
    found = difference_interval(values / 40)
    wanted = scipy.stats.t.interval(0.95, 39, values.mean(), values.std(ddof=1) / math.sqrt(40))
    assert found == pytest.approx(wanted, abs=0.03)


def test_a_score_varies_with_who_is_drawn() -> None:
    values = np.random.default_rng(0).normal(0.8, 0.1, size=50)
    low, high = score_interval(values)
    wanted = scipy.stats.bootstrap((values,), np.mean, method="percentile", random_state=1).confidence_interval
    assert (low, high) == pytest.approx(tuple(wanted), abs=0.004)
    assert score_interval(np.array([0.7])) == (0.7, 0.7)


def test_how_many_people_a_group_has_is_no_chance_of_a_score() -> None:
    values, groups = np.array([0.2] * 3 + [0.9] * 6), ["a"] * 3 + ["b"] * 6
    low, high = score_interval(values, groups)
    assert (low, high) == pytest.approx((values.mean(), values.mean()))
    assert score_interval(values).low < 0.6 < score_interval(values).high
    mixed = np.array([0.2, 0.3, 0.4, 0.9, 0.8, 0.7, 0.95, 0.85, 0.6])
    alone = [score_interval(mixed[:3]), score_interval(mixed[3:])]
    low, high = score_interval(mixed, groups)
    assert (
        (3 * alone[0].low + 6 * alone[1].low) / 9
        < low
        < mixed.mean()
        < high
        < (3 * alone[0].high + 6 * alone[1].high) / 9
    )


def test_inside_the_margin_is_practically_equal() -> None:
    assert Interval(-0.004, 0.005).within(0.005)
    assert not Interval(-0.004, 0.0051).within(0.005)
    assert not Interval(-math.inf, math.inf).within(0.005)


def test_quantiles_are_those_of_scipy() -> None:
    for degrees in (1, 2, 3, 8, 29, 120):
        for share in (0.025, 0.5, 0.8, 0.975):
            assert t_quantile(share, degrees) == pytest.approx(scipy.stats.t.ppf(share, degrees), abs=1e-9)
        assert t_cdf(0.7, degrees) == pytest.approx(scipy.stats.t.cdf(0.7, degrees))
        for x in (0.0, 0.5, 7.0, 30.0):
            assert chi_squared_tail(x, degrees) == pytest.approx(scipy.stats.chi2.sf(x, degrees))
    with pytest.raises(ValueError, match="share in"):
        t_quantile(1.0, 3)


def test_what_could_have_been_seen_is_found_in_about_four_of_five_draws() -> None:
    differences = np.random.default_rng(2).normal(0, 1, size=12)
    assert detectable(differences[:1]) is None
    true = detectable(differences)
    assert true is not None
    sd = differences.std(ddof=1)
    drawn = np.random.default_rng(3).normal(true, sd, size=(4000, 12))
    found = scipy.stats.ttest_1samp(drawn, 0, axis=1).pvalue <= 0.05
    assert found.mean() == pytest.approx(0.8, abs=0.03)


def test_variance_is_split_as_it_was_made() -> None:
    rng = np.random.default_rng(0)
    found = [
        split(rng.normal(0, 2, size=(1, 10)) + rng.normal(0, 1, size=(6, 1)) + rng.normal(0, 3, size=(6, 10)))
        for _ in range(3000)
    ]
    assert np.mean([each.people for each in found if each]) == pytest.approx(4 / 10, rel=0.05)
    assert np.mean([each.seeds for each in found if each]) == pytest.approx(1 / 6 + 9 / 60, rel=0.05)


def test_a_variance_is_not_below_zero_and_needs_two_of_each() -> None:
    assert split(np.ones((1, 5))) is None
    assert split(np.ones((5, 1))) is None
    assert split(np.ones((3, 3))) == Split(0.0, 0.0, 2)
    people_alone = split(np.tile(np.arange(4.0), (3, 1)))
    assert people_alone is not None
    assert people_alone.seeds == pytest.approx(0)
    assert people_alone.people == pytest.approx(np.var(np.arange(4.0), ddof=1) / 4)


def test_a_difference_that_all_seeds_share_on_all_people_is_that_of_a_t_test_over_people() -> None:
    people = np.random.default_rng(0).normal(0.6, 1, size=9)
    found = split(np.tile(people, (4, 1)))
    assert found is not None
    assert found.degrees == 8
    assert found.p(float(people.mean())) == pytest.approx(scipy.stats.ttest_1samp(people, 0).pvalue)
    low, high = scipy.stats.t.interval(0.95, 8, people.mean(), scipy.stats.sem(people))
    assert found.interval(float(people.mean())) == pytest.approx((low, high))


def test_the_other_way_round_it_is_that_of_a_t_test_over_seeds() -> None:
    seeds = np.random.default_rng(0).normal(0.6, 1, size=6)
    found = split(np.tile(seeds[:, None], (1, 9)))
    assert found is not None
    assert found.degrees == 5
    assert found.p(float(seeds.mean())) == pytest.approx(scipy.stats.ttest_1samp(seeds, 0).pvalue)


def test_over_people_and_seeds_a_method_is_told_from_itself_no_more_often_than_said() -> None:
    """A training that came out well does so on everyone: over people alone that is nine alarms in twenty."""
    values = np.random.default_rng(0).normal(size=(400, 2, 6, 1)) + np.random.default_rng(1).normal(size=(400, 2, 6, 9))
    differences = values[:, 0] - values[:, 1]  # (400, 6, 9)
    assert np.mean([sign_flip(each.mean(axis=0)) <= 0.05 for each in differences]) > 0.3
    assert np.mean([p_of(each) <= 0.05 for each in differences]) <= 0.06


@pytest.mark.parametrize("truth", TRUTHS)
def test_simulated_people_keep_the_level_where_they_are_symmetric(truth: str) -> None:
    found = rates(truth, 9, 300)
    assert found.holm <= (0.12 if truth == "skewed" else 0.06)
    assert found.power >= 0.3


def test_halves_of_one_methods_seeds_are_compared_as_often_as_asked() -> None:
    values = {name: np.random.default_rng(n).normal(size=(8, 7)) for n, name in enumerate(("kd", "at"))}
    found = halves(values, 30)
    assert {name: of for name, (_, of) in found.items()} == {
        "both": 60,
        "people": 60,
        "seeds": 60,
        "holm": 30,
        "max-t": 30,
    }
    assert found["both"][0] <= found["people"][0]


def test_the_interval_of_a_share_is_that_of_scipy() -> None:
    for hits, of in ((0, 20), (3, 20), (50, 1000)):
        wanted = scipy.stats.binomtest(hits, of).proportion_ci(method="wilson")
        assert proportion_interval(hits, of) == pytest.approx((wanted.low, wanted.high))


def test_so_many_seeds_bring_their_share_down() -> None:
    assert Split(0.9, 0.1).share == pytest.approx(0.1)
    assert Split(0.9, 0.1).wanted(6) == pytest.approx(6)
    assert Split(0.9, 0.2).wanted(6) == pytest.approx(12)
    assert Split(0.0, 0.2).wanted(6) == math.inf
    assert Split(0.0, 0.0).share == 0


def test_ranks_are_those_of_scipy() -> None:
    values = np.random.default_rng(0).integers(0, 4, size=(5, 7)).astype(float)
    assert ranks(values) == pytest.approx(scipy.stats.rankdata(-values, axis=0))


def test_friedmans_test_is_that_of_scipy() -> None:
    values = np.random.default_rng(0).integers(0, 5, size=(4, 9)).astype(float)
    assert friedman(values) == pytest.approx(scipy.stats.friedmanchisquare(*values).pvalue)
    assert friedman(np.ones((3, 5))) == 1
    with pytest.raises(ValueError, match="4 witnesses came"):
        friedman(values[:, :4])


def test_a_rank_is_sure_where_everyone_agrees_and_open_where_people_differ() -> None:
    people = np.random.default_rng(0).normal(0.5, 0.1, size=(2, 8))
    values = np.stack([people + 0.2, people, people + np.array([[0.1, -0.1] * 4])])  # (3, 2, 8)
    first, second, third = rank_intervals(values, ["a"] * 8)
    assert first == (1, 1)
    assert (second.low, second.high) == (third.low, third.high) == (2, 3)
    values[:, 0, :4] = np.nan  # those four are in the second block alone
    assert rank_intervals(values, ["a"] * 4 + ["b"] * 4)[0] == (1, 1)


def test_blocks_are_won_tied_and_lost() -> None:
    assert tally([0.2, 0.0, -0.1, 1e-13, 0.4], 1e-12) == Tally(2, 2, 1)


def test_a_mean_does_not_depend_on_the_order() -> None:
    values = [0.1, 1e16, 0.3, -1e16, 0.7]
    assert mean(values) == mean(sorted(values)) == pytest.approx(0.22)
