"""What the objective has to do with the parameters: parallel coordinates, slices, importances."""

from __future__ import annotations

import math
from typing import Any

import plotly.graph_objects as go

from dashboards.figures.panel import Panel
from dashboards.figures.study.drawing import (
    Drawing,
    choices,
    hover,
    is_log,
    is_numeric,
    log_ticks,
    param_axis,
    rounded,
)
from dashboards.figures.template import PALETTE, escape, figure, metric_axis, shorten
from dashboards.numbers.study.trials import StudyTrial
from space.metrics import Metric

__all__ = ["importances_panel", "parallel_panel", "slices_panel"]

AXIS_WIDTH = 132
"""Pixels from one parallel axis to the next for its ticks and its name."""
MAX_SLICED = 500
"""A trial is drawn once for every parameter."""


def parallel_panel(drawing: Drawing) -> Panel | None:
    """Every complete trial as a line through its parameters to its objective."""
    view = drawing.view
    names = _varied(drawing)
    complete = [
        trial
        for trial in view.trials
        if trial.state == "COMPLETE" and trial.values and all(n in trial.params for n in names)
    ]
    if len(complete) < 2 or len(names) < 2:
        return None
    metric = view.metrics[0]
    trials = drawing.thin(complete)
    # The last line drawn lies on top: that of the best trial.
    trials.sort(key=lambda trial: metric.rank(trial.values[0]), reverse=True)
    values = rounded(trial.values[0] for trial in trials)
    drawn = figure(height=420, margin={"l": 72, "r": 96, "t": 84, "b": 32})
    drawn.add_trace(
        {
            "type": "parcoords",
            "line": {"color": values, "coloraxis": "coloraxis"},
            "labelangle": -12,
            "labelside": "top",
            "dimensions": [
                *(_dimension(drawing, name, trials) for name in names),
                _objective(metric, values),
            ],
        }
    )
    drawn.update_layout(coloraxis={"reversescale": metric.maximize, "showscale": False})
    return Panel(
        key="parallel-coordinates",
        title="Parallel coordinates",
        caption="One line a complete trial, the best on top; drag along an axis to pick lines."
        + drawing.thinned_note(len(trials), len(complete)),
        figures=[drawn],
        width=AXIS_WIDTH * (len(names) + 1),
    )


def slices_panel(drawing: Drawing) -> Panel | None:
    """The objective against each parameter."""
    view = drawing.view
    names = _varied(drawing)
    shown = [t for t in view.trials if t.values and t.state in ("COMPLETE", "PRUNED")]
    if len(shown) < 2 or not names:
        return None
    trials = drawing.thin(shown, MAX_SLICED)
    return Panel(
        key="slices",
        title="The objective against each parameter",
        caption="Complete trials at their value, pruned ones at the last that they reported."
        + drawing.thinned_note(len(trials), len(shown)),
        figures=[_slice(drawing, name, [t for t in trials if name in t.params]) for name in names],
        switches=frozenset({"log"}),
    )


def _slice(drawing: Drawing, name: str, trials: list[StudyTrial]) -> go.Figure:
    view = drawing.view
    distribution = view.distributions[name]
    kinds = [] if is_numeric(distribution) else choices(view.trials, name)
    drawn = figure(height=300)
    for group in drawing.groups(trials):
        params = [trial.params[name] for trial in group.trials]
        drawn.add_trace(
            drawing.points(
                group,
                (kinds.index(value) if kinds else float(value) for value in params),
                (trial.values[0] for trial in group.trials),
                hovertext=[hover(view, trial, only=name) for trial in group.trials],
            )
        )
    axis = param_axis(distribution, kinds or [trial.params[name] for trial in trials])
    drawn.update_xaxes(title_text=escape(shorten(name, 30)), **axis)
    # Beside a plot of this height a title has room for half of its words.
    drawn.update_yaxes(metric_axis(view.metrics[0], narrow=True))
    return drawn


def importances_panel(drawing: Drawing) -> Panel | None:
    """How far each parameter sets the best trials apart."""
    found = drawing.view.importances
    if not found:
        return None
    names = list(reversed(found[0].shares))
    top = 48 if len(found) > 1 else 16
    drawn = figure(height=88 + top + 34 * len(names) * len(found), margin={"t": top})
    for colour, each in zip(PALETTE, found, strict=False):
        shares = [each.shares.get(name, 0.0) for name in names]
        objective = escape(shorten(each.metric.words))
        drawn.add_trace(
            {
                "type": "bar",
                "orientation": "h",
                "name": objective,
                "x": rounded(shares),
                "y": list(range(len(names))),
                "text": [f"{share:.0%}" for share in shares],
                "textposition": "outside",
                "cliponaxis": False,
                "marker": {"color": colour},
                "hoverinfo": "text",
                "hovertext": [
                    f"{escape(shorten(name))}: {share:.1%} of {objective}"
                    for name, share in zip(names, shares, strict=True)
                ],
            }
        )
    drawn.update_layout(bargap=0.35, showlegend=len(found) > 1)
    drawn.update_xaxes(title_text="share of the difference", tickformat=".0%", range=[0, 1.05])
    drawn.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=[escape(shorten(name, 30)) for name in names],
        showgrid=False,
    )
    first = found[0]
    return Panel(
        key="importances",
        title="Parameter importances",
        caption=f"How the best {first.n_top} of {first.n_trials} complete trials differ from all "
        "of them in each parameter (PED-ANOVA); few trials say little.",
        figures=[drawn],
    )


def _varied(drawing: Drawing) -> list[str]:
    """The parameters that are not the same in every trial."""
    trials = drawing.view.trials
    return [name for name in drawing.view.distributions if len(choices(trials, name)) > 1]


def _objective(metric: Metric, values: list[float | None]) -> dict[str, Any]:
    axis = metric_axis(metric)
    label = axis.pop("title")["text"]
    return {"label": label, "values": values, **axis}


def _dimension(drawing: Drawing, name: str, trials: list[StudyTrial]) -> dict[str, Any]:
    distribution = drawing.view.distributions[name]
    values = [trial.params[name] for trial in trials]
    label = escape(shorten(name, 28))
    if not is_numeric(distribution):
        kinds = choices(drawing.view.trials, name)
        axis = param_axis(distribution, kinds)
        return {
            "label": label,
            "values": [kinds.index(value) for value in values],
            "tickvals": axis["tickvals"],
            "ticktext": axis["ticktext"],
        }
    if not is_log(distribution):
        return {"label": label, "values": rounded(map(float, values))}
    numbers = [float(value) for value in values]
    low, high = min(numbers), max(numbers)
    # The axis is drawn between its first tick and its last.
    inner = [t for t in log_ticks(low, high) if 1.3 * low < t < high / 1.3]
    ticks = [low, *inner, high]
    return {
        "label": label,
        "values": rounded(map(math.log10, numbers)),
        "tickvals": rounded(map(math.log10, ticks)),
        "ticktext": [f"{tick:.3g}" for tick in ticks],
    }
