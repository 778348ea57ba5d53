"""Whether the rows of a table, taken together, lie beside the reported ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import scipy

from dashboards.numbers.tables import Row
from dashboards.statistics.means import summarise
from dashboards.statistics.verdicts import FEWEST_FOR_REPORT, ReportComparison, compare_to_report
from space import MeanStd
from space.metrics import Metric

__all__ = ["AverageShift", "Shift", "shift", "shift_from_report"]

ROUNDING = 1e-12
"""Differences below this are zero on paper."""


@dataclass(frozen=True, kw_only=True)
class AverageShift:
    """The mean over several rows, seed by seed, beside the mean of what is reported for them.

    What the rows of one seed have in common, its draw of the data, is in the scatter over the
    seeds, so that rows need not be independent on our side. The reported rows are taken to share
    all their luck, which is the most that their mean can scatter.

    Attributes:
        names: The rows: those with at least `FEWEST_FOR_REPORT` seeds.
        n: The seeds that all of them have.
        comparison: Ours against the reported ones.
    """

    names: tuple[str, ...]
    n: int
    comparison: ReportComparison


@dataclass(frozen=True, kw_only=True)
class Shift:
    """All rows of a table beside the reported ones: each may agree, and all lie on one side.

    Attributes:
        n_rows: All rows, equal ones among them.
        n_lower: Those with a lower value than is reported.
        n_equal: Those with the very value that is reported, which the sign test leaves out.
        p_value: Two-sided, of the sign test. It takes the rows as independent and as likely to lie
            above as below; rows of ours that share the draw of a seed are less than independent,
            so that it says too little chance where there are few seeds.
        average: The test that does without that; None where fewer than 2 rows have enough seeds in
            common, or too few runs are reported.
    """

    n_rows: int
    n_lower: int
    n_equal: int
    p_value: float
    average: AverageShift | None


def shift_from_report(rows: Iterable[Row], metric: Metric) -> Shift | None:
    """Test the rows of one or several tables together.

    Args:
        rows: The rows; those without results or a report do not count.
        metric: What is measured.

    Returns:
        What they say together; None where fewer than 2 differ from the report.
    """
    return shift(
        [
            (row.name, row.result.by_seed(metric.name), each.reported, each.reported_n)
            for row in rows
            for each in row.reported
            if each.metric == metric and metric.name in row.means
        ],
        is_share=metric.is_share,
    )


def shift(
    rows: Sequence[tuple[str, Mapping[int, float], MeanStd, int]], *, is_share: bool = False
) -> Shift | None:
    """Test some values together beside what is reported for them.

    Args:
        rows: Of each row its name, its values by seed (at least one), what is reported for it, and
            over how many runs.
        is_share: Whether the values are shares, from 0 to 1.

    Returns:
        What they say together; None where fewer than 2 differ from the report.

    Source:
        Sign test: Conover, Practical Nonparametric Statistics, 3rd edition, 1999, section 3.4.
    """
    differences = [fmean(values.values()) - reported.mean for _, values, reported, _ in rows]
    unequal = [each for each in differences if abs(each) > ROUNDING]
    if len(unequal) < 2:
        return None
    n_lower = sum(difference < 0 for difference in unequal)
    return Shift(
        n_rows=len(differences),
        n_lower=n_lower,
        n_equal=len(differences) - len(unequal),
        p_value=float(scipy.stats.binomtest(n_lower, len(unequal)).pvalue),
        average=_average([row for row in rows if len(row[1]) >= FEWEST_FOR_REPORT], is_share),
    )


def _average(
    rows: Sequence[tuple[str, Mapping[int, float], MeanStd, int]], is_share: bool
) -> AverageShift | None:
    seeds = set.intersection(*(set(values) for _, values, _, _ in rows)) if rows else set()
    n_reported = min((n for *_, n in rows), default=0)
    if len(rows) < 2 or min(len(seeds), n_reported) < FEWEST_FOR_REPORT:
        return None
    ours = summarise([fmean(values[seed] for _, values, _, _ in rows) for seed in sorted(seeds)])
    std = fmean(reported.std for _, _, reported, _ in rows)
    if ours.std == std == 0:
        return None
    mean = fmean(reported.mean for _, _, reported, _ in rows)
    return AverageShift(
        names=tuple(name for name, *_ in rows),
        n=len(seeds),
        comparison=compare_to_report(ours, mean=mean, std=std, n=n_reported, is_share=is_share),
    )
