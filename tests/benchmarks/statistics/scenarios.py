"""Two configs' errors, seed by seed, where the true difference between their means is known.

Each scenario draws the errors of n seeds of a config and of its reference, whose means differ by
what was asked for. In those of `SCENARIOS` differences are symmetric about their mean, or nearly
so: there the tests keep their level. Those of `OUTSIDE` are not, and are shown for their size.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

__all__ = [
    "MEANS",
    "N_TEST_PAIRS",
    "OUTSIDE",
    "RUN_STD",
    "SCENARIOS",
    "SEED_STD",
    "Arms",
    "draw_pairs",
]

N_TEST_PAIRS = 1_000
SEED_STD, RUN_STD = 0.02, 0.01
COLLAPSED, P_COLLAPSE = 0.5, 0.1
"""The error of a run that fails to train, and how often one does."""

Arms = tuple[NDArray[np.float64], NDArray[np.float64]]


def normal(rng: Generator, n: int, difference: float = 0.0) -> Arms:
    """Independent normal errors around 12 %."""
    return rng.normal(0.12 + difference, SEED_STD, n), rng.normal(0.12, SEED_STD, n)


def heavy_tails(rng: Generator, n: int, difference: float = 0.0) -> Arms:
    """Errors around 12 % with the tails of Student's t of 2 degrees of freedom: no variance."""
    errors = 0.12 + RUN_STD * rng.standard_t(2, (2, n))
    return errors[0] + difference, errors[1]


def binomial(rng: Generator, n: int, difference: float = 0.0) -> Arms:
    """Error rates on 1,000 test pairs at a true error of 3 %."""
    rates = rng.binomial(N_TEST_PAIRS, [[0.03 + difference], [0.03]], (2, n)) / N_TEST_PAIRS
    return rates[0], rates[1]


def correlated(rng: Generator, n: int, difference: float = 0.0) -> Arms:
    """Error rates on 1,000 test pairs whose true errors share most of the seed's luck."""
    shared = rng.normal(0.12, SEED_STD, n) + np.array([[difference], [0.0]])
    true_errors = np.clip(shared + rng.normal(0, RUN_STD / 2, (2, n)), 0, 1)
    rates = rng.binomial(N_TEST_PAIRS, true_errors) / N_TEST_PAIRS
    return rates[0], rates[1]


def ties(rng: Generator, n: int, difference: float = 0.0) -> Arms:
    """Error rates on 20 pairs at a true error of 5 %: three or four distinct values."""
    rates = rng.binomial(20, [[0.05 + difference], [0.05]], (2, n)) / 20
    return rates[0], rates[1]


def collapses(rng: Generator, n: int, difference: float = 0.0) -> Arms:
    """Normal errors, but of either config one run in ten does not learn and errs like a coin."""
    errors = rng.normal(0.08, RUN_STD, (2, n))
    errors[0] += difference / (1 - P_COLLAPSE)
    errors[rng.random((2, n)) < P_COLLAPSE] = COLLAPSED
    return errors[0], errors[1]


def unequal_spread(rng: Generator, n: int, difference: float = 0.0) -> Arms:
    """Normal errors, one config five times as variable as the other."""
    return rng.normal(0.12 + difference, 5 * RUN_STD, n), rng.normal(0.12, RUN_STD, n)


def skewed(rng: Generator, n: int, difference: float = 0.0) -> Arms:
    """One config's errors are exponential and the other's hardly vary."""
    return rng.exponential(0.05, n) + difference, rng.normal(0.05, 0.005, n)


def one_collapses(rng: Generator, n: int, difference: float = 0.0) -> Arms:
    """Normal errors, but of one config alone one run in ten does not learn."""
    errors = rng.normal(0.08, RUN_STD, n)
    errors[rng.random(n) < P_COLLAPSE] = COLLAPSED
    return errors, rng.normal(MEANS["one-collapses"] - difference, RUN_STD, n)


_Scenario = Callable[[Generator, int, float], Arms]
SCENARIOS: dict[str, _Scenario] = {
    draw.__name__.replace("_", "-"): draw
    for draw in (normal, heavy_tails, binomial, correlated, ties, collapses, unequal_spread)
}
OUTSIDE: dict[str, _Scenario] = {"skewed": skewed, "one-collapses": one_collapses}
_WITH_COLLAPSES = (1 - P_COLLAPSE) * 0.08 + P_COLLAPSE * COLLAPSED
MEANS = {
    "binomial": 0.03,
    "ties": 0.05,
    "collapses": _WITH_COLLAPSES,
    "skewed": 0.05,
    "one-collapses": _WITH_COLLAPSES,
}
"""True means of the first arm where there is no difference; those of the others are 0.12."""


def draw_pairs(scenario: str, n: int, seed: int) -> tuple[_Scenario, Generator]:
    """A scenario by its name, and the generator to draw it from for n seeds."""
    scenarios = SCENARIOS | OUTSIDE
    return scenarios[scenario], np.random.default_rng([seed, n, list(scenarios).index(scenario)])
