"""A benchmark by any metric: which values are better is the metric's to say, as are its words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dashboards.figures.benchmark.panels import benchmark_panels
from dashboards.numbers.benchmark import BenchmarkView
from dashboards.numbers.results import ConfigResult
from dashboards.numbers.tables import benchmark_table
from dashboards.story import benchmark_outcome, benchmark_terms
from dashboards.tables.formats import benchmark_sheets, render
from space.metrics import Measured, Metric
from tests.dashboards.made.shelf import Shelf

ONE = {seed: 0.3 + 0.001 * seed for seed in range(10)}
ERRORS = {
    "one": ONE,
    "two": {seed: error - 0.05 - 0.002 * (seed % 3) for seed, error in ONE.items()},
    "three": {seed: error + 0.04 + 0.001 * (seed % 2) for seed, error in ONE.items()},
}
SCORE = Measured(
    metrics=tuple(
        Metric(name=f"{split}_score", words=f"{split} F1 score", maximize=True)
        for split in ("train", "val", "test")
    ),
    kept_by=("val_score",),
)


def scored(result: ConfigResult, factor: float) -> ConfigResult:
    """The result with scores that are the errors times a negative factor."""
    seeds = {
        seed: replace(
            found,
            result=replace(
                found.result,
                metrics={
                    name.replace("error", "score"): factor * value
                    for name, value in found.result.metrics.items()
                },
            ),
        )
        for seed, found in result.seeds.items()
    }
    return replace(result, seeds=seeds)


def maximised(view: BenchmarkView, factor: float = -1.0) -> BenchmarkView:
    """The same benchmark by a score of which more is better."""
    results = [scored(row.result, factor) for row in view.table.rows]
    table = benchmark_table(results, SCORE, reference=view.table.reference)
    return replace(view, record=replace(view.record, measured=SCORE), table=table, curves={})


@pytest.fixture(name="both")
def both_directions(shelf: Shelf) -> tuple[BenchmarkView, BenchmarkView]:
    """A benchmark by errors, and the same by a score."""
    view = shelf.benchmark(ERRORS, n_seeds=10)
    return view, maximised(view)


def test_the_verdicts_are_the_same_in_either_direction(
    both: tuple[BenchmarkView, BenchmarkView],
) -> None:
    down, up = (view.table for view in both)
    assert [row.verdict for row in down.rows] == ["reference", "better", "worse"]
    for one, other in zip(down.rows, up.rows, strict=True):
        assert one.verdict == other.verdict
        if one.comparison is not None and other.comparison is not None:
            ours, theirs = one.comparison.paired, other.comparison.paired
            assert ours.probability_better == theirs.probability_better
            assert ours.mean_difference == pytest.approx(-theirs.mean_difference)
            assert one.comparison.adjusted_p_value == other.comparison.adjusted_p_value
    assert down.best is not None
    assert up.best is not None
    assert down.best.name == up.best.name == "two"
    assert [row.name for row in down.ranked] == [row.name for row in up.ranked]


def test_words_and_figures_follow_the_metric(both: tuple[BenchmarkView, BenchmarkView]) -> None:
    _, view = both
    outcome = benchmark_outcome(view)
    assert outcome.startswith("two has in the mean the highest test F1 score, -0.2")
    assert outcome.endswith("Against one, two is better; three is worse.")
    assert "for the state with the highest val F1 score" in benchmark_terms(view)
    results, comparison = benchmark_sheets(view.table)
    assert comparison.title == "Test F1 score against one, seed by seed: positive is better"
    assert {"train F1 score", "val F1 score", "test F1 score"} <= set(results.columns)
    panels = {panel.key: panel for panel in benchmark_panels(view)}
    assert panels["benchmark-seeds"].title == "Test F1 score, seed by seed"
    assert "right of zero is better" in panels["benchmark-differences"].caption
    assert "the upper left is better" in panels["benchmark-parameters"].caption
    said = [render(view.table, "text"), outcome, *(panel.caption for panel in panels.values())]
    assert "error" not in " ".join(said)


@pytest.mark.parametrize(
    ("factor", "shown"),
    [(-1.0, "-0.3045 ± 0.0030"), (-1e4, "-3,045 ± 30"), (-1e-4, "-0.00003045 ± 0.00000030")],
)
def test_a_tables_numbers_have_the_decimals_that_its_metric_asks_for(
    both: tuple[BenchmarkView, BenchmarkView], factor: float, shown: str
) -> None:
    table = maximised(both[0], factor).table
    (line,) = (row for row in benchmark_sheets(table)[0].rows if row[0] == "one")
    assert shown in line
