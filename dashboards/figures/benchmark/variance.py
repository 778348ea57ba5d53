"""Where the variance of each config's results comes from, source by source."""

from __future__ import annotations

import plotly.graph_objects as go

from dashboards.figures.panel import Panel
from dashboards.figures.template import config_colours, escape, figure, metric_axis, shorten
from dashboards.numbers.benchmark import BenchmarkView
from dashboards.numbers.variance import VarianceSplit
from dashboards.words import show_interval
from space.sources import SOURCES
from space.words import count

__all__ = ["variance_panel"]

ROW_HEIGHT, FRAME_HEIGHT = 34, 120
"""In pixels."""


def variance_panel(view: BenchmarkView) -> Panel | None:
    """The standard deviation that each source brings alone, a plot a config."""
    splits = view.table.variances
    if not splits:
        return None
    colours = config_colours(row.name for row in view.table.rows)
    return Panel(
        key="benchmark-variance",
        title=f"Where the variance of the {view.table.metric.words} comes from",
        caption="A bar is the standard deviation of runs that differ in one source of randomness "
        "alone, the last one that of runs that share none; with 95 % intervals, which are "
        "wide with few runs.",
        figures=[_drawn(name, split, colours[name], view) for name, split in splits.items()],
        width=420,
    )


def _drawn(name: str, split: VarianceSplit, colour: str, view: BenchmarkView) -> go.Figure:
    notation = view.table.notation()
    spreads = {SOURCES[source].words: each for source, each in split.sources.items()}
    spreads["all together"] = split.total
    bounds = [each.interval or (each.std, each.std) for each in spreads.values()]
    stds = [each.std for each in spreads.values()]
    drawn = figure(height=FRAME_HEIGHT + ROW_HEIGHT * len(spreads), title=escape(shorten(name)))
    drawn.add_bar(
        orientation="h",
        x=stds,
        y=list(spreads),
        marker={"color": colour},
        error_x={
            "array": [(high - std) for (_, high), std in zip(bounds, stds, strict=True)],
            "arrayminus": [(std - low) for (low, _), std in zip(bounds, stds, strict=True)],
        },
        hoverinfo="text",
        hovertext=[
            f"{words}: {notation.value(each.std)}{notation.of_difference} "
            f"{show_interval(each.interval, notation)}<br>{count(each.n, 'run')}"
            for words, each in spreads.items()
        ],
    )
    drawn.update_yaxes(autorange="reversed", ticks="", showgrid=False)
    drawn.update_xaxes(
        **metric_axis(view.table.metric, "standard deviation of ", narrow=True), rangemode="tozero"
    )
    return drawn
