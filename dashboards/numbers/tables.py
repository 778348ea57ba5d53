"""A benchmark's results as a table of numbers; `dashboards.tables.formats` draws it.

Errors are fractions of pairs, losses nats, times seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dashboards.numbers.results import ConfigResult
from dashboards.statistics.means import Summary, summarise
from dashboards.statistics.verdicts import (
    FEWEST_FOR_REPORT,
    Comparison,
    ReportComparison,
    compare_all,
    compare_to_report,
)
from space import MeanStd
from space.errors import UsageError, nearest
from space.words import count

__all__ = [
    "ERRORS",
    "BenchmarkTable",
    "ReportedError",
    "Row",
    "benchmark_table",
    "reported_error",
]

ERRORS = ("train_error", "val_error", "test_error")
"""The errors of the state that a run keeps, in the report's order."""


@dataclass(frozen=True, kw_only=True)
class ReportedError:
    """One of a config's errors beside what a publication reports for it.

    Attributes:
        metric: One of `ERRORS`.
        reported: The publication's mean and standard deviation.
        reported_n: The runs that these are over.
        difference: Our mean minus the reported one; None where nothing has run.
        comparison: Ours against it; None where one side is too little for that.
        verdict: "consistent" or "not consistent", or why there is no comparison: "not run", too few
            seeds ("4 seeds") or reported runs ("3 reported"), "reported without a spread".
    """

    metric: str
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
        errors: Each of `ERRORS` summarised over the seeds; empty where none has finished.
        train_seconds: Seconds that a run trained for; None where none has finished.
        comparison: Its test errors against the reference's; None for the reference itself, for a
            table of one config, and where the two have fewer than 2 seeds in common.
        verdict: The comparison's in words (see `compare_all`), "reference", or "not compared: n
            common seeds"; empty in a table of one config.
        reported: Each of `ERRORS` beside the reported one; empty where nothing is reported.
    """

    result: ConfigResult
    errors: dict[str, Summary]
    train_seconds: Summary | None
    comparison: Comparison | None
    verdict: str
    reported: tuple[ReportedError, ...]

    @property
    def name(self) -> str:
        """What the config is called."""
        return self.result.name

    @property
    def n(self) -> int:
        """How many of the seeds asked for have finished."""
        return len(self.result.seeds)

    @property
    def aux_weight(self) -> float | None:
        """Weight of the auxiliary losses; None for a network without auxiliary heads."""
        return self.result.config.value("training.aux_weight") if self.result.has_aux else None


@dataclass(frozen=True, kw_only=True)
class BenchmarkTable:
    """A row a config, in the order given.

    Attributes:
        title: What the table is headed with, on one line; may be empty.
        reference: The config that the others are compared with.
        rows: The rows.
    """

    title: str
    reference: str
    rows: tuple[Row, ...]

    def row(self, name: str) -> Row:
        """The row of a config."""
        return next(row for row in self.rows if row.name == name)

    @property
    def ranked(self) -> tuple[Row, ...]:
        """The rows with every seed that any row has, the lowest mean test error first.

        Means over unlike seeds are no comparison: a config that failed on the hard ones would win.
        """
        seeds = {seed for row in self.rows for seed in row.result.seeds}
        full = [row for row in self.rows if row.n and row.result.seeds.keys() == seeds]
        return tuple(sorted(full, key=lambda row: row.errors["test_error"].mean))

    @property
    def best(self) -> Row | None:
        """The first of the ranked rows, if others with results can be ranked beside it."""
        n_rows = sum(bool(row.n) for row in self.rows)
        return self.ranked[0] if len(self.ranked) >= min(2, n_rows) > 0 else None


def benchmark_table(
    results: Sequence[ConfigResult], *, reference: str | None = None, title: str = ""
) -> BenchmarkTable:
    """Summarise a benchmark, finished or not, and compare its configs.

    Args:
        results: At least one config's results; names are distinct.
        reference: The config that the others are compared with; default: the first.
        title: What the table is headed with.

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
    compared = _compared(results, reference)
    return BenchmarkTable(
        title=" ".join(title.split()),
        reference=reference,
        rows=tuple(_row(result, names, reference, compared) for result in results),
    )


def _row(
    result: ConfigResult,
    names: Sequence[str],
    reference: str,
    compared: dict[str, tuple[Comparison | None, str]],
) -> Row:
    errors, train_seconds = {}, None
    if result.seeds:
        errors = {metric: summarise(list(result.by_seed(metric).values())) for metric in ERRORS}
        seconds = [seed.run.train_seconds for seed in result.seeds.values()]
        train_seconds = summarise(seconds)
    comparison, verdict = compared.get(result.name, (None, ""))
    if len(names) > 1 and result.name == reference:
        verdict = "reference"
    return Row(
        result=result,
        errors=errors,
        train_seconds=train_seconds,
        comparison=comparison,
        verdict=verdict,
        reported=_against_report(result, errors),
    )


def _compared(
    results: Sequence[ConfigResult], reference: str
) -> dict[str, tuple[Comparison | None, str]]:
    """Every config but the reference: its comparison, and the verdict or why there is none."""
    test_errors = {result.name: result.by_seed("test_error") for result in results}
    found: dict[str, tuple[Comparison | None, str]] = {}
    family = {reference: test_errors[reference]}
    for name, values in test_errors.items():
        n_common = len(values.keys() & test_errors[reference].keys())
        if name == reference:
            continue
        if n_common < 2:
            found[name] = None, f"not compared: {count(n_common, 'common seed')}"
        else:
            family[name] = values
    failed = {result.name: len(result.failed) for result in results}
    for comparison in compare_all(family, reference, failed=failed):
        found[comparison.name] = comparison, comparison.verdict
    return found


def _against_report(result: ConfigResult, errors: dict[str, Summary]) -> tuple[ReportedError, ...]:
    """Each of `ERRORS` beside the reported one; none where nothing is reported."""
    reported = result.reported
    if reported is None:
        return ()
    n_test_pairs = result.config.value("data.n_test_pairs")
    return tuple(
        reported_error(
            metric,
            errors.get(metric),
            getattr(reported, metric),
            reported.n,
            # Only test pairs are trained on by no run and choose none: their noise is known.
            n_pairs=n_test_pairs if metric == "test_error" else None,
        )
        for metric in ERRORS
    )


def reported_error(
    metric: str, ours: Summary | None, reported: MeanStd, reported_n: int, *, n_pairs: int | None
) -> ReportedError:
    """Put an error beside the reported one, with a verdict where both sides suffice for one.

    Args:
        metric: One of `ERRORS`.
        ours: Ours over the seeds; None where nothing has run.
        reported: What is reported.
        reported_n: Over how many runs.
        n_pairs: See `compare_to_report`.
    """
    comparison = None
    if ours is None:
        verdict = "not run"
    elif ours.n < FEWEST_FOR_REPORT:
        verdict = count(ours.n, "seed")
    elif reported_n < 2 or (ours.std == 0 and reported.std == 0):
        verdict = "reported without a spread"
    elif n_pairs is None and reported_n < FEWEST_FOR_REPORT:
        verdict = f"{reported_n} reported"
    else:
        comparison = compare_to_report(
            ours, mean=reported.mean, std=reported.std, n=reported_n, n_pairs=n_pairs
        )
        verdict = comparison.verdict
    return ReportedError(
        metric=metric,
        reported=reported,
        reported_n=reported_n,
        difference=None if ours is None else ours.mean - reported.mean,
        comparison=comparison,
        verdict=verdict,
    )
