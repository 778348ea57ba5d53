"""How often what is said beside a report is right: a part of the calibration of the verdicts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dashboards.numbers.shift import shift
from dashboards.numbers.tables import against_report
from dashboards.statistics.means import summarise
from dashboards.statistics.verdicts import compare_to_report
from space import MeanStd
from tests.benchmarks.statistics.scenarios import N_TEST_PAIRS, SEED_STD
from trainables.shipped.digit_pairs.config import DIGIT_PAIRS

ALPHA = 0.05
N_ROWS = 7
REPORTS = [
    (error, spread, n, n_reported)
    for error, spread in ((0.03, 0.0), (0.03, 0.01), (0.2, 0.0), (0.2, 0.02))
    for n, n_reported in ((2, 10), (4, 10), (5, 10), (10, 10), (5, 3), (10, 3))
]
"""True error, its spread between runs, our runs and the reported ones."""


@dataclass(frozen=True, kw_only=True)
class ReportResult:
    """What was said of our runs beside reported ones of the same true error.

    Attributes:
        error: The true mean error.
        spread: Standard deviation of a run's true error, which the 1,000 test pairs add to.
        n: Our runs.
        n_reported: The reported runs.
        welch: Share that Welch's test rejects from what was measured alone.
        false_verdicts: Share called "not consistent".
    """

    error: float
    spread: float
    n: int
    n_reported: int
    welch: float
    false_verdicts: float


def simulate_report(
    error: float, spread: float, n: int, n_reported: int, n_simulations: int, seed: int
) -> ReportResult:
    """Put our runs beside reported ones that they equal; see `ReportResult`."""
    rng = np.random.default_rng([seed, n, n_reported, round(1e4 * error), round(1e4 * spread)])
    n_welch, n_false = 0, 0
    for _ in range(n_simulations):
        true_errors = np.clip(rng.normal(error, spread, n + n_reported), 0, 1)
        rates = rng.binomial(N_TEST_PAIRS, true_errors) / N_TEST_PAIRS
        ours, theirs = summarise(rates[:n]), summarise(rates[n:])
        assert theirs.std is not None
        if ours.std or theirs.std:
            plain = compare_to_report(ours, mean=theirs.mean, std=theirs.std, n=n_reported)
            n_welch += plain.p_value <= ALPHA
        reported = MeanStd(mean=theirs.mean, std=theirs.std)
        said = against_report(
            DIGIT_PAIRS.judged_by, ours, reported, n_reported, n_fresh=N_TEST_PAIRS
        )
        n_false += said.verdict == "not consistent"
    return ReportResult(
        error=error,
        spread=spread,
        n=n,
        n_reported=n_reported,
        welch=n_welch / n_simulations,
        false_verdicts=n_false / n_simulations,
    )


def simulate_shift(n: int, shared: float, n_simulations: int, seed: int) -> tuple[float, float]:
    """Put 7 rows beside 10 reported runs each that they equal.

    The reported rows have a luck in common as ours do: each mean is of 10 runs, and the rows share
    as much of a run's variance as ours share of a seed's.

    Args:
        n: Our seeds, at least 5.
        shared: The share of a seed's variance that all rows have in common, ours and likewise the
            reported ones.
        n_simulations: Tables.
        seed: Seed of the simulation.

    Returns:
        Shares of the tables whose sign test, and whose test of the average, have p <= 5 %.
    """
    rng = np.random.default_rng([seed, n, round(100 * shared)])
    n_sign, n_average = 0, 0
    for _ in range(n_simulations):
        luck = np.sqrt(shared) * rng.normal(0, SEED_STD, n)
        own = np.sqrt(1 - shared) * rng.normal(0, SEED_STD, (N_ROWS, n))
        their_luck = np.sqrt(shared) * rng.normal(0, SEED_STD, 10)
        theirs = 0.12 + their_luck + np.sqrt(1 - shared) * rng.normal(0, SEED_STD, (N_ROWS, 10))
        found = shift(
            [
                (
                    str(row),
                    dict(enumerate(0.12 + luck + own[row])),
                    MeanStd(mean=theirs[row].mean(), std=theirs[row].std(ddof=1)),
                    10,
                )
                for row in range(N_ROWS)
            ]
        )
        assert found is not None
        assert found.average is not None
        n_sign += found.p_value <= ALPHA
        n_average += found.average.comparison.p_value <= ALPHA
    return n_sign / n_simulations, n_average / n_simulations
