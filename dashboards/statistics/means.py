"""Means, intervals and paired comparisons of a few seeds' values.

Everything is a pure function of arrays. What the data cannot answer is None, never a number that
looks like an answer. `dashboards.statistics.verdicts` turns these numbers into words.

Shapes: ``N`` seeds, ``K`` p-values of a family.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from dashboards.statistics.sign_flips import LARGEST_EXACT, N_RANDOM, Interval, SignFlips
from dashboards.statistics.wagers import Wagers

__all__ = [
    "Interval",
    "PairedComparison",
    "Summary",
    "compare_paired",
    "detectable_difference",
    "holm",
    "summarise",
]

POWER = 0.8
# Rounding separates numbers that are equal on paper (0.3 - 0.2 and 0.2 - 0.1). Relative to the
# largest value, differences below this are rounding; a share's own steps are far above it.
ROUNDING = 1e-12


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What N values say about their mean.

    Attributes:
        n: How many values, at least 1.
        mean: Their mean.
        std: Their standard deviation with ddof 1; None for one value.
        interval: The 95 % interval of the mean (see `SignFlips`); None for fewer than 6
            values, and where all are equal: that these seeds did not differ is not to know the
            mean.
        minimum: The smallest value.
        maximum: The largest value.
    """

    n: int
    mean: float
    std: float | None
    interval: Interval | None
    minimum: float
    maximum: float


@dataclass(frozen=True, kw_only=True)
class PairedComparison:
    """A config against a reference on the same seeds.

    Attributes:
        n: Seeds that both have, at least 2.
        confidence: Level of ``interval``; ``1 - confidence`` is the level of the test.
        n_comparisons: Size K of the family that the comparison belongs to.
        mean_difference: Mean of value minus reference.
        std_difference: Standard deviation of the differences, ddof 1.
        is_raced: Whether seeds were added until there was an answer: test and intervals are then
            those of `Wagers`, which may be looked at after every seed, and not of `SignFlips`.
        interval: Of the mean difference, of this comparison alone (see `SignFlips`): it
            leaves zero out just where ``p_value`` is at most ``1 - confidence``. None where so few
            seeds have none at this level, and where all differences are equal.
        probability_better: Share of the seeds on which the value was better, ties counting half:
            the estimate of P(D < 0) + P(D = 0) / 2 where lower is better, D being the difference on
            a fresh seed that both configs share. It moves in steps of 1 / (2 n), so that 1.0 means
            "on all n seeds".
        p_value: Two-sided, of the test; not corrected for the family.
        margin: The margin of practical equivalence, above 0, in the values' unit: differences below
            it do not matter. None where none was given.
        equivalence_p_value: Of the hypothesis that the mean difference is ``margin`` or more, to
            either side: the larger p-value of the two one-sided tests. None without a
            margin.
        detectable_difference: Smallest true difference that n such seeds find with power 0.8 in
            spite of the family's correction at its strictest, ``(1 - confidence) / K``. None where
            no difference could be found, however large, where the scatter is not known because all
            differences are equal, and in a race, which goes on until it finds one.
    """

    n: int
    confidence: float
    n_comparisons: int
    is_raced: bool
    mean_difference: float
    std_difference: float
    interval: Interval | None
    probability_better: float
    p_value: float
    margin: float | None
    equivalence_p_value: float | None
    detectable_difference: float | None


def summarise(values_N: ArrayLike) -> Summary:
    """Summarise the values of N seeds.

    Args:
        values_N: Finite numbers, shape (N,), N at least 1.

    Returns:
        The summary.

    Raises:
        ValueError: If there is no value, one is not finite, or the shape is not (N,).
    """
    values = _vector(values_N, "values")
    n = len(values)
    return Summary(
        n=n,
        mean=float(np.mean(values)),
        std=float(np.std(values, ddof=1)) if n > 1 else None,
        interval=SignFlips.of(values).interval(0.95),
        minimum=float(np.min(values)),
        maximum=float(np.max(values)),
    )


def compare_paired(
    values_N: ArrayLike,
    reference_N: ArrayLike,
    *,
    confidence: float = 0.95,
    maximize: bool = False,
    n_comparisons: int = 1,
    margin: float | None = None,
    is_raced: bool = False,
    seed: int = 0,
) -> PairedComparison:
    """Compare values with a reference's, seed by seed.

    Test and interval are those of `SignFlips`, or of `Wagers`, which keep their level where the two
    configs are exchangeable on every seed, or more generally where the differences are symmetric
    about their mean.

    Args:
        values_N: Values of the config, shape (N,), finite, N at least 2; in a race in the order in
            which seeds were added.
        reference_N: Values of the reference on the same seeds in the same order, shape (N,).
        confidence: Level of the interval, in (0, 1).
        maximize: Whether higher values are better, not lower ones.
        n_comparisons: Size of the family that the result will be corrected for, at least 1.
        margin: The margin of practical equivalence; see `PairedComparison`.
        is_raced: Whether seeds were added until there was an answer; see `PairedComparison`.
        seed: Seed of the random sign patterns beyond 13 seeds.

    Returns:
        The comparison. Swapping the arms mirrors it.

    Raises:
        ValueError: If the shapes differ, there are fewer than 2 seeds, a number is not finite, or
            an option is out of range.

    Source:
        Probability of being better: P(A > B) over shared seeds, Bouthillier et al., Accounting for
        Variance in Machine Learning Benchmarks, MLSys 2021; ties count half as in Vargha & Delaney,
        J. Educational and Behavioral Statistics 25(2), 2000. Two one-sided tests: Schuirmann, A
        Comparison of the Two One-Sided Tests Procedure and the Power Approach for Assessing the
        Equivalence of Average Bioavailability, J. Pharmacokinetics and Biopharmaceutics 15(6),
        1987.
    """
    _check_between_0_and_1(confidence, "confidence")
    if n_comparisons < 1:
        raise ValueError(f"n_comparisons is {n_comparisons}, but a family has at least 1")
    if margin is not None and not (math.isfinite(margin) and margin > 0):
        raise ValueError(f"margin is {margin}, but a margin of equivalence is finite and above 0")
    values, reference = _vector(values_N, "values"), _vector(reference_N, "reference")
    if len(values) != len(reference):
        raise ValueError(
            f"{len(values)} values cannot be paired with {len(reference)} values of the reference"
        )
    n = len(values)
    if n < 2:
        raise ValueError(f"a paired comparison needs at least 2 seeds in common, not {n}")
    rounding = ROUNDING * max(np.max(np.abs(values)), np.max(np.abs(reference)))
    differences = _rounded(values - reference, rounding)
    is_constant = bool(np.ptp(differences) <= rounding)
    std = 0.0 if is_constant else float(np.std(differences, ddof=1))
    detectable = None
    if not is_constant and not is_raced:
        detectable = detectable_difference(std, n, alpha=(1 - confidence) / n_comparisons)
    test: Callable[[NDArray[np.float64]], SignFlips | Wagers]
    test = Wagers if is_raced else partial(SignFlips.of, seed=seed)
    tested = test(differences)
    is_better = differences > 0 if maximize else differences < 0
    return PairedComparison(
        n=n,
        confidence=confidence,
        n_comparisons=n_comparisons,
        is_raced=is_raced,
        mean_difference=float(np.mean(differences)),
        std_difference=std,
        interval=tested.interval(confidence),
        probability_better=float(np.mean(is_better) + np.mean(differences == 0) / 2),
        p_value=tested.p_value(0.0),
        margin=margin,
        equivalence_p_value=None
        if margin is None
        else max(
            test(shifted).p_value(0.0) / 2 if np.mean(shifted) < 0 else 1.0
            for towards in (1, -1)
            for shifted in [_rounded(towards * differences - margin, rounding)]
        ),
        detectable_difference=detectable,
    )


def detectable_difference(
    std: float, n: int, *, alpha: float = 0.05, power: float = POWER
) -> float | None:
    """The smallest true mean difference that a paired comparison of n seeds would find.

    It solves P(T > t) = power for the noncentral T of the two-sided paired t test with n - 1
    degrees of freedom and noncentrality ``difference * sqrt(n) / std``; the far tail, a verdict
    with the wrong sign, adds less than 1e-5 and is left out. In place of alpha stands the largest
    level not above it that the sign-flip test attains (25 / 512 for alpha 0.05 and 10 seeds). Where
    it attains only its smallest, it rejects if all n differences have one sign, which normal
    differences do with probability ``Phi(difference / std)**n``: that is solved instead. Where few
    patterns reject, the sign-flip test finds the result up to 6 % less often than ``power``.

    Args:
        std: Standard deviation of the differences, at least 0; where it is estimated from the same
            n seeds, the result is as uncertain as the estimate (some 25 % for n = 10).
        n: Seeds, at least 2.
        alpha: Two-sided level, in (0, 1).
        power: Probability of finding the difference, in (0, 1), above ``alpha / 2``.

    Returns:
        The difference in the unit of std, or None where no difference can be found because the
        smallest p-value of n seeds lies above alpha.

    Raises:
        ValueError: If an argument is out of range.

    Source:
        Cohen, Statistical Power Analysis for the Behavioral Sciences, 2nd edition, 1988, chapter 2.
    """
    _check_between_0_and_1(alpha, "alpha")
    _check_between_0_and_1(power, "power")
    if not (math.isfinite(std) and std >= 0):
        raise ValueError(f"std is {std}, but a standard deviation is finite and at least 0")
    if n < 2:
        raise ValueError(f"n is {n}, but a paired comparison has at least 2 seeds")
    if power <= alpha / 2:
        raise ValueError(f"power {power} is no more than alpha {alpha} gives for no difference")
    smallest = 2 / 2**n if n <= LARGEST_EXACT else 1 / (N_RANDOM + 1)
    n_rejecting = math.floor(alpha / smallest)
    if n_rejecting == 0:
        return None
    if n_rejecting == 1 and n <= LARGEST_EXACT:
        return std * float(scipy.stats.norm.ppf(power ** (1 / n)))
    return std * _noncentrality(n, n_rejecting * smallest, power) / math.sqrt(n)


def holm(p_values_K: ArrayLike) -> NDArray[np.float64]:
    """Adjust the p-values of a family of K tests by Holm's step-down method.

    Rejecting where the adjusted value is at most alpha keeps the probability of any false rejection
    at or below alpha, whatever the dependence between the tests (here they share a reference).

    Args:
        p_values_K: P-values, shape (K,), in [0, 1]; K may be 0.

    Returns:
        Adjusted p-values in the same order, shape (K,), in [0, 1], none below its raw value.

    Raises:
        ValueError: If the shape is not (K,) or a value is not in [0, 1].

    Source:
        Holm, A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian Journal of
        Statistics 6(2), 1979, section 3.
    """
    p_values = np.asarray(p_values_K, dtype=np.float64)
    if p_values.ndim != 1 or not np.all((p_values >= 0) & (p_values <= 1)):
        raise ValueError(f"p-values are a list of numbers in [0, 1], not {p_values_K!r}")
    order = np.argsort(p_values, kind="stable")
    n_left = np.arange(len(p_values), 0, -1)
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(np.maximum.accumulate(n_left * p_values[order]), 1.0)
    return adjusted


def _rounded(differences_N: NDArray[np.float64], rounding: float) -> NDArray[np.float64]:
    return np.where(np.abs(differences_N) <= rounding, 0.0, differences_N)


@cache
def _noncentrality(n: int, alpha: float, power: float) -> float:
    critical = float(scipy.stats.t.isf(alpha / 2, n - 1))

    def excess_power(noncentrality: float) -> float:
        return float(scipy.stats.nct.sf(critical, n - 1, noncentrality)) - power

    high = critical + 1.0
    while excess_power(high) < 0:
        high *= 2
    return float(scipy.optimize.brentq(excess_power, 0.0, high))


def _vector(values: ArrayLike, name: str) -> NDArray[np.float64]:
    vector = np.array(values, dtype=np.float64)
    if vector.ndim != 1 or len(vector) == 0:
        raise ValueError(f"{name} must be a list of at least one number, not shape {vector.shape}")
    if not np.all(np.isfinite(vector)):
        raise ValueError(f"{name} must be finite, but {vector[~np.isfinite(vector)][0]} is there")
    return vector


def _check_between_0_and_1(number: float, name: str) -> None:
    if not 0 < number < 1:
        raise ValueError(f"{name} is {number}, but lies between 0 and 1")
