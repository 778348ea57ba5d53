"""The trade-off between two objectives."""

from __future__ import annotations

from dashboards.figures.panel import Panel
from dashboards.figures.study.words import Drawing, metric_axis, rounded
from dashboards.figures.template import (
    BASELINE_COLOUR,
    BEST_COLOUR,
    STATE_COLOURS,
    STATE_SYMBOLS,
    figure,
)
from space.terminal.counts import count

__all__ = ["front_panel"]


def front_panel(drawing: Drawing) -> Panel | None:
    """Every complete trial of a study with two objectives, and the Pareto front among them."""
    view = drawing.view
    complete = [trial for trial in view.trials if trial.state == "COMPLETE" and trial.values]
    if len(view.metrics) != 2 or not complete:
        return None
    trials = drawing.thin(complete)
    by_number = {trial.number: trial for trial in trials}
    front = [by_number[number] for number in view.front if number in by_number]
    others = [t for t in trials if t.number not in set(view.front) and not t.is_baseline]
    baselines = [t for t in trials if t.is_baseline and t.number not in set(view.front)]
    drawn = figure(height=440)
    for name, own, mode, marker, line in (
        (
            "complete",
            others,
            "markers",
            {
                "color": STATE_COLOURS["COMPLETE"],
                "symbol": STATE_SYMBOLS["COMPLETE"],
                "size": 7,
            },
            None,
        ),
        (
            "baseline",
            baselines,
            "markers",
            {"color": BASELINE_COLOUR, "symbol": "diamond", "size": 12},
            None,
        ),
        (
            "Pareto front",
            front,
            "lines+markers",
            {"color": BEST_COLOUR, "symbol": "star", "size": 12},
            # Between two of its trials the front is no better than the worse of them.
            {"color": BEST_COLOUR, "width": 2, "shape": "hv"},
        ),
    ):
        if own:
            drawn.add_trace(
                {
                    "type": "scatter",
                    "mode": mode,
                    "name": name,
                    "x": rounded(trial.values[0] for trial in own),
                    "y": rounded(trial.values[1] for trial in own),
                    "marker": marker,
                    "line": line,
                    "customdata": drawing.links(own),
                    "hovertext": drawing.hovers(own),
                    "hoverinfo": "text",
                }
            )
    drawn.update_xaxes(**metric_axis(view.metrics[0]))
    drawn.update_yaxes(**metric_axis(view.metrics[1]))
    words = ["higher" if each else "lower" for each in view.maximize]
    return Panel(
        key="pareto-front",
        title="Trade-off between the objectives",
        caption=f"{count(len(view.front), 'trial')} are on the front: no other is as good in both "
        f"objectives and better in one ({words[0]} across and {words[1]} up is better)."
        + drawing.thinned_note(len(trials), len(complete)),
        figure=drawn,
    )
