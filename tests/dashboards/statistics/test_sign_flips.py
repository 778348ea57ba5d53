"""The sign-flip test and its interval, against their definition: every sign pattern enumerated."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from dashboards.statistics.means import compare_paired, summarise
from dashboards.statistics.sign_flips import SignFlips

PAIRS = 1_000
wrong_pairs = st.lists(st.integers(-60, 60), min_size=1, max_size=9)
few_examples = settings(max_examples=60, deadline=None)


def exact_p_value(values: Sequence[Fraction | int], centre: Fraction | int = 0) -> Fraction:
    """By definition, without rounding: the share of sign patterns that are at least as extreme."""
    deviations = [value - centre for value in values]
    patterns = list(itertools.product((1, -1), repeat=len(deviations)))
    extreme = sum(
        abs(sum(sign * each for sign, each in zip(pattern, deviations, strict=True)))
        >= abs(sum(deviations))
        for pattern in patterns
    )
    return Fraction(extreme, len(patterns))


def brute_interval(values: Sequence[int], level: Fraction) -> tuple[Fraction, Fraction] | None:
    """The outermost centres that are not rejected, searched for where the p-value can change.

    Whether a pattern is at least as extreme changes only at centres where the two sums are equal or
    opposite, that is at means of some of the values.
    """
    subsets = (
        subset
        for size in range(1, len(values) + 1)
        for subset in itertools.combinations(values, size)
    )
    corners = sorted({Fraction(sum(subset), len(subset)) for subset in subsets})
    if exact_p_value(values, corners[-1] + 1) > level:
        return None
    accepted = [corner for corner in corners if exact_p_value(values, corner) > level]
    return accepted[0], accepted[-1]


@few_examples
@given(wrong_pairs, st.integers(-60, 60))
@example([1, 2, -3, 1, 2, -3, 6], 0)
def test_p_value_is_the_exact_one_in_spite_of_rounding(values: list[int], centre: int) -> None:
    found = SignFlips.of(np.array(values) / PAIRS).p_value(centre / PAIRS)
    if centre == 0:
        assert found == float(exact_p_value(values))
    shifted = SignFlips.of((np.array(values) - centre) / PAIRS).p_value(0.0)
    assert shifted == float(exact_p_value(values, centre))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(-60, 60), min_size=2, max_size=7), st.sampled_from(["0.05", "0.1", "0.3"])
)
@example([2, 2, 2, 2, 2, 2], "0.05")
@example([2, 2, 2, 2, 2, 3], "0.05")
def test_interval_is_what_the_enumerated_test_does_not_reject(
    values: list[int], level: str
) -> None:
    found = SignFlips.of(np.array(values) / PAIRS).interval(1 - float(level))
    expected = brute_interval(values, Fraction(level))
    if expected is None or expected[0] == expected[1]:
        assert found is None
    else:
        assert found == pytest.approx([float(end) / PAIRS for end in expected], abs=1e-11)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(-20, 60), min_size=2, max_size=16).filter(lambda d: len(set(d)) > 1),
    st.sampled_from([0.8, 0.9, 0.95, 0.99]),
)
def test_interval_and_p_value_cannot_disagree(values: list[int], confidence: float) -> None:
    found = compare_paired(np.array(values) / PAIRS, np.zeros(len(values)), confidence=confidence)
    if found.interval is None:
        assert found.p_value > 1 - confidence
    else:
        assert (found.interval.low <= 0 <= found.interval.high) == (found.p_value > 1 - confidence)
        assert found.interval.low <= found.mean_difference <= found.interval.high


@few_examples
@given(st.lists(st.integers(0, PAIRS), min_size=1, max_size=16))
def test_interval_ends_within_the_values(n_wrong: list[int]) -> None:
    found = summarise(np.array(n_wrong) / PAIRS).interval
    if found is not None:
        assert min(n_wrong) / PAIRS - 1e-9 <= found.low < found.high <= max(n_wrong) / PAIRS + 1e-9


@pytest.mark.parametrize("n", range(1, 16))
def test_fewer_than_six_values_and_equal_ones_have_no_interval(n: int) -> None:
    assert (SignFlips.of(np.arange(float(n))).interval(0.95) is None) == (n < 6)
    # In floats these differ by rounding.
    assert SignFlips.of(np.full(n, 0.1 + 0.2) - ([0.0, 1e-17] * n)[:n]).interval(0.95) is None


@pytest.mark.parametrize(("n", "covers"), [(6, 31 / 32), (10, 1 - 25 / 512), (20, 0.95)])
def test_coverage_is_the_stated_one_whatever_symmetric_distribution(n: int, covers: float) -> None:
    rng = np.random.default_rng(n)
    n_simulated, n_covered = 400, 0
    for _ in range(n_simulated):
        found = SignFlips.of(0.3 + 0.01 * rng.standard_t(2, n)).interval(0.95)
        assert found is not None
        n_covered += found.low <= 0.3 <= found.high
    assert stats.binomtest(n_covered, n_simulated, covers).pvalue > 1e-3
