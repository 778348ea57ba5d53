"""Training and validation loss against epochs, a small plot a config."""

from __future__ import annotations

import math

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboards.figures.counts import count_axis
from dashboards.figures.narrow import stacked
from dashboards.figures.panel import Panel
from dashboards.figures.template import LIGHT, PALETTE, escape, shorten, translucent
from dashboards.numbers.benchmark import BenchmarkView
from dashboards.numbers.loss_curves import Curves
from space.terminal.counts import count

__all__ = ["losses_panel"]

MOST_COLUMNS = 3
ROW_HEIGHT, FRAME_HEIGHT = 260, 130
"""In pixels."""
COLOURS = {"training": PALETTE[0], "validation": PALETTE[3]}
DASHES = {"training": "solid", "validation": "dash"}
HEADROOM = 1.15


def losses_panel(view: BenchmarkView) -> Panel | None:
    """Mean losses in a band from the lowest to the highest seed."""
    if not view.curves:
        return None
    n = len(view.curves)
    n_columns = min(n, MOST_COLUMNS)
    n_rows = math.ceil(n / n_columns)
    height = FRAME_HEIGHT + ROW_HEIGHT * n_rows
    drawn = make_subplots(
        rows=n_rows,
        cols=n_columns,
        subplot_titles=[
            f"{escape(shorten(name, 28))}<br>{count(curves.n_seeds, 'seed')}"
            for name, curves in view.curves.items()
        ],
        horizontal_spacing=0.07,
        vertical_spacing=84 / (ROW_HEIGHT * n_rows) if n_rows > 1 else 0,
    )
    drawn.update_layout(template=LIGHT, height=height, autosize=True)
    drawn.update_layout(legend={"y": 1 + 40 / (ROW_HEIGHT * n_rows)}, margin={"t": 88})
    drawn.update_annotations(font_size=13)
    for place, (name, curves) in enumerate(view.curves.items()):
        at = {"row": place // n_columns + 1, "col": place % n_columns + 1}
        for trace in _traces(name, curves, in_legend=place == 0):
            drawn.add_trace(trace, **at)
        drawn.update_yaxes(range=[0, _top(curves)], **at)
        if place + n_columns >= n:
            drawn.update_xaxes(title_text="epoch", **at)
        drawn.update_xaxes(**count_axis(1, len(curves.epoch_E)), **at)
    drawn.update_yaxes(title_text="loss (nats)", col=1)
    return Panel(
        key="benchmark-losses",
        title="Training and validation loss",
        caption="Mean over the seeds in a band from the lowest to the highest; each plot has its "
        "own loss axis, since with auxiliary losses both curves are the weighted sum.",
        figure=drawn,
        narrow=stacked(drawn, n, height=190, titles=True) if n > 1 else {},
    )


def _traces(name: str, curves: Curves, *, in_legend: bool) -> list[go.Scatter]:
    traces = []
    for split, mean_E, low_E, high_E in (
        ("training", curves.train_mean_E, curves.train_low_E, curves.train_high_E),
        ("validation", curves.val_mean_E, curves.val_low_E, curves.val_high_E),
    ):
        epochs = curves.epoch_E.tolist()
        band = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
        shared = {"x": epochs, "legendgroup": split}
        traces += [
            go.Scatter(**shared, **band, y=_gaps(low_E)),
            go.Scatter(
                **shared,
                **band,
                y=_gaps(high_E),
                fill="tonexty",
                fillcolor=translucent(COLOURS[split], 0.18),
            ),
            go.Scatter(
                **shared,
                name=split,
                mode="lines" if len(epochs) > 1 else "markers",
                y=_gaps(mean_E),
                line={"color": COLOURS[split], "dash": DASHES[split], "width": 2},
                showlegend=in_legend,
                hoverinfo="text",
                hovertext=[
                    f"{escape(name)}<br>epoch {epoch}: {split} loss {mean:.4f} nats"
                    f"<br>seeds from {low:.4f} to {high:.4f}"
                    for epoch, mean, low, high in zip(epochs, mean_E, low_E, high_E, strict=True)
                ],
            ),
        ]
    return traces


def _gaps(values_E: np.ndarray) -> list[float | None]:
    """Values with None, which leaves a gap, for what is not finite."""
    return [float(value) if math.isfinite(value) else None for value in values_E]


def _top(curves: Curves) -> float:
    """The loss at the top of the plot: where single seeds fly high, the means stay readable."""
    means = np.concatenate([curves.train_mean_E, curves.val_mean_E])
    top = float(np.max(means, initial=0.0, where=np.isfinite(means)))
    return HEADROOM * top if top > 0 else 1.0
