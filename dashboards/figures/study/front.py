"""The trade-off between two objectives."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import plotly.graph_objects as go

from dashboards.figures.panel import Panel
from dashboards.figures.study.drawing import Drawing
from dashboards.figures.template import BEST_COLOUR, figure, metric_axis
from dashboards.numbers.study.trials import StudyTrial
from space.words import joined

__all__ = ["front_panel"]

MOST = 6
"""So many figures of two objectives at the most."""


def front_panel(drawing: Drawing) -> Panel | None:
    """Every complete trial of a study with several objectives, two of them at a time, and the
    Pareto front among them."""
    view = drawing.view
    complete = [trial for trial in view.trials if trial.state == "COMPLETE" and trial.values]
    if len(view.metrics) < 2 or not complete:
        return None
    trials = drawing.thin(complete)
    places = list(itertools.combinations(range(len(view.metrics)), 2))
    are = "trial is" if len(view.front) == 1 else "trials are"
    better = joined(f"{metric.better} {metric.words}" for metric in view.metrics)
    return Panel(
        key="pareto-front",
        title="Trade-off between the objectives",
        caption=f"{len(view.front)} {are} on the front: no other is as good in all objectives and "
        f"better in one ({better} is better)." + drawing.thinned_note(len(trials), len(complete)),
        figures=[_front(drawing, trials, x, y) for x, y in places[:MOST]],
        switches=frozenset({"log"}),
    )


def _front(drawing: Drawing, trials: Sequence[StudyTrial], first: int, second: int) -> go.Figure:
    """Two objectives, by their places."""
    view = drawing.view
    drawn = figure(height=440)
    for group in drawing.groups(trials):
        # Between two of its trials the front is no better than the worse of them.
        line = {"color": BEST_COLOUR, "width": 2, "shape": "hv"}
        is_front = group.name == "Pareto front"
        own = sorted(group.trials, key=lambda t: view.front.index(t.number) if is_front else 0)
        x, y = ([trial.values[place] for trial in own] for place in (first, second))
        # With a third objective the front is no line between two.
        is_line = is_front and len(view.metrics) == 2
        joining = {"mode": "lines+markers", "line": line} if is_line else {}
        drawn.add_trace(drawing.points(group._replace(trials=own), x, y, **joining))
    drawn.update_xaxes(metric_axis(view.metrics[first]))
    drawn.update_yaxes(metric_axis(view.metrics[second]))
    return drawn
