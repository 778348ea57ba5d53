"""How often the verdicts of `dashboards.statistics.verdicts` are right, where the truth is known.

    python -m tests.benchmarks.statistics.verdict_calibration [--simulations 1000]
        [--seed 0] [--json FILE]

False verdicts: pairs without a difference, from the scenarios of `scenarios`; "better" or "worse"
is wrong here, and may be said in 5 % of the comparisons. Beside them stand the coverage of the two
intervals that are printed, of the difference and of one config's mean, and what the paired t test
would have said wrongly. Equivalence: pairs whose true difference is the margin itself;
"equivalent" is wrong here, and may be said in 5 % of the comparisons, too. Families: 6 configs that
equal the reference, or differ from it by the margin; one wrong verdict among the 6 counts. Found:
pairs with a true difference, as a multiple of the detectable one.

Beside a report: our runs and reported ones of the same true error, on 1,000 test pairs each; "not
consistent" is wrong here. Welch's test alone is what would be said without the least number of
seeds and without the floor under the scatter. Rows together: 7 rows that equal the reported ones;
all, some or none of their luck is common to our rows, and likewise to the reported ones.

`allowed` is the largest share of false verdicts that a procedure of level 5 % exceeds with a
probability below 0.1 % (binomial). Two scenarios stand outside the guarantee and are shown for
their size: differences are not symmetric about their mean, and a rare collapse of one config alone
is not among a few seeds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from dashboards.statistics.means import compare_paired, detectable_difference, summarise
from dashboards.statistics.verdicts import answer, compare_all
from space.terminal.command import EXIT_DONE, Parser, positive_int, run_command
from space.terminal.command import seed as seed_option
from tests.benchmarks.results import Table, add_json_option, publish
from tests.benchmarks.statistics.report_calibration import (
    ALPHA,
    N_ROWS,
    REPORTS,
    simulate_report,
    simulate_shift,
)
from tests.benchmarks.statistics.scenarios import (
    MEANS,
    OUTSIDE,
    RUN_STD,
    SCENARIOS,
    SEED_STD,
    draw_pairs,
)

N_CONFIGS = 6
MARGIN = 0.05


@dataclass(frozen=True, kw_only=True)
class NullResult:
    """What was said of pairs without a difference.

    Attributes:
        scenario: Where they come from.
        n: Seeds of a comparison.
        false_verdicts: Share of comparisons called better or worse.
        allowed: The largest share that is within simulation error of 5 %.
        covered: Share of the intervals that hold zero, the true difference; None without intervals.
        mean_covered: Share of the intervals of one config's mean that hold the true one.
        t_test: Share of comparisons that a paired t test rejects.
    """

    scenario: str
    n: int
    false_verdicts: float
    allowed: float
    covered: float | None
    mean_covered: float | None
    t_test: float


@dataclass(frozen=True, kw_only=True)
class EquivalenceResult:
    """What was said of pairs with `MARGIN` given.

    Attributes:
        scenario: Where they come from.
        n: Seeds of a comparison.
        false_equivalent: Share called equivalent of those whose true difference is the margin.
        true_equivalent: Share called equivalent of those without a difference.
    """

    scenario: str
    n: int
    false_equivalent: float
    true_equivalent: float


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


def simulate_null(scenario: str, n: int, n_simulations: int, seed: int) -> NullResult:
    """Compare pairs without a difference.

    Args:
        scenario: A name of `SCENARIOS` or `OUTSIDE`.
        n: Seeds of a comparison, at least 2.
        n_simulations: Comparisons.
        seed: Seed of the simulation.

    Returns:
        What was said.
    """
    draw, rng = draw_pairs(scenario, n, seed)
    n_false, n_t = 0, 0
    covered: list[bool] = []
    mean_covered: list[bool] = []
    mean = MEANS.get(scenario, 0.12)
    critical = stats.t.isf(ALPHA / 2, n - 1)
    for _ in range(n_simulations):
        values, reference = draw(rng, n, 0.0)
        comparison = compare_paired(values, reference, confidence=1 - ALPHA)
        n_false += answer(comparison, comparison.p_value) in ("better", "worse")
        if comparison.interval is not None:
            covered.append(comparison.interval.low <= 0 <= comparison.interval.high)
        of_mean = summarise(values).interval
        if of_mean is not None:
            mean_covered.append(of_mean.low <= mean <= of_mean.high)
        error = comparison.std_difference / np.sqrt(n)
        n_t += abs(comparison.mean_difference) > critical * error
    return NullResult(
        scenario=scenario,
        n=n,
        false_verdicts=n_false / n_simulations,
        allowed=allowed_share(n_simulations),
        covered=float(np.mean(covered)) if covered else None,
        mean_covered=float(np.mean(mean_covered)) if mean_covered else None,
        t_test=n_t / n_simulations,
    )


def simulate_equivalence(scenario: str, n: int, n_simulations: int, seed: int) -> EquivalenceResult:
    """Ask for equivalence of pairs that differ by the margin, and of pairs that do not differ.

    Args:
        scenario: A name of `SCENARIOS` or `OUTSIDE`.
        n: Seeds of a comparison, at least 2.
        n_simulations: Comparisons of either kind.
        seed: Seed of the simulation.

    Returns:
        What was said.
    """
    draw, rng = draw_pairs(scenario, n, seed)
    shares = []
    for difference in (MARGIN, 0.0):
        n_equivalent = 0
        for _ in range(n_simulations):
            values, reference = draw(rng, n, difference)
            comparison = compare_paired(values, reference, confidence=1 - ALPHA, margin=MARGIN)
            p_value, p_equivalent = comparison.p_value, comparison.equivalence_p_value
            n_equivalent += answer(comparison, p_value, p_equivalent) == "equivalent"
        shares.append(n_equivalent / n_simulations)
    return EquivalenceResult(
        scenario=scenario, n=n, false_equivalent=shares[0], true_equivalent=shares[1]
    )


def simulate_family(n: int, n_simulations: int, seed: int) -> tuple[float, float]:
    """Benchmark 6 configs that equal the reference, or differ from it by the margin.

    Args:
        n: Seeds of a benchmark, at least 2.
        n_simulations: Benchmarks of either kind.
        seed: Seed of the simulation.

    Returns:
        Share of the first kind with at least one config called better or worse, and of the second
        with at least one called equivalent.
    """
    rng = np.random.default_rng([seed, n])
    shares = []
    for wrong, margin in ((("better", "worse"), None), (("equivalent",), MARGIN)):
        n_false = 0
        for _ in range(n_simulations):
            errors = rng.normal(0.12, SEED_STD, n) + rng.normal(0, RUN_STD, (N_CONFIGS + 1, n))
            errors[1:] += margin or 0.0
            results = {f"config-{k}": dict(enumerate(each)) for k, each in enumerate(errors)}
            comparisons = compare_all(results, "config-0", confidence=1 - ALPHA, margin=margin)
            n_false += any(comparison.answer in wrong for comparison in comparisons)
        shares.append(n_false / n_simulations)
    return shares[0], shares[1]


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
        said += [comparison.answer for comparison in comparisons]
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
        simulate_null(scenario, n, n_simulations, seed)
        for scenario in SCENARIOS | OUTSIDE
        for n in (3, 5, 6, 10)
    ]
    equivalences = [
        simulate_equivalence(scenario, n, n_simulations, seed)
        for scenario in SCENARIOS | OUTSIDE
        for n in (3, 5, 6, 10)
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
                "scenario",
                "seeds",
                "false",
                "allowed",
                "interval covers",
                "interval of one mean covers",
                "t test, false",
            ],
            rows=[
                [
                    row.scenario,
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
            title=f"A margin of {MARGIN}: share of pairs called equivalent, level {ALPHA:.0%}",
            columns=[
                "scenario",
                "seeds",
                "differing by the margin: false",
                "allowed",
                "without a difference: found",
            ],
            rows=[
                [row.scenario, row.n, row.false_equivalent, allowed, row.true_equivalent]
                for row in equivalences
            ],
        ),
        Table(
            title=f"Benchmarks of {N_CONFIGS} configs, 10 seeds: one false verdict counts",
            columns=[
                "all equal the reference: any better or worse",
                "all differ by the margin: any equivalent",
                "allowed",
            ],
            rows=[[*family, allowed]],
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
            "skewed and one-collapses stand outside the guarantee: differences that are not "
            "symmetric about their mean, of which a few seeds may show nothing. Neither are the "
            "errors of one config in collapses, whose mean's interval covers less. luck in common: "
            "the share of a run's variance that is the same in all rows, ours and, apart from "
            "these, the reported ones. The sign test keeps its level only where that is 0.",
        ],
        json_file=options.json,
    )
    return EXIT_DONE


if __name__ == "__main__":
    run_command(main)
