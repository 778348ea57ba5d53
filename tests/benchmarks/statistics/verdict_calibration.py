"""How often the verdicts of `dashboards.statistics.verdicts` are right, where the truth is known.

    python -m tests.benchmarks.statistics.verdict_calibration [--simulations 1000]
        [--seed 0] [--json FILE]

False verdicts: pairs without a difference, from several generating models; "better" or "worse" is
wrong here, and may be said in 5 % of the comparisons. Beside them stand the coverage of the two
intervals that are printed, of the difference and of one config's mean, and what the paired t test
would have said wrongly. Families: 6 configs that equal the reference; one wrong verdict among the 6
counts. Found: pairs with a true difference, as a multiple of the detectable one.

Beside a report: our runs and reported ones of the same true error, on 1,000 test pairs each; "not
consistent" is wrong here. Welch's test alone is what would be said without the least number of
seeds and without the floor under the scatter. Rows together: 7 rows that equal the reported ones;
all, some or none of their luck is common to our rows, and likewise to the reported ones.

`allowed` is the largest share of false verdicts that a procedure of level 5 % exceeds with a
probability below 0.1 % (binomial). One model stands outside the guarantee and is shown for its
size: `skewed` has equal means, but differences that are not symmetric.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import stats

from dashboards.statistics.means import compare_paired, detectable_difference, summarise
from dashboards.statistics.verdicts import compare_all, verdict
from space.terminal.command import EXIT_DONE, Parser, positive_int, run_command
from space.terminal.command import seed as seed_option
from tests.benchmarks.results import Table, add_json_option, publish
from tests.benchmarks.statistics.report_calibration import (
    ALPHA,
    N_ROWS,
    N_TEST_PAIRS,
    REPORTS,
    SEED_STD,
    simulate_report,
    simulate_shift,
)

N_CONFIGS = 6
RUN_STD = 0.01

Arms = tuple[NDArray[np.float64], NDArray[np.float64]]


def normal(rng: Generator, n: int) -> Arms:
    """Independent normal errors around 12 %."""
    return rng.normal(0.12, SEED_STD, n), rng.normal(0.12, SEED_STD, n)


def binomial(rng: Generator, n: int) -> Arms:
    """Error rates on 1,000 test pairs at a true error of 3 %."""
    rates = rng.binomial(N_TEST_PAIRS, 0.03, (2, n)) / N_TEST_PAIRS
    return rates[0], rates[1]


def correlated(rng: Generator, n: int) -> Arms:
    """Error rates on 1,000 test pairs whose true errors share most of the seed's luck."""
    shared = rng.normal(0.12, SEED_STD, n)
    true_errors = np.clip(shared + rng.normal(0, RUN_STD / 2, (2, n)), 0, 1)
    rates = rng.binomial(N_TEST_PAIRS, true_errors) / N_TEST_PAIRS
    return rates[0], rates[1]


def ties(rng: Generator, n: int) -> Arms:
    """Error rates on 20 pairs at a true error of 5 %: three or four distinct values."""
    rates = rng.binomial(20, 0.05, (2, n)) / 20
    return rates[0], rates[1]


def collapses(rng: Generator, n: int) -> Arms:
    """Normal errors, but one run in ten does not learn and errs like a coin."""
    errors = rng.normal(0.08, RUN_STD, (2, n))
    errors[rng.random((2, n)) < 0.1] = 0.5
    return errors[0], errors[1]


def unequal_spread(rng: Generator, n: int) -> Arms:
    """Normal errors of equal mean, one config five times as variable as the other."""
    return rng.normal(0.12, 5 * RUN_STD, n), rng.normal(0.12, RUN_STD, n)


def skewed(rng: Generator, n: int) -> Arms:
    """Equal means, but one config's errors are exponential and the other's hardly vary."""
    return rng.exponential(0.05, n), rng.normal(0.05, 0.005, n)


MODELS: dict[str, Callable[[Generator, int], Arms]] = {
    model.__name__: model for model in (normal, binomial, correlated, ties, collapses)
}
MODELS["unequal-spread"] = unequal_spread
OUTSIDE: dict[str, Callable[[Generator, int], Arms]] = {"skewed": skewed}
MEANS = {"binomial": 0.03, "ties": 0.05, "collapses": 0.9 * 0.08 + 0.1 * 0.5, "skewed": 0.05}
"""True means of the first arm; those of the other models are 0.12."""


@dataclass(frozen=True, kw_only=True)
class NullResult:
    """What was said of pairs without a difference.

    Attributes:
        model: The generating model.
        n: Seeds of a comparison.
        false_verdicts: Share of comparisons called better or worse.
        allowed: The largest share that is within simulation error of 5 %.
        covered: Share of the intervals that hold zero, the true difference; None without intervals.
        mean_covered: Share of the intervals of one config's mean that hold the true one.
        t_test: Share of comparisons that a paired t test rejects.
    """

    model: str
    n: int
    false_verdicts: float
    allowed: float
    covered: float | None
    mean_covered: float | None
    t_test: float


@dataclass(frozen=True, kw_only=True)
class PowerResult:
    """What was said of pairs with a true difference.

    Attributes:
        n: Seeds of a comparison.
        n_configs: Comparisons of the family, all with the same difference.
        multiple: The true difference over the detectable one.
        found: Share of the comparisons with the right verdict.
        wrong_sign: Share of the comparisons with the opposite verdict.
    """

    n: int
    n_configs: int
    multiple: float
    found: float
    wrong_sign: float


def allowed_share(n_simulations: int) -> float:
    """The largest share of false verdicts within simulation error of the level."""
    return float(stats.binom.ppf(0.999, n_simulations, ALPHA)) / n_simulations


def simulate_null(model: str, n: int, n_simulations: int, seed: int) -> NullResult:
    """Compare pairs without a difference.

    Args:
        model: A name of `MODELS` or `OUTSIDE`.
        n: Seeds of a comparison, at least 2.
        n_simulations: Comparisons.
        seed: Seed of the simulation.

    Returns:
        What was said.
    """
    models = MODELS | OUTSIDE
    draw = models[model]
    rng = np.random.default_rng([seed, n, list(models).index(model)])
    n_false, n_t = 0, 0
    covered: list[bool] = []
    mean_covered: list[bool] = []
    mean = MEANS.get(model, 0.12)
    critical = stats.t.isf(ALPHA / 2, n - 1)
    for _ in range(n_simulations):
        values, reference = draw(rng, n)
        comparison = compare_paired(values, reference, confidence=1 - ALPHA)
        n_false += verdict(comparison, comparison.p_value) in ("better", "worse")
        if comparison.interval is not None:
            covered.append(comparison.interval.low <= 0 <= comparison.interval.high)
        of_mean = summarise(values).interval
        if of_mean is not None:
            mean_covered.append(of_mean.low <= mean <= of_mean.high)
        error = comparison.std_difference / np.sqrt(n)
        n_t += abs(comparison.mean_difference) > critical * error
    return NullResult(
        model=model,
        n=n,
        false_verdicts=n_false / n_simulations,
        allowed=allowed_share(n_simulations),
        covered=float(np.mean(covered)) if covered else None,
        mean_covered=float(np.mean(mean_covered)) if mean_covered else None,
        t_test=n_t / n_simulations,
    )


def simulate_family(n: int, n_simulations: int, seed: int) -> float:
    """Benchmark 6 configs that equal the reference, on shared seeds.

    Args:
        n: Seeds of a benchmark, at least 2.
        n_simulations: Benchmarks.
        seed: Seed of the simulation.

    Returns:
        Share of the benchmarks with at least one config called better or worse.
    """
    rng = np.random.default_rng([seed, n])
    n_false = 0
    for _ in range(n_simulations):
        errors = rng.normal(0.12, SEED_STD, n) + rng.normal(0, RUN_STD, (N_CONFIGS + 1, n))
        results = {f"config-{k}": dict(enumerate(errors_N)) for k, errors_N in enumerate(errors)}
        comparisons = compare_all(results, "config-0", confidence=1 - ALPHA)
        n_false += any(comparison.verdict in ("better", "worse") for comparison in comparisons)
    return n_false / n_simulations


def simulate_power(
    n: int, multiple: float, n_simulations: int, seed: int, n_configs: int = 1
) -> PowerResult:
    """Compare configs that are better by a multiple of the detectable difference.

    Args:
        n: Seeds of a comparison, at least 6.
        multiple: The true difference over the detectable one of the differences' true scatter.
        n_simulations: Benchmarks; each holds ``n_configs`` comparisons.
        seed: Seed of the simulation.
        n_configs: Configs beside the reference, all better by the same difference.

    Returns:
        What was said.

    Raises:
        ValueError: If nothing is detectable with n seeds.
    """
    detectable = detectable_difference(RUN_STD * np.sqrt(2), n, alpha=ALPHA / n_configs)
    if detectable is None:
        raise ValueError(f"no difference is detectable with {n} seeds and {n_configs} comparisons")
    rng = np.random.default_rng([seed, n])
    said = []
    for _ in range(n_simulations):
        errors = rng.normal(0.12, SEED_STD, n) + rng.normal(0, RUN_STD, (n_configs + 1, n))
        errors[1:] -= multiple * detectable
        results = {f"config-{k}": dict(enumerate(errors_N)) for k, errors_N in enumerate(errors)}
        comparisons = compare_all(results, "config-0", confidence=1 - ALPHA)
        said += [comparison.verdict for comparison in comparisons]
    return PowerResult(
        n=n,
        n_configs=n_configs,
        multiple=multiple,
        found=said.count("better") / len(said),
        wrong_sign=said.count("worse") / len(said),
    )


def main(argv: list[str]) -> int:
    """Simulate and print the tables."""
    parser = Parser(
        prog="python -m tests.benchmarks.statistics.verdict_calibration", description=__doc__
    )
    parser.add_argument("--simulations", type=positive_int, default=1_000, metavar="N")
    parser.add_argument("--seed", type=seed_option, default=0)
    add_json_option(parser)
    options = parser.parse_args(argv)
    n_simulations, seed = options.simulations, options.seed
    nulls = [
        simulate_null(model, n, n_simulations, seed)
        for model in MODELS | OUTSIDE
        for n in (5, 6, 10)
    ]
    reports = [simulate_report(*each, n_simulations, seed) for each in REPORTS]
    shifts = [
        [n, shared, *simulate_shift(n, shared, n_simulations, seed)]
        for n in (5, 10)
        for shared in (0.0, 0.5, 1.0)
    ]
    allowed = allowed_share(n_simulations)
    family = simulate_family(10, n_simulations, seed)
    powers = [
        simulate_power(n, multiple, max(1, n_simulations // n_configs), seed, n_configs)
        for n, multiple, n_configs in (
            (6, 1, 1),
            (8, 1, 1),
            (10, 1, 1),
            (10, 2, 1),
            (10, 1, N_CONFIGS),
            (10, 2, N_CONFIGS),
        )
    ]
    tables = [
        Table(
            title=f"No difference: share of comparisons called better or worse, level {ALPHA:.0%}",
            columns=[
                "model",
                "seeds",
                "false",
                "allowed",
                "interval covers",
                "interval of one mean covers",
                "t test, false",
            ],
            rows=[
                [
                    row.model,
                    row.n,
                    row.false_verdicts,
                    row.allowed,
                    row.covered,
                    row.mean_covered,
                    row.t_test,
                ]
                for row in nulls
            ],
        ),
        Table(
            title=f"Benchmarks of {N_CONFIGS} configs that equal the reference, 10 seeds",
            columns=["false verdict in any", "allowed"],
            rows=[[family, allowed]],
        ),
        Table(
            title="Beside a report of the same true error: share called not consistent",
            columns=["error", "spread", "ours", "reported", "Welch alone", "said", "allowed"],
            rows=[
                [
                    row.error,
                    row.spread,
                    row.n,
                    row.n_reported,
                    row.welch,
                    row.false_verdicts,
                    allowed,
                ]
                for row in reports
            ],
        ),
        Table(
            title=f"{N_ROWS} rows beside 10 reported runs of the same true errors, together",
            columns=["seeds", "luck in common", "sign test", "test of the average", "allowed"],
            rows=[[*row, allowed] for row in shifts],
        ),
        Table(
            title="A true difference, as a multiple of the detectable one",
            columns=["seeds", "comparisons", "multiple", "found", "wrong sign"],
            rows=[
                [row.n, row.n_configs, row.multiple, row.found, row.wrong_sign] for row in powers
            ],
        ),
    ]
    publish(
        title="Verdicts where the truth is known",
        module="tests.benchmarks.statistics.verdict_calibration",
        argv=argv,
        tables=tables,
        notes=[
            f"Shares of {n_simulations:,} simulated comparisons or benchmarks a row. allowed: the "
            "largest share that a procedure of the level exceeds with a probability below 0.1 %. "
            "skewed stands outside the guarantee: equal means, differences that are not symmetric. "
            "Neither are the errors of one config in collapses and skewed, whose mean's interval "
            "covers less. luck in common: the share of a run's variance that is the same in all "
            "rows, ours and, apart from these, the reported ones. The sign test keeps its level "
            "only where that is 0.",
        ],
        json_file=options.json,
    )
    return EXIT_DONE


if __name__ == "__main__":
    run_command(main)
