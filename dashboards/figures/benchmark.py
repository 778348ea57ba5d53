"""The figures of a benchmark, in the order in which they tell it."""

from __future__ import annotations

from dashboards.figures.benchmark_costs import parameters_panel, seconds_panel
from dashboards.figures.benchmark_errors import differences_panel, errors_panel
from dashboards.figures.benchmark_losses import losses_panel
from dashboards.figures.panel import Panel
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
    panels = [
        errors_panel(view),
        differences_panel(view),
        losses_panel(view),
        parameters_panel(view),
        seconds_panel(view),
    ]
    return [panel for panel in panels if panel is not None]
