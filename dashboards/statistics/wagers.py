"""The test of a mean that may be looked at after every value, and the interval that inverts it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dashboards.statistics.sign_flips import Interval

__all__ = ["Wagers"]

BOLDNESS = (0.5, 1.0, 4.0)
"""How sure a bettor is of the next sign; the first is at its best where the mean is half of the
scatter, the last where it is several times that."""
PURSES = (0.2, 0.3, 0.5)
"""The share of the purse that each begins with. So much is with the boldest that 6 values of one
sign suffice at 5 %, as for the sign-flip test."""
DOUBLINGS, BISECTIONS = 12, 40


class Wagers(NamedTuple):
    """The test of a centre by bets on signs, valid whenever one looks.

    Where values are symmetric about a centre, the sign of the next deviation from it is a fair
    coin, however large it is and whatever came before. Somebody who bets on it, knowing all that,
    can become rich by luck alone: the purse ever grows to 1 / alpha times what it began with with
    probability alpha at most, however many values come. So 1 / (the largest purse so far) is a
    p-value that may be looked at after every value, and whoever stops at the first that is small
    enough is wrong no more often than it says. For this are paid some values more than the
    sign-flip test needs where their number is settled before.

    Three bettors share the purse. Each bets on one side that the next deviation lies there, the
    share ``tanh(boldness * size)`` of what it has, ``size`` being the deviation's over the root
    mean square of those so far, its own among them. What a bet multiplies the purse by grows with
    the value, so that nobody gains in the mean where the centre lies further to the other side,
    either: it is a test of "the centre is here, or further".

    The p-value of a centre is that of the side of it on which the mean lies, times two. As for
    `SignFlips`, values that are skewed can be called wrong more often.

    Attributes:
        values_N: Finite numbers in the order in which they came, shape (N,), N at least 1.

    Source:
        Ville, Étude critique de la notion de collectif, 1939 (the bound); Efron, Student's t-Test
        under Symmetry Conditions, J. American Statistical Association 64, 1969 (signs, given the
        sizes); Vovk & Wang, Nonparametric E-tests of Symmetry, New England J. Statistics in Data
        Science 2(2), 2024; Ramdas et al., Game-Theoretic Statistics and Safe Anytime-Valid
        Inference, Statistical Science 38(4), 2023.
    """

    values_N: NDArray[np.float64]

    def p_value(self, centre: float) -> float:
        """The two-sided p-value of a centre, in (0, 1]."""
        deviations_N = self.values_N - centre
        side = 1.0 if np.mean(deviations_N) > 0 else -1.0
        return min(1.0, 2 * math.exp(-largest_purse(side * deviations_N)))

    def interval(self, confidence: float) -> Interval | None:
        """The centres whose p-value is above ``1 - confidence``; see `SignFlips.interval`."""
        mean, alpha = float(np.mean(self.values_N)), 1 - confidence
        ends = []
        for furthest in (float(np.min(self.values_N)), float(np.max(self.values_N))):
            inside, steps = mean, (furthest - mean) * 2.0 ** np.arange(DOUBLINGS)
            rejected = next(
                (mean + step for step in steps if self.p_value(mean + step) <= alpha), mean
            )
            if rejected == mean:
                return None
            for _ in range(BISECTIONS):
                between = (inside + rejected) / 2
                if self.p_value(between) > alpha:
                    inside = between
                else:
                    rejected = between
            ends.append(float(inside))
        return Interval(ends[0], ends[1])


def largest_purse(deviations_N: NDArray[np.float64]) -> float:
    """The logarithm of the largest purse of whoever bets that deviations are positive."""
    n_seen_N = np.arange(1, len(deviations_N) + 1)
    root_mean_square_N = np.sqrt(np.cumsum(deviations_N**2) / n_seen_N)
    size_N = np.divide(
        deviations_N,
        root_mean_square_N,
        out=np.zeros_like(deviations_N),
        where=root_mean_square_N > 0,
    )
    # 1 + tanh(x) = 2 / (1 + exp(-2 x))
    won_BN = math.log(2) - np.logaddexp(0.0, -2 * np.outer(BOLDNESS, size_N))
    purse_BN = np.log(PURSES)[:, np.newaxis] + np.cumsum(won_BN, axis=1)
    return float(max(0.0, np.max(np.logaddexp.reduce(purse_BN, axis=0))))
