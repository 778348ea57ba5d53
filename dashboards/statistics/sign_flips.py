"""The sign-flip test of a mean of few values, and the interval that inverts it."""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["LARGEST_EXACT", "N_RANDOM", "Interval", "SignFlips"]

N_RANDOM = 9_999
LARGEST_EXACT = 13
"""Up to so many values every sign pattern is counted; beyond, `N_RANDOM` random ones are."""
DECIMALS = 12
"""Means of values of order 1 that agree in so many decimals are equal on paper."""


class Interval(NamedTuple):
    """A confidence interval, both ends included.

    Attributes:
        low: The lower end.
        high: The upper end, at least ``low``.
    """

    low: float
    high: float


class SignFlips(NamedTuple):
    """The sign-flip test of every centre at once.

    The test asks whether N values may be symmetric about a centre: then each deviation from it was
    as likely to come out with the other sign. The p-value is the share of the sign patterns under
    which the sum of the deviations is at least as far from zero as it is. So the test keeps its
    level for every N and every symmetric distribution: error rates with few distinct values, ties
    and outliers included. The t test has no such guarantee: three values that are equal by
    coincidence have no scatter, and it calls them certain. The price is the smallest p-value,
    2 / 2**N: with fewer than 6 values 5 % cannot be reached, no difference is ever called
    significant, and there is no 95 % interval. Up to 13 values all 2**N patterns are counted and
    the p-value is exact; beyond, 9,999 random ones are, and the observed one is counted among them,
    which keeps the level.

    The interval is made of the centres that the test does not reject, so the two cannot disagree.
    It holds the centre of symmetric values with at least its level (95.1 % for 10 values without
    ties, 96.9 % for 6), and ends within the values, so it never names what a value cannot be.

    What neither forgives is skewness: where a config fails rarely and badly, false alarms can
    exceed the level, and the interval holds the mean less often, as any of so few values. How often
    is simulated in ``tests/benchmarks/statistics/verdict_calibration.py``.

    Flipping the values of a set A about a centre gives a sum as extreme as the observed one just
    where the centre lies between the mean of A and the mean of the rest, both included. These spans
    are all there is to know: the p-value of a centre is the share of those that hold it. Each holds
    the mean of the values, so that the p-value falls to both sides of it.

    Attributes:
        low_M: The spans' lower ends, one a pattern, shape (M,); -inf for the observed pattern. A
            pattern and its opposite have one span, so of all patterns half are here.
        high_M: Their upper ends, shape (M,); inf for the observed pattern.

    Source:
        Fisher, The Design of Experiments, 1935, section 21; Ernst, Permutation Methods, Statistical
        Science 19(4), 2004. Random patterns: Phipson & Smyth, Permutation P-values Should Never Be
        Zero, 2010. Inversion: Lehmann & Romano, Testing Statistical Hypotheses, 3rd edition, 2005,
        sections 3.5 and 5.9.
    """

    low_M: NDArray[np.float64]
    high_M: NDArray[np.float64]

    @classmethod
    def of(cls, values_N: NDArray[np.float64], *, seed: int = 0) -> SignFlips:
        """Find the spans of some values.

        Args:
            values_N: Finite numbers, shape (N,), N at least 1.
            seed: Seed of the random patterns beyond 13 values.
        """
        flipped_MN = _patterns(len(values_N), seed)
        n_flipped_M = flipped_MN.sum(axis=1)
        n_kept_M = len(values_N) - n_flipped_M
        scale = float(np.max(np.abs(values_N))) or 1.0
        sums_2M = np.stack([flipped_MN @ (values_N / scale), ~flipped_MN @ (values_N / scale)])
        with np.errstate(divide="ignore", invalid="ignore"):
            means_2M = np.round(sums_2M / [n_flipped_M, n_kept_M], DECIMALS) * scale
        is_observed_M = (n_flipped_M == 0) | (n_kept_M == 0)
        return cls(
            low_M=np.where(is_observed_M, -np.inf, means_2M.min(axis=0)),
            high_M=np.where(is_observed_M, np.inf, means_2M.max(axis=0)),
        )

    def p_value(self, centre: float) -> float:
        """The two-sided p-value of a centre, in (0, 1]."""
        return float(np.mean((self.low_M <= centre) & (centre <= self.high_M)))

    def interval(self, confidence: float) -> Interval | None:
        """The centres whose p-value is above ``1 - confidence``.

        Args:
            confidence: The level, in (0, 1).

        Returns:
            The interval; None where so few values reject no centre at this level, and where all
            are equal: that they did not differ is not to know their centre.
        """
        n_rejecting = math.floor((1 - confidence) * len(self.low_M))
        low, high = np.sort(self.low_M)[n_rejecting], np.sort(self.high_M)[-1 - n_rejecting]
        return Interval(float(low), float(high)) if -math.inf < low < high else None


@cache
def _patterns(n: int, seed: int) -> NDArray[np.bool_]:
    """Which of n values are flipped, shape (M, n): half of all patterns, or the observed and random
    ones."""
    if n <= LARGEST_EXACT:
        return ((np.arange(2 ** (n - 1))[:, np.newaxis] >> np.arange(n)) & 1).astype(np.bool_)
    random = np.random.default_rng(seed).integers(2, size=(N_RANDOM, n), dtype=np.int8)
    return np.concatenate([np.zeros((1, n), dtype=np.bool_), random.astype(np.bool_)])
