"""The figures of a benchmark, in the order in which they tell it."""

from __future__ import annotations

from dashboards.figures.benchmark.costs import parameters_panel, seconds_panel
from dashboards.figures.benchmark.errors import differences_panel, errors_panel
from dashboards.figures.benchmark.losses import losses_panel
from dashboards.figures.panel import Panel, draw_panels
from dashboards.numbers.benchmark import BenchmarkView

__all__ = ["benchmark_panels"]


def benchmark_panels(view: BenchmarkView) -> list[Panel]:
    """Draw what a benchmark has to show so far.

    Args:
        view: The benchmark.

    Returns:
        Test errors seed by seed, differences from the reference, loss curves, error against
        parameters and against training time; those that there is nothing to show for are left out.
    """
    if not view.n_done:
        return []
    makers = {
        "benchmark-test-errors": errors_panel,
        "benchmark-differences": differences_panel,
        "benchmark-losses": losses_panel,
        "benchmark-error-parameters": parameters_panel,
        "benchmark-error-seconds": seconds_panel,
    }
    return draw_panels(makers, view, f"benchmark {view.name!r}")
