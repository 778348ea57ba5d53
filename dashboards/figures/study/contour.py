"""The objective over pairs of parameters."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboards.figures.narrow import GAP, stacked
from dashboards.figures.panel import Panel
from dashboards.figures.study.words import (
    Drawing,
    is_log,
    is_numeric,
    metric_axis,
    param_axis,
    rounded,
)
from dashboards.figures.template import BASELINE_COLOUR, BEST_COLOUR, LIGHT, escape, shorten
from dashboards.numbers.study.surface import Surface, surface

__all__ = ["contour_panel"]

MAX_POINTS = 500
PLOT_HEIGHT, BAR_HEIGHT = 230, 64
"""On a narrow screen, in pixels."""
PAIRS = (("learning_rate", "learning_rate_decay"), ("learning_rate", "weight_decay"))
"""The learning rate against the decays that the report tuned with it."""


def contour_panel(drawing: Drawing) -> Panel | None:
    """The smoothed objective over the learning rate and each decay.

    A study that searches no such pair shows its first two numeric parameters.
    """
    view = drawing.view
    numeric = [name for name, each in view.distributions.items() if is_numeric(each)]
    pairs = [pair for pair in PAIRS if set(pair) <= set(numeric)]
    title = "Learning rate and decay" if pairs else "Two parameters together"
    if not pairs and len(numeric) >= 2:
        pairs = [(numeric[0], numeric[1])]
    surfaces: list[tuple[str, str, Surface]] = []
    for x, y in pairs:
        found = surface(
            view.trials,
            x,
            y,
            log_x=is_log(view.distributions[x]),
            log_y=is_log(view.distributions[y]),
        )
        if found is not None:
            surfaces.append((x, y, found))
    if not surfaces:
        return None
    drawn = make_subplots(rows=1, cols=len(surfaces), horizontal_spacing=0.2)
    drawn.update_layout(template=LIGHT, height=400, autosize=True)
    for column, (x, y, found) in enumerate(surfaces, start=1):
        drawn.add_trace(
            {
                "type": "contour",
                "x": rounded(found.x_G),
                "y": rounded(found.y_G),
                "z": [rounded(row_G) for row_G in found.value_GG],
                "coloraxis": "coloraxis",
                "line": {"width": 0.5},
                "hoverinfo": "skip",
            },
            row=1,
            col=column,
        )
        trials = drawing.thin(found.trials_N, MAX_POINTS)
        best = set(view.front)
        for label, colour, outline, symbol, size, own in (
            (
                "complete",
                "#ffffff",
                "#1f2328",
                "circle",
                6,
                [t for t in trials if t.number not in best and not t.is_baseline],
            ),
            (
                "baseline",
                BASELINE_COLOUR,
                "#ffffff",
                "diamond",
                12,
                [t for t in trials if t.is_baseline],
            ),
            ("best", BEST_COLOUR, "#ffffff", "star", 15, [t for t in trials if t.number in best]),
        ):
            if not own:
                continue
            drawn.add_trace(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": label,
                    "legendgroup": label,
                    "showlegend": column == 1,
                    "x": rounded(float(trial.params[x]) for trial in own),
                    "y": rounded(float(trial.params[y]) for trial in own),
                    "marker": {
                        "color": colour,
                        "symbol": symbol,
                        "size": size,
                        "line": {"color": outline, "width": 1},
                    },
                    "customdata": drawing.links(own),
                    "hovertext": drawing.hovers(own),
                    "hoverinfo": "text",
                },
                row=1,
                col=column,
            )
        for name, update in ((x, drawn.update_xaxes), (y, drawn.update_yaxes)):
            place_G = found.x_G if name == x else found.y_G
            axis = param_axis(view.distributions[name], place_G.tolist())
            update(title_text=escape(shorten(name, 30)), **axis, row=1, col=column)
    axis = metric_axis(view.metrics[0])
    drawn.update_layout(
        coloraxis={
            "reversescale": view.maximize[0],
            "colorbar": {
                "title": {"text": axis["title"]["text"]},
                "tickformat": axis.get("tickformat"),
            },
        }
    )
    return Panel(
        key="contour",
        title=title,
        caption="The mean of complete trials nearby, weighted by their distance; blank where no "
        "trial is near.",
        figure=drawn,
        narrow=_narrow(drawn, len(surfaces)),
    )


def _narrow(drawn: go.Figure, n: int) -> dict[str, Any]:
    """One plot below the other, and the bar of colours, which takes a third of the width, below."""
    narrow = stacked(drawn, n, height=PLOT_HEIGHT)
    margin = narrow["margin"]
    plots = narrow["height"] - margin["t"] - margin["b"]
    return narrow | {
        "height": narrow["height"] + BAR_HEIGHT,
        "margin": {**margin, "b": margin["b"] + BAR_HEIGHT},
        "coloraxis.colorbar.orientation": "h",
        "coloraxis.colorbar.x": 0.5,
        "coloraxis.colorbar.y": round(-GAP / plots, 5),
        "coloraxis.colorbar.yanchor": "top",
        "coloraxis.colorbar.title.side": "bottom",
    }
