"""Summaries, paired comparisons and Holm's adjustment, against known answers and known laws."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dashboards.statistics.means import (
    compare_paired,
    detectable_difference,
    holm,
    summarise,
)

N_TEST_PAIRS = 1_000
error_rates = st.integers(0, N_TEST_PAIRS).map(lambda n_wrong: n_wrong / N_TEST_PAIRS)
paired_errors = st.lists(st.tuples(error_rates, error_rates), min_size=2, max_size=9)
p_values = st.lists(st.floats(0, 1), max_size=12)
few_examples = settings(max_examples=50, deadline=None)


class TestSummarise:
    def test_matches_a_computation_by_hand(self) -> None:
        summary = summarise([1.0, 2.0, 3.0, 4.0])
        assert (summary.n, summary.mean, summary.minimum, summary.maximum) == (4, 2.5, 1.0, 4.0)
        assert summary.std == pytest.approx(math.sqrt(5 / 3))
        assert summary.interval is None
        # Of 6 values the test at 5 % rejects only centres that all lie to one side of.
        assert summarise([3.0, 1.0, 4.0, 1.5, 5.0, 2.0]).interval == pytest.approx((1.0, 5.0))

    def test_one_value_has_no_scatter(self) -> None:
        summary = summarise([0.25])
        assert (summary.n, summary.mean) == (1, 0.25)
        assert summary.std is None
        assert summary.interval is None

    def test_interval_covers_the_mean_as_often_as_it_says(self) -> None:
        rng = np.random.default_rng(0)
        n_covered = 0
        for _ in range(1_000):
            interval = summarise(rng.normal(3, 2, 10)).interval
            assert interval is not None
            n_covered += interval.low <= 3 <= interval.high
        assert stats.binomtest(n_covered, 1_000, 1 - 25 / 512).pvalue > 1e-3

    @pytest.mark.parametrize(
        ("values", "sentence"),
        [
            ([], "at least one number"),
            ([[1.0, 2.0]], "at least one number"),
            ([1.0, math.nan], "finite"),
            ([1.0, math.inf], "finite"),
        ],
    )
    def test_refuses_what_is_no_list_of_numbers(self, values: Any, sentence: str) -> None:
        with pytest.raises(ValueError, match=sentence):
            summarise(values)


class TestComparePaired:
    @few_examples
    @given(paired_errors)
    def test_swapping_the_arms_mirrors_the_result(self, pairs: list[tuple[float, float]]) -> None:
        values, reference = zip(*pairs, strict=True)
        forth, back = compare_paired(values, reference), compare_paired(reference, values)
        assert forth.mean_difference == -back.mean_difference
        assert forth.probability_better == pytest.approx(1 - back.probability_better)
        assert forth.p_value == back.p_value
        assert forth.detectable_difference == back.detectable_difference
        assert (forth.interval is None) == (back.interval is None)
        if forth.interval is not None and back.interval is not None:
            mirrored = (-back.interval.high, -back.interval.low)
            assert forth.interval == pytest.approx(mirrored, abs=1e-9)

    @few_examples
    @given(paired_errors, st.floats(-2, 2))
    def test_shifting_all_values_changes_nothing(
        self, pairs: list[tuple[float, float]], shift: float
    ) -> None:
        values, reference = np.array(pairs).T
        plain = compare_paired(values, reference)
        shifted = compare_paired(values + shift, reference + shift)
        assert shifted.mean_difference == pytest.approx(plain.mean_difference, abs=1e-12)
        assert shifted.probability_better == plain.probability_better
        assert shifted.p_value == plain.p_value
        assert (shifted.interval is None) == (plain.interval is None)
        if plain.interval is not None:
            assert shifted.interval == pytest.approx(plain.interval, abs=1e-9)

    def test_numbers_of_a_small_example(self) -> None:
        values = np.array([0.10, 0.12, 0.11, 0.09])
        reference = np.array([0.12, 0.12, 0.10, 0.13])
        comparison = compare_paired(values, reference)
        assert comparison.n == 4
        assert comparison.mean_difference == pytest.approx(-0.0125)
        assert comparison.std_difference == pytest.approx(np.std(values - reference, ddof=1))
        assert comparison.probability_better == (2 + 0.5) / 4
        # |sum| of ±2 ±0 ±1 ±4 is at least 5 for 8 of the 16 patterns.
        assert comparison.p_value == 8 / 16

    def test_smallest_p_value_needs_all_pairs_on_one_side(self) -> None:
        for n in range(2, 14):
            comparison = compare_paired(np.arange(1, n + 1) / 100, np.zeros(n))
            assert comparison.p_value == pytest.approx(2 / 2**n)
            assert (comparison.detectable_difference is None) == (n < 6)

    def test_many_pairs_use_random_patterns_and_are_repeatable(self) -> None:
        rng = np.random.default_rng(3)
        values, reference = rng.normal(0.09, 0.02, (2, 30))
        first = compare_paired(values, reference, seed=1)
        assert first == compare_paired(values, reference, seed=1)
        assert first.interval != compare_paired(values, reference, seed=2).interval
        assert first.interval == pytest.approx(
            stats.ttest_rel(values, reference).confidence_interval(), abs=0.002
        )
        # The t test is a good approximation for 30 normal differences.
        assert first.p_value == pytest.approx(stats.ttest_rel(values, reference).pvalue, abs=0.03)
        assert compare_paired(values, values + 1 + rng.random(30)).p_value == 1 / 10_000

    def test_confidence_widens_the_interval(self) -> None:
        rng = np.random.default_rng(6)
        values, reference = rng.normal(0.1, 0.02, (2, 10))
        narrow = compare_paired(values, reference, confidence=0.8).interval
        wide = compare_paired(values, reference, confidence=0.99).interval
        assert narrow is not None
        assert wide is not None
        assert wide.low < narrow.low < narrow.high < wide.high

    @pytest.mark.parametrize("difference", [0.0, 0.1, -0.1])
    def test_equal_differences_have_no_interval(self, difference: float) -> None:
        # 0.3 - 0.2 and 0.2 - 0.1 differ by rounding; the first must not count as scatter.
        reference = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.7])
        comparison = compare_paired(reference + difference, reference)
        assert comparison.interval is None
        assert comparison.detectable_difference is None
        assert comparison.std_difference == 0
        assert comparison.mean_difference == pytest.approx(difference)
        assert comparison.p_value == (1.0 if difference == 0 else 2 / 2**6)

    def test_rounding_is_no_difference(self) -> None:
        comparison = compare_paired([0.1 + 0.2, 0.5, 0.3], [0.3, 0.5, 0.3])
        assert comparison.probability_better == 0.5
        assert comparison.p_value == 1.0

    def test_two_pairs_have_no_interval(self) -> None:
        comparison = compare_paired([0.1, 0.2], [0.3, 0.5])
        assert comparison.interval is None
        assert comparison.p_value == 0.5
        assert comparison.probability_better == 1.0

    def test_family_raises_the_detectable_difference(self) -> None:
        rng = np.random.default_rng(7)
        values, reference = rng.normal(0.1, 0.02, (2, 10))
        alone = compare_paired(values, reference).detectable_difference
        of_six = compare_paired(values, reference, n_comparisons=6).detectable_difference
        assert alone is not None
        assert of_six is not None
        assert alone < of_six
        assert compare_paired(values, reference, n_comparisons=26).detectable_difference is None

    @pytest.mark.parametrize(
        ("values", "reference", "options", "sentence"),
        [
            ([1.0], [1.0], {}, "at least 2 seeds"),
            ([1.0, 2.0], [1.0], {}, "cannot be paired"),
            ([1.0, math.nan], [1.0, 2.0], {}, "values must be finite"),
            ([1.0, 2.0], [math.inf, 2.0], {}, "reference must be finite"),
            ([1.0, 2.0], [1.0, 2.0], {"confidence": 95}, "confidence"),
            ([1.0, 2.0], [1.0, 2.0], {"n_comparisons": 0}, "n_comparisons"),
        ],
    )
    def test_refuses(self, values: Any, reference: Any, options: Any, sentence: str) -> None:
        with pytest.raises(ValueError, match=sentence):
            compare_paired(values, reference, **options)


class TestDetectableDifference:
    def test_agrees_with_published_sample_sizes(self) -> None:
        # G*Power and Cohen's tables: a paired t test, two-sided alpha 0.05, power 0.8, finds
        # d = 0.5 with 34 pairs and not with 33.
        with_33, with_34 = (detectable_difference(1.0, n) for n in (33, 34))
        assert with_33 is not None
        assert with_34 is not None
        assert with_34 <= 0.5 < with_33

    @pytest.mark.parametrize(
        ("n", "alpha"),
        [(6, 0.05), (7, 0.05), (10, 0.05), (8, 0.05 / 6), (9, 0.05 / 6), (10, 0.05 / 6)],
    )
    def test_sign_flip_test_has_the_stated_power(self, n: int, alpha: float) -> None:
        detectable = detectable_difference(1.0, n, alpha=alpha)
        assert detectable is not None
        rng = np.random.default_rng(n)
        differences = rng.normal(detectable, 1.0, (4_000, n))
        signs = np.array(list(itertools.product((1, -1), repeat=n)))
        sums = np.abs(differences @ signs.T)
        p_values = np.mean(sums >= np.abs(differences.sum(axis=1, keepdims=True)) - 1e-9, axis=1)
        assert np.mean(p_values <= alpha) == pytest.approx(0.8, abs=0.06)

    def test_scales_with_the_scatter_and_shrinks_with_seeds(self) -> None:
        by_n = [detectable_difference(1.0, n) for n in (6, 8, 10, 20, 100)]
        found = [difference for difference in by_n if difference is not None]
        assert len(found) == len(by_n)
        assert found == sorted(found, reverse=True)
        assert detectable_difference(3.0, 10) == pytest.approx(3 * found[2])
        assert detectable_difference(0.0, 10) == 0

    def test_nothing_is_detectable_where_the_test_cannot_reach_the_level(self) -> None:
        assert detectable_difference(1.0, 5) is None
        assert detectable_difference(1.0, 6) is not None
        assert detectable_difference(1.0, 7, alpha=0.05 / 6) is None
        assert detectable_difference(1.0, 8, alpha=0.05 / 6) is not None

    @pytest.mark.parametrize(
        ("arguments", "options", "sentence"),
        [
            ((-1.0, 10), {}, "std"),
            ((math.nan, 10), {}, "std"),
            ((1.0, 1), {}, "at least 2 seeds"),
            ((1.0, 10), {"alpha": 0.0}, "alpha"),
            ((1.0, 10), {"power": 1.0}, "power"),
            ((1.0, 10), {"alpha": 0.05, "power": 0.02}, "power"),
        ],
    )
    def test_refuses(self, arguments: Any, options: Any, sentence: str) -> None:
        with pytest.raises(ValueError, match=sentence):
            detectable_difference(*arguments, **options)


class TestHolm:
    def test_matches_a_computation_by_hand(self) -> None:
        assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])

    @given(p_values)
    def test_lies_between_the_raw_values_and_bonferroni(self, raw: list[float]) -> None:
        adjusted = holm(raw)
        assert np.all(adjusted >= raw)
        assert np.all(adjusted <= np.minimum(1.0, len(raw) * np.array(raw)))

    @given(p_values)
    def test_keeps_the_order(self, raw: list[float]) -> None:
        order = np.argsort(raw, kind="stable")
        assert np.all(np.diff(holm(raw)[order]) >= 0)

    @given(p_values, st.randoms())
    def test_does_not_depend_on_the_order_of_the_tests(self, raw: list[float], random: Any) -> None:
        shuffled = list(range(len(raw)))
        random.shuffle(shuffled)
        assert list(holm([raw[k] for k in shuffled])) == [holm(raw)[k] for k in shuffled]

    def test_a_family_of_one_is_not_adjusted(self) -> None:
        assert list(holm([0.04])) == [0.04]
        assert len(holm([])) == 0

    @pytest.mark.parametrize("raw", [[1.1], [-0.1], [math.nan], [[0.1]]])
    def test_refuses_what_is_no_p_value(self, raw: Any) -> None:
        with pytest.raises(ValueError, match="p-values"):
            holm(raw)
