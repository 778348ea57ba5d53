"""The figures of a benchmark, in the order in which they tell it."""

from __future__ import annotations

from dashboards.figures.benchmark.costs import parameters_panel, seconds_panel
from dashboards.figures.benchmark.curves import curves_panel
from dashboards.figures.benchmark.seeds import differences_panel, seeds_panel
from dashboards.figures.benchmark.variance import variance_panel
from dashboards.figures.panel import Panel, draw_panels
from dashboards.numbers.benchmark import BenchmarkView

__all__ = ["benchmark_panels"]


def benchmark_panels(view: BenchmarkView) -> list[Panel]:
    """Draw what a benchmark has to show so far.

    Args:
        view: The benchmark.

    Returns:
        What is compared by seed by seed, differences from the reference, where variances come from,
        learning curves, means against parameters and training time; those that there is nothing to
        show for are left out.
    """
    if not view.n_done:
        return []
    makers = {
        "benchmark-seeds": seeds_panel,
        "benchmark-differences": differences_panel,
        "benchmark-variance": variance_panel,
        "benchmark-curves": curves_panel,
        "benchmark-parameters": parameters_panel,
        "benchmark-seconds": seconds_panel,
    }
    return draw_panels(makers, view, f"benchmark {view.name!r}")
