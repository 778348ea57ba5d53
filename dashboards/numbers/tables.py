"""A benchmark's results as a table of numbers; `dashboards.tables.formats` draws it.

Metrics are in their own units, times in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dashboards.numbers.results import ConfigResult
from dashboards.numbers.settings import differing_settings
from dashboards.numbers.variance import VarianceSplit
from dashboards.statistics.means import Summary, summarise
from dashboards.statistics.verdicts import (
    FEWEST_FOR_REPORT,
    Comparison,
    ReportComparison,
    compare_all,
    compare_to_report,
)
from space import MeanStd, RunConfig
from space.errors import UsageError, nearest
from space.metrics import Measured, Metric
from space.notation import Notation
from space.words import count
from storage.summaries.registered import Registered

__all__ = [
    "BenchmarkTable",
    "ReportedValue",
    "Row",
    "against_report",
    "benchmark_table",
]


@dataclass(frozen=True, kw_only=True)
class ReportedValue:
    """One of a config's metrics beside what a publication reports for it.

    Attributes:
        metric: What is measured.
        reported: The publication's mean and standard deviation.
        reported_n: The runs that these are over.
        difference: Our mean minus the reported one; None where nothing has run.
        comparison: Ours against it; None where one side is too little for that.
        verdict: "consistent" or "not consistent", or why there is no comparison: "not run", too few
            seeds ("4 seeds") or reported runs ("3 reported"), "reported without a spread".
    """

    metric: Metric
    reported: MeanStd
    reported_n: int
    difference: float | None
    comparison: ReportComparison | None
    verdict: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """One config of a benchmark.

    Attributes:
        result: Its runs, seed by seed, and the seeds that are missing.
        means: Name of a metric -> its values summarised over the seeds, of those that are finite
            on every seed; empty where none has finished.
        train_seconds: Seconds that a run trained for; None where none has finished, and where they
            are not known.
        comparison: What the table compares by, against the reference's; None for the reference
            itself, for a table of one config, and where the two have fewer than 2 seeds in common.
        verdict: The comparison's in words (see `compare_all`), "reference", or "not compared: n
            common seeds"; empty in a table of one config.
        reported: Each metric for which something is reported, beside that.
    """

    result: ConfigResult
    means: dict[str, Summary]
    train_seconds: Summary | None
    comparison: Comparison | None
    verdict: str
    reported: tuple[ReportedValue, ...]

    @property
    def name(self) -> str:
        """What the config is called."""
        return self.result.name

    @property
    def n(self) -> int:
        """How many of the seeds asked for have finished."""
        return len(self.result.seeds)


@dataclass(frozen=True, kw_only=True)
class BenchmarkTable:
    """A row a config, in the order given.

    Attributes:
        title: What the table is headed with, on one line; may be empty.
        measured: What is measured of the runs.
        reference: The config that the others are compared with.
        margin: The margin of practical equivalence, in the unit of `metric`; None: equivalence was
            not asked.
        is_raced: Whether seeds were added until there was an answer; see `compare_all`.
        rows: The rows.
        registered: What was registered of the benchmark, and the looks at its test split; None
            where it is no benchmark of a store.
        variances: Config -> where the variance of its results comes from, of those of which that
            was asked.
    """

    title: str
    measured: Measured
    reference: str
    margin: float | None
    is_raced: bool
    rows: tuple[Row, ...]
    registered: Registered | None = None
    variances: Mapping[str, VarianceSplit] = field(default_factory=dict)

    def row(self, name: str) -> Row:
        """The row of a config."""
        return next(row for row in self.rows if row.name == name)

    @property
    def metric(self) -> Metric:
        """What the rows are compared by."""
        return self.measured.judged_by

    def notation(self, metric: Metric | None = None) -> Notation:
        """How a metric's values are written, on any split.

        Args:
            metric: The metric; default: what the rows are compared by.
        """
        of = (metric or self.metric).of
        alike = [each.name for each in self.measured.metrics if each.of == of]
        means = [row.means[name].mean for row in self.rows for name in alike if name in row.means]
        return (metric or self.metric).notation(means)

    @property
    def settings(self) -> tuple[str, ...]:
        """See `differing_settings`."""
        return differing_settings(row.result.config for row in self.rows)

    @property
    def ranked(self) -> tuple[Row, ...]:
        """The rows with every seed that any row has, the best mean first.

        Means over unlike seeds are no comparison: a config that failed on the hard ones would win.
        """
        seeds = {seed for row in self.rows for seed in row.result.seeds}
        full = [row for row in self.rows if row.n and row.result.seeds.keys() == seeds]
        metric = self.metric
        return tuple(sorted(full, key=lambda row: metric.rank(row.means[metric.name].mean)))

    @property
    def best(self) -> Row | None:
        """The first of the ranked rows, if others with results can be ranked beside it."""
        n_rows = sum(bool(row.n) for row in self.rows)
        return self.ranked[0] if len(self.ranked) >= min(2, n_rows) > 0 else None


def benchmark_table(
    results: Sequence[ConfigResult],
    measured: Measured,
    *,
    reference: str | None = None,
    margin: float | None = None,
    is_raced: bool = False,
    title: str = "",
    registered: Registered | None = None,
) -> BenchmarkTable:
    """Summarise a benchmark, finished or not, and compare its configs.

    Args:
        results: At least one config's results; names are distinct.
        measured: What is measured of the runs.
        reference: The config that the others are compared with; default: the first.
        margin: The margin of practical equivalence; see `compare_all`.
        is_raced: Whether seeds were added until there was an answer.
        title: What the table is headed with.
        registered: See `BenchmarkTable`.

    Returns:
        The table. It is the same for the same results.

    Raises:
        UsageError: If no config is called like the reference.
        ValueError: If there is no config, or two have one name.
    """
    names = [result.name for result in results]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"a table needs configs with distinct names, not {names}")
    if reference is None:
        reference = names[0]
    elif reference not in names:
        raise UsageError(
            f"--reference: there is no config '{reference}' (there are: {', '.join(names)})"
            f"{nearest(reference, names)}"
        )
    compared = _compared(results, measured.judged_by, reference, margin, is_raced=is_raced)
    return BenchmarkTable(
        title=" ".join(title.split()),
        measured=measured,
        reference=reference,
        margin=margin,
        is_raced=is_raced,
        rows=tuple(_row(result, measured, names, reference, compared) for result in results),
        registered=registered,
    )


def _row(
    result: ConfigResult,
    measured: Measured,
    names: Sequence[str],
    reference: str,
    compared: dict[str, tuple[Comparison | None, str]],
) -> Row:
    means, train_seconds = {}, None
    if result.seeds:
        for metric in measured.metrics:
            values = list(result.by_seed(metric.name).values())
            if all(map(math.isfinite, values)):
                means[metric.name] = summarise(values)
        seconds = [seed.run.train_seconds for seed in result.seeds.values()]
        train_seconds = summarise(seconds) if all(map(math.isfinite, seconds)) else None
    comparison, verdict = compared.get(result.name, (None, ""))
    if len(names) > 1 and result.name == reference:
        verdict = "reference"
    return Row(
        result=result,
        means=means,
        train_seconds=train_seconds,
        comparison=comparison,
        verdict=verdict,
        reported=_against_report(result, measured, means),
    )


def _compared(
    results: Sequence[ConfigResult],
    metric: Metric,
    reference: str,
    margin: float | None,
    *,
    is_raced: bool,
) -> dict[str, tuple[Comparison | None, str]]:
    """Every config but the reference: its comparison, and the verdict or why there is none."""
    measured = {result.name: result.by_seed(metric.name) for result in results}
    found: dict[str, tuple[Comparison | None, str]] = {}
    for name, values in measured.items():
        n_common = len(values.keys() & measured[reference].keys())
        if name != reference:
            found[name] = None, f"not compared: {count(n_common, 'common seed')}"
    failed = {result.name: len(result.failed) for result in results}
    for comparison in compare_all(
        measured,
        reference,
        failed=failed,
        margin=margin,
        is_raced=is_raced,
        maximize=metric.maximize,
    ):
        found[comparison.name] = comparison, comparison.verdict
    return found


def _against_report(
    result: ConfigResult, measured: Measured, means: dict[str, Summary]
) -> tuple[ReportedValue, ...]:
    """Each metric for which something is reported, beside that."""
    reported = result.reported
    if reported is None:
        return ()
    return tuple(
        against_report(
            metric,
            means.get(metric.name),
            reported.metrics[metric.name],
            reported.n,
            # Only test samples are trained on by no run and choose none: their noise is known.
            n_fresh=_n_fresh(result.config) if metric == measured.judged_by else None,
        )
        for metric in measured.metrics
        if metric.name in reported.metrics
    )


def _n_fresh(config: RunConfig) -> int | None:
    """The test samples that each run draws afresh, where its data say how many; see `AnyData`."""
    settings = config.model_dump(mode="json")["data"]
    return next((n for name, n in settings.items() if name.startswith("n_test_")), None)


def against_report(
    metric: Metric,
    ours: Summary | None,
    reported: MeanStd,
    reported_n: int,
    *,
    n_fresh: int | None,
) -> ReportedValue:
    """Put a value beside the reported one, with a verdict where both sides suffice for one.

    Args:
        metric: What is measured.
        ours: Ours over the seeds; None where nothing has run.
        reported: What is reported.
        reported_n: Over how many runs.
        n_fresh: See `compare_to_report`; of no matter where the metric is no share.
    """
    comparison, n_fresh = None, n_fresh if metric.is_share else None
    if ours is None:
        verdict = "not run"
    elif ours.n < FEWEST_FOR_REPORT:
        verdict = count(ours.n, "seed")
    elif reported_n < 2 or (ours.std == 0 and reported.std == 0):
        verdict = "reported without a spread"
    elif n_fresh is None and reported_n < FEWEST_FOR_REPORT:
        verdict = f"{reported_n} reported"
    else:
        comparison = compare_to_report(
            ours,
            mean=reported.mean,
            std=reported.std,
            n=reported_n,
            is_share=metric.is_share,
            n_fresh=n_fresh,
        )
        verdict = comparison.verdict
    return ReportedValue(
        metric=metric,
        reported=reported,
        reported_n=reported_n,
        difference=None if ours is None else ours.mean - reported.mean,
        comparison=comparison,
        verdict=verdict,
    )
