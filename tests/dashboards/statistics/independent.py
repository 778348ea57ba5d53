"""The verdicts once more, by other means: all sign patterns, SciPy's tests, exact fractions.

Nothing of `dashboards` is used. What is slow and plain here is fast and clever there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import product
from statistics import fmean, stdev

from scipy import stats

__all__ = ["consistency", "holm", "one_sided", "race_p_value", "two_sided", "verdicts"]

ALPHA = 0.05
STEP = 10**9
"""Values are taken to be multiples of one part in so many, so that ties are ties."""


def exact(value: float) -> Fraction:
    """The number that was meant by a value that stands in a store."""
    return Fraction(round(value * STEP), STEP)


def _sums(differences: Sequence[Fraction]) -> list[int]:
    """The sum of the differences under every pattern of signs, the observed one first."""
    scaled = [int(each * STEP) for each in differences]
    return [
        sum(sign * each for sign, each in zip(signs, scaled, strict=True))
        for signs in product((1, -1), repeat=len(scaled))
    ]


def two_sided(differences: Sequence[Fraction]) -> Fraction:
    """The share of the patterns whose sum is as far from zero as the observed one."""
    observed, *_ = sums = _sums(differences)
    return Fraction(sum(abs(each) >= abs(observed) for each in sums), len(sums))


def one_sided(differences: Sequence[Fraction]) -> Fraction:
    """The share of the patterns whose sum is as small as the observed one."""
    observed, *_ = sums = _sums(differences)
    return Fraction(sum(each <= observed for each in sums), len(sums))


def holm(p_values: Sequence[float]) -> list[float]:
    """Each p-value by the levels at which its step of Holm's procedure and all before reject."""
    order = sorted(range(len(p_values)), key=lambda k: p_values[k])
    adjusted = [0.0] * len(p_values)
    for place, k in enumerate(order):
        steps = [(len(order) - i) * p_values[order[i]] for i in range(place + 1)]
        adjusted[k] = min(1.0, max(steps))
    return adjusted


def race_p_value(differences: Sequence[float]) -> float:
    """Three bettors on the sign on which the mean lies, each bet reckoned by itself."""
    side = 1 if fmean(differences) > 0 else -1
    purses, largest, squares = {0.5: 0.2, 1.0: 0.3, 4.0: 0.5}, 1.0, 0.0
    for n, each in enumerate(differences, start=1):
        squares += each * each
        size = side * each / math.sqrt(squares / n) if squares else 0.0
        purses = {bold: had * (1 + math.tanh(bold * size)) for bold, had in purses.items()}
        largest = max(largest, sum(purses.values()))
    return min(1.0, 2 / largest)


def verdicts(
    values: Mapping[str, Mapping[int, float]],
    reference: str,
    *,
    maximize: bool,
    margin: float | None = None,
    failed: Mapping[str, int],
    is_raced: bool = False,
) -> dict[str, tuple[str, float]]:
    """What is said of each config against the reference, and its corrected p-value.

    Args:
        values: Config -> seed -> value.
        reference: What the others are compared with. Of those with fewer than 2 seeds in common
            with it nothing is said, but they count in the correction.
        maximize: Whether higher is better.
        margin: Of practical equivalence.
        failed: Config -> on how many seeds it failed.
        is_raced: Whether seeds were added until there was an answer.
    """
    base = values[reference]
    differences = {
        name: [exact(own[seed]) - exact(base[seed]) for seed in sorted(own.keys() & base.keys())]
        for name, own in values.items()
        if name != reference and len(own.keys() & base.keys()) >= 2
    }
    if is_raced:
        raw = [race_p_value([float(x) for x in each]) for each in differences.values()]
    else:
        raw = [float(two_sided(each)) for each in differences.values()]
    pending = [1.0] * (len(values) - 1 - len(differences))
    p_values = dict(zip(differences, holm(raw + pending), strict=False))
    within = dict.fromkeys(differences, 1.0)
    if margin is not None:
        sides = {
            name: [[side * x - exact(margin) for x in each] for side in (1, -1)]
            for name, each in differences.items()
        }
        raw = [max(_below_zero(each, is_raced) for each in of) for of in sides.values()]
        within = dict(zip(differences, holm(raw + pending), strict=False))
    found = {}
    for name, each in differences.items():
        if within[name] <= ALPHA:
            said, vouched_for = "equivalent", [name, reference]
        elif p_values[name] > ALPHA:
            said, vouched_for = "undecided", []
        else:
            is_better = (sum(each) > 0) == maximize
            said, vouched_for = ("better", [name]) if is_better else ("worse", [reference])
        if any(failed.get(side) for side in vouched_for):
            said = "not ranked"
        found[name] = said, p_values[name]
    return found


def _below_zero(differences: Sequence[Fraction], is_raced: bool) -> float:
    if not is_raced:
        return float(one_sided(differences))
    below = sum(differences) < 0
    return race_p_value([float(each) for each in differences]) / 2 if below else 1.0


def consistency(
    ours: Sequence[float], mean: float, std: float, n: int, n_fresh: int | None
) -> tuple[str, tuple[float, float]]:
    """Whether ours are consistent with a reported mean, and the interval, by SciPy's Welch test."""
    own_mean, own_std = fmean(ours), stdev(ours)
    if n_fresh is not None:
        own_std = max(own_std, math.sqrt(own_mean * (1 - own_mean) / n_fresh))
        std = max(std, math.sqrt(mean * (1 - mean) / n_fresh))
    test = stats.ttest_ind_from_stats(own_mean, own_std, len(ours), mean, std, n, equal_var=False)
    squares = own_std**2 / len(ours), std**2 / n
    freedom = sum(squares) ** 2 / (squares[0] ** 2 / (len(ours) - 1) + squares[1] ** 2 / (n - 1))
    low, high = stats.t.interval(
        1 - ALPHA, freedom, loc=own_mean - mean, scale=math.sqrt(sum(squares))
    )
    said = "consistent" if test.pvalue >= ALPHA else "not consistent"
    return said, (max(low, -1.0), min(high, 1.0))
