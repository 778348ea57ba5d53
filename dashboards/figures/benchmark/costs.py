"""What a config is worth against what it costs: parameters, and seconds of training."""

from __future__ import annotations

from collections.abc import Mapping

import plotly.graph_objects as go

from dashboards.figures.panel import Panel
from dashboards.figures.template import config_colours, escape, figure, metric_axis, shorten
from dashboards.numbers.benchmark import BenchmarkView
from dashboards.numbers.together import together_note
from dashboards.statistics.means import Summary
from dashboards.words import show_mean
from space.words import capitalised, count

__all__ = ["parameters_panel", "seconds_panel"]

SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "star", "hexagon", "x")
"""So that colour is never the only sign."""


def parameters_panel(view: BenchmarkView) -> Panel | None:
    """The mean against trainable parameters, on a logarithmic axis."""
    sizes = {row.name: row.result.n_parameters for row in view.table.rows if row.n}
    sizes = {name: n for name, n in sizes.items() if n > 0}
    if not sizes:
        return None
    drawn = _scatter(view, sizes)
    title = view.record.measured.metric("n_parameters").title
    drawn.update_xaxes(type="log", dtick="D2", title_text=title)
    return Panel(
        key="benchmark-parameters",
        title=f"{capitalised(view.table.metric.words)} against parameters",
        caption="Mean over the seeds with its 95 % interval, from 6 seeds on; the "
        f"{_best_corner(view)} is better and smaller.",
        figures=[drawn],
    )


def seconds_panel(view: BenchmarkView) -> Panel | None:
    """The mean against the seconds that a run trained for."""
    times = {row.name: row.train_seconds for row in view.table.rows if row.train_seconds}
    if not times:
        return None
    seconds = {name: found.mean for name, found in times.items()}
    drawn = _scatter(view, seconds)
    for trace, found in zip(drawn.data, times.values(), strict=True):
        trace.error_x = {**_error_bar(found), "width": 4}
    low, high = min(seconds.values()), max(seconds.values())
    drawn.update_xaxes(title_text="training time of a run (s)")
    drawn.update_xaxes(**({"type": "log"} if 0 < 10 * low < high else {"rangemode": "tozero"}))
    caption = (
        "Means over the seeds with their 95 % intervals, from 6 seeds on; the "
        f"{_best_corner(view)} is better and faster"
    )
    machines = dict.fromkeys(each for row in view.table.rows for each in view.machines(row))
    if len(machines) > 1:
        caption += (
            f"; the runs were trained on {len(machines)} kinds of machine "
            f"({', '.join(machines)}), whose seconds are no comparison"
        )
    return Panel(
        key="benchmark-seconds",
        title=f"{capitalised(view.table.metric.words)} against training time",
        caption=f"{caption}. {together_note(view.n_together, view.n_done)}".rstrip(),
        figures=[drawn],
    )


def _best_corner(view: BenchmarkView) -> str:
    return "upper left" if view.table.metric.maximize else "lower left"


def _scatter(view: BenchmarkView, xs: Mapping[str, float]) -> go.Figure:
    """A point a config, each in the legend under its name."""
    drawn = figure(height=420, showlegend=True)
    rows, metric, notation = view.table.rows, view.table.metric, view.table.notation()
    colours = config_colours(row.name for row in rows)
    for place, row in enumerate(rows):
        found = row.means.get(metric.name)
        if row.name not in xs or row.train_seconds is None or found is None:
            continue
        drawn.add_scatter(
            name=escape(shorten(row.name, 30)),
            x=[xs[row.name]],
            y=[found.mean],
            error_y={**_error_bar(found), "width": 4, "thickness": 1.5},
            mode="markers",
            marker={
                "size": 12,
                "color": colours[row.name],
                "symbol": SYMBOLS[place % len(SYMBOLS)],
            },
            hoverinfo="text",
            hovertext=f"{escape(row.name)}<br>{escape(metric.words)} "
            f"{show_mean(found, notation)}{notation.unit} over {count(found.n, 'seed')}<br>"
            f"{count(row.result.n_parameters, 'parameter')}<br>"
            f"{row.train_seconds.mean:.1f} s a run<br>{escape(', '.join(view.machines(row)))}",
        )
    drawn.update_yaxes(metric_axis(metric))
    return drawn


def _error_bar(summary: Summary) -> dict[str, list[float]]:
    low, high = summary.interval or (summary.mean, summary.mean)
    return {"array": [high - summary.mean], "arrayminus": [summary.mean - low]}
