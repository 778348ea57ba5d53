"""Learning curves of a benchmark, a small plot a config."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import plotly.graph_objects as go

from dashboards.figures.panel import CURVES, Panel
from dashboards.figures.template import (
    PALETTE,
    count_axis,
    escape,
    figure,
    metric_axis,
    shorten,
    translucent,
)
from dashboards.numbers.benchmark import BenchmarkView
from dashboards.numbers.learning_curves import Curves
from space.words import capitalised, count, joined

__all__ = ["curves_panel"]

STYLES = ((PALETTE[0], "solid"), (PALETTE[3], "dash"))
"""Colour and dash of the training split, then of the validation split."""
HEADROOM = 1.15


def curves_panel(view: BenchmarkView) -> Panel | None:
    """Means in a band from the lowest to the highest seed."""
    if not view.curves:
        return None
    return Panel(
        key="benchmark-curves",
        title=capitalised(joined(metric.words for metric in view.record.measured.curves)),
        caption="Mean over the seeds in a band from the lowest to the highest; each plot has an "
        "axis of its own, since configs may differ in what they minimise.",
        figures=[_plot(name, curves) for name, curves in view.curves.items()],
        switches=CURVES,
    )


def _plot(name: str, curves: Curves) -> go.Figure:
    title = f"{escape(shorten(name, 28))}, {count(curves.n_seeds, 'seed')}"
    drawn = figure(
        height=320,
        title={"text": title, "font": {"size": 13}},
        margin={"t": 84},
    )
    epochs = curves.epoch_E.tolist()
    last = curves.bands[-1].metric
    notation = last.notation([curves.highest()])
    for (metric, mean_E, low_E, high_E), (colour, dash) in zip(curves.bands, STYLES, strict=False):
        words = escape(shorten(metric.words))
        edge: dict[str, Any] = {"x": epochs, "mode": "lines", "line": {"width": 0}}
        edge |= {"hoverinfo": "skip", "showlegend": False, "legendgroup": metric.name}
        drawn.add_scatter(**edge, y=_gaps(low_E))
        shade = translucent(colour, 0.18)
        drawn.add_scatter(**edge, y=_gaps(high_E), fill="tonexty", fillcolor=shade)
        drawn.add_scatter(
            name=words,
            legendgroup=metric.name,
            x=epochs,
            y=_gaps(mean_E),
            mode="lines" if len(epochs) > 1 else "markers",
            line={"color": colour, "dash": dash, "width": 2},
            hoverinfo="text",
            hovertext=[
                f"{escape(name)}<br>epoch {epoch}: {words} "
                f"{notation.value(float(mean))}{notation.unit}"
                f"<br>seeds from {notation.value(float(low))} to {notation.value(float(high))}"
                for epoch, mean, low, high in zip(epochs, mean_E, low_E, high_E, strict=True)
            ],
        )
    drawn.update_xaxes(title_text="epoch", **count_axis(1, len(epochs)))
    low, high = HEADROOM * curves.lowest(), HEADROOM * curves.highest()
    # Where single seeds fly high, the means stay readable.
    drawn.update_yaxes(
        metric_axis(replace(last, words=last.of.replace("_", " "))),
        range=[low, high if high > low else 1.0],
    )
    return drawn


def _gaps(values_E: np.ndarray) -> list[float | None]:
    """Values with None, which leaves a gap, for what is not finite."""
    return [float(value) if math.isfinite(value) else None for value in values_E]
