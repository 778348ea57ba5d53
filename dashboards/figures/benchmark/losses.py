"""Training and validation loss against epochs, a small plot a config."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import plotly.graph_objects as go

from dashboards.figures.panel import Panel
from dashboards.figures.template import (
    PALETTE,
    count_axis,
    escape,
    figure,
    shorten,
    translucent,
)
from dashboards.numbers.benchmark import BenchmarkView
from dashboards.numbers.loss_curves import Curves
from space.words import count

__all__ = ["losses_panel"]

COLOURS = {"training": PALETTE[0], "validation": PALETTE[3]}
DASHES = {"training": "solid", "validation": "dash"}
HEADROOM = 1.15


def losses_panel(view: BenchmarkView) -> Panel | None:
    """Mean losses in a band from the lowest to the highest seed."""
    if not view.curves:
        return None
    return Panel(
        key="benchmark-losses",
        title="Training and validation loss",
        caption="Mean over the seeds in a band from the lowest to the highest; each plot has its "
        "own loss axis, since with auxiliary losses both curves are the weighted sum.",
        figures=[_plot(name, curves) for name, curves in view.curves.items()],
    )


def _plot(name: str, curves: Curves) -> go.Figure:
    title = f"{escape(shorten(name, 28))}, {count(curves.n_seeds, 'seed')}"
    drawn = figure(
        height=320,
        title={"text": title, "font": {"size": 13}},
        margin={"t": 84},
    )
    epochs = curves.epoch_E.tolist()
    for split, mean_E, low_E, high_E in (
        ("training", curves.train_mean_E, curves.train_low_E, curves.train_high_E),
        ("validation", curves.val_mean_E, curves.val_low_E, curves.val_high_E),
    ):
        edge: dict[str, Any] = {"x": epochs, "mode": "lines", "line": {"width": 0}}
        edge |= {"hoverinfo": "skip", "showlegend": False, "legendgroup": split}
        drawn.add_scatter(**edge, y=_gaps(low_E))
        shade = translucent(COLOURS[split], 0.18)
        drawn.add_scatter(**edge, y=_gaps(high_E), fill="tonexty", fillcolor=shade)
        drawn.add_scatter(
            name=split,
            legendgroup=split,
            x=epochs,
            y=_gaps(mean_E),
            mode="lines" if len(epochs) > 1 else "markers",
            line={"color": COLOURS[split], "dash": DASHES[split], "width": 2},
            hoverinfo="text",
            hovertext=[
                f"{escape(name)}<br>epoch {epoch}: {split} loss {mean:.4f} nats"
                f"<br>seeds from {low:.4f} to {high:.4f}"
                for epoch, mean, low, high in zip(epochs, mean_E, low_E, high_E, strict=True)
            ],
        )
    drawn.update_xaxes(title_text="epoch", **count_axis(1, len(epochs)))
    drawn.update_yaxes(title_text="loss (nats)", range=[0, _top(curves)])
    return drawn


def _gaps(values_E: np.ndarray) -> list[float | None]:
    """Values with None, which leaves a gap, for what is not finite."""
    return [float(value) if math.isfinite(value) else None for value in values_E]


def _top(curves: Curves) -> float:
    """The loss at the top of the plot: where single seeds fly high, the means stay readable."""
    means = np.concatenate([curves.train_mean_E, curves.val_mean_E])
    top = float(np.max(means, initial=0.0, where=np.isfinite(means)))
    return HEADROOM * top if top > 0 else 1.0
