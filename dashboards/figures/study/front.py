"""The trade-off between two objectives."""

from __future__ import annotations

from dashboards.figures.panel import Panel
from dashboards.figures.study.drawing import Drawing
from dashboards.figures.template import BEST_COLOUR, figure, metric_axis
from space.words import count

__all__ = ["front_panel"]


def front_panel(drawing: Drawing) -> Panel | None:
    """Every complete trial of a study with two objectives, and the Pareto front among them."""
    view = drawing.view
    complete = [trial for trial in view.trials if trial.state == "COMPLETE" and trial.values]
    if len(view.metrics) != 2 or not complete:
        return None
    trials = drawing.thin(complete)
    drawn = figure(height=440)
    for group in drawing.groups(trials):
        # Between two of its trials the front is no better than the worse of them.
        line = {"color": BEST_COLOUR, "width": 2, "shape": "hv"}
        is_front = group.name == "Pareto front"
        own = sorted(group.trials, key=lambda t: view.front.index(t.number) if is_front else 0)
        x, y = zip(*(trial.values for trial in own), strict=True)
        joined = {"mode": "lines+markers", "line": line} if is_front else {}
        drawn.add_trace(drawing.points(group._replace(trials=own), x, y, **joined))
    drawn.update_xaxes(metric_axis(view.metrics[0]))
    drawn.update_yaxes(metric_axis(view.metrics[1]))
    words = ["higher" if each.maximize else "lower" for each in view.metrics]
    return Panel(
        key="pareto-front",
        title="Trade-off between the objectives",
        caption=f"{count(len(view.front), 'trial')} are on the front: no other is as good in both "
        f"objectives and better in one ({words[0]} across and {words[1]} up is better)."
        + drawing.thinned_note(len(trials), len(complete)),
        figures=[drawn],
    )
