"""The objective over two parameters at a time."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping

import plotly.graph_objects as go

from dashboards.figures.panel import Panel
from dashboards.figures.study.drawing import (
    Drawing,
    is_log,
    is_numeric,
    param_axis,
    rounded,
)
from dashboards.figures.template import escape, figure, metric_axis, shorten
from dashboards.numbers.study.surface import Surface, surface

__all__ = ["contour_panel"]

logger = logging.getLogger(__name__)

MAX_POINTS = 500
MOST = 2
"""So many plots: the parameter that matters most, against each that follows."""
WHITE, BLACK = "#ffffff", "#1f2328"


def contour_panel(drawing: Drawing) -> Panel | None:
    """The smoothed objective over the parameters that matter most, of those that are numbers; in
    the file's order while it is not known which these are."""
    view = drawing.view
    names = view.distributions if view.space is None else view.space.parameters
    numeric = [
        name
        for name in names
        if name in view.distributions and is_numeric(view.distributions[name])
    ]
    shares = _shares(drawing)
    numeric.sort(key=lambda name: -shares.get(name, 0.0))
    figures = []
    for x, y in itertools.product(numeric[:1], numeric[1 : MOST + 1]):
        log_x, log_y = (is_log(view.distributions[name]) for name in (x, y))
        found = surface(view.trials, x, y, log_x=log_x, log_y=log_y)
        if found is not None:
            figures.append(_contour(drawing, x, y, found))
    if not figures:
        return None
    return Panel(
        key="contour",
        title="Two parameters together",
        caption="The mean of complete trials nearby, weighted by their distance; blank where no "
        "trial is near.",
        figures=figures,
        width=380,
    )


def _shares(drawing: Drawing) -> Mapping[str, float]:
    """How much each parameter matters for the first objective; nothing where that is not known."""
    try:
        found = drawing.view.importances
    except Exception:  # A bug of ours, which the figure of importances says; it costs that alone.
        logger.debug("the parameters stand in the file's order", exc_info=True)
        return {}
    return found[0].shares if found else {}


def _contour(drawing: Drawing, x: str, y: str, found: Surface) -> go.Figure:
    view = drawing.view
    drawn = figure(height=400)
    drawn.add_trace(
        {
            "type": "contour",
            "x": rounded(found.x_G),
            "y": rounded(found.y_G),
            "z": [rounded(row_G) for row_G in found.value_GG],
            "coloraxis": "coloraxis",
            "line": {"width": 0.5},
            "hoverinfo": "skip",
        }
    )
    for group in drawing.groups(drawing.thin(found.trials_N, MAX_POINTS)):
        # On a surface of all colours a point stands out by its outline.
        marker = {**group.marker, "line": {"color": WHITE, "width": 1}}
        if group.name == "complete":
            marker |= {"color": WHITE, "size": 6, "line": {"color": BLACK, "width": 1}}
        drawn.add_trace(
            drawing.points(
                group._replace(marker=marker),
                (float(trial.params[x]) for trial in group.trials),
                (float(trial.params[y]) for trial in group.trials),
            )
        )
    for name, place_G, update in (
        (x, found.x_G, drawn.update_xaxes),
        (y, found.y_G, drawn.update_yaxes),
    ):
        axis = param_axis(view.distributions[name], place_G.tolist())
        update(title_text=escape(shorten(name, 30)), **axis)
    drawn.update_coloraxes(
        reversescale=view.metrics[0].maximize, colorbar=metric_axis(view.metrics[0])
    )
    return drawn
