"""What a config gets wrong against what it costs: parameters, and seconds of training."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from dashboards.figures.benchmark.colours import colours_of
from dashboards.figures.panel import Panel
from dashboards.figures.template import escape, figure, shorten
from dashboards.numbers.benchmark import BenchmarkView, Cost
from dashboards.numbers.statistics import Summary
from dashboards.numbers.together import together_note
from space.terminal.counts import count

__all__ = ["parameters_panel", "seconds_panel"]

SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "star", "hexagon", "x")
"""So that colour is never the only sign."""


def parameters_panel(view: BenchmarkView) -> Panel | None:
    """Mean test error against trainable parameters, on a logarithmic axis."""
    costs = [cost for cost in view.costs if cost.row.result.n_parameters > 0]
    if not costs:
        return None
    drawn = _scatter(view, costs, [cost.row.result.n_parameters for cost in costs])
    drawn.update_xaxes(type="log", dtick="D2", title_text="trainable parameters")
    return Panel(
        key="benchmark-error-parameters",
        title="Test error against parameters",
        caption="Mean over the seeds with its 95 % interval, from 6 seeds on; the lower left is "
        "better and smaller.",
        figure=drawn,
    )


def seconds_panel(view: BenchmarkView) -> Panel | None:
    """Mean test error against the seconds that a run trained for."""
    if not view.costs:
        return None
    seconds = [cost.train_seconds.mean for cost in view.costs]
    drawn = _scatter(view, view.costs, seconds)
    for trace, cost in zip(drawn.data, view.costs, strict=True):
        trace.error_x = {**_error_bar(cost.train_seconds), "width": 4}
    is_wide = min(seconds) > 0 and max(seconds) > 10 * min(seconds)
    drawn.update_xaxes(title_text="training time of a run (s)")
    drawn.update_xaxes(**({"type": "log"} if is_wide else {"rangemode": "tozero"}))
    caption = (
        "Means over the seeds with their 95 % intervals, from 6 seeds on; the lower left is better "
        "and faster"
    )
    machines = dict.fromkeys(machine for cost in view.costs for machine in cost.machines)
    if len(machines) > 1:
        caption += (
            f"; the runs were trained on {len(machines)} kinds of machine "
            f"({', '.join(machines)}), whose seconds are no comparison"
        )
    return Panel(
        key="benchmark-error-seconds",
        title="Test error against training time",
        caption=f"{caption}. {together_note(view.n_together, view.n_done)}".rstrip(),
        figure=drawn,
    )


def _scatter(view: BenchmarkView, costs: Sequence[Cost], xs: Sequence[float]) -> go.Figure:
    """A point a config, each in the legend under its name."""
    drawn = figure(height=420, showlegend=True)
    colours = colours_of(view)
    places = {row.name: place for place, row in enumerate(view.table.rows)}
    for cost, x in zip(costs, xs, strict=True):
        row, error = cost.row, cost.row.errors["test_error"]
        drawn.add_trace(
            go.Scatter(
                name=escape(shorten(row.name, 30)),
                x=[x],
                y=[error.mean],
                error_y={**_error_bar(error), "width": 4, "thickness": 1.5},
                mode="markers",
                marker={
                    "size": 12,
                    "color": colours[row.name],
                    "symbol": SYMBOLS[places[row.name] % len(SYMBOLS)],
                },
                hoverinfo="text",
                hovertext=f"{escape(row.name)}<br>test error {error.mean:.2%} over "
                f"{count(error.n, 'seed')}<br>{count(row.result.n_parameters, 'parameter')}<br>"
                f"{cost.train_seconds.mean:.1f} s a run<br>{escape(', '.join(cost.machines))}",
            )
        )
    drawn.update_yaxes(title_text="test error (% of the test pairs)", tickformat=".1~%")
    return drawn


def _error_bar(summary: Summary) -> dict[str, list[float]]:
    low, high = summary.interval or (summary.mean, summary.mean)
    return {"array": [high - summary.mean], "arrayminus": [summary.mean - low]}
