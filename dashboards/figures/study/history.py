"""The objective of every trial, in the order of the trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from dashboards.figures.panel import Panel
from dashboards.figures.study.drawing import Drawing, rounded
from dashboards.figures.template import (
    BASELINE_COLOUR,
    BEST_COLOUR,
    count_axis,
    figure,
    metric_axis,
)
from dashboards.numbers.study.trials import StudyTrial
from space.metrics import Metric
from space.words import capitalised, joined

__all__ = ["history_panel"]

N_ERROR_BARS = 200
"""With more trials error bars hide the points."""


def history_panel(drawing: Drawing) -> Panel | None:
    """The objective against the trial's number, the best so far and the baseline.

    Trials that failed, run or wait without a value yet stand in a strip of their own.
    """
    view = drawing.view
    if not view.trials:
        return None
    trials = drawing.thin(view.trials)
    has_errors = view.replicates > 1 and len(view.trials) <= N_ERROR_BARS
    caption = f"{joined(_directions(view.metrics))} is better."
    if view.counts["PRUNED"]:
        caption = f"{caption[:-1]}; a pruned trial stands at the last value that it reported."
    if has_errors:
        caption += " Bars are standard errors over a trial's replicates."
    return Panel(
        key="history",
        title="How the search went",
        caption=caption + drawing.thinned_note(len(trials), len(view.trials)),
        figures=[
            _history(drawing, trials, place, has_errors=has_errors)
            for place in range(len(view.metrics))
        ],
        switches=frozenset({"log"}),
    )


def _directions(metrics: Sequence[Metric]) -> list[str]:
    if len(metrics) == 1:
        return [capitalised(metrics[0].better)]
    first, *others = (f"{metric.better} {metric.words}" for metric in metrics)
    return [capitalised(first), *others]


def _history(
    drawing: Drawing, trials: Sequence[StudyTrial], place: int, *, has_errors: bool
) -> go.Figure:
    """One objective, by its place, of the trials that are drawn."""
    view = drawing.view
    drawn = figure(height=420)
    numbers = [trial.number for trial in trials]
    drawn.update_xaxes(title_text="trial", **count_axis(min(numbers), max(numbers)))
    for group in drawing.by_state(trial for trial in trials if trial.values[place:]):
        errors = [t.standard_errors[place] for t in group.trials if t.standard_errors[place:]]
        bars = {"array": rounded(errors), "width": 3, "thickness": 1}
        drawn.add_trace(
            drawing.points(
                group,
                (trial.number for trial in group.trials),
                (trial.values[place] for trial in group.trials),
                error_y=bars if has_errors and len(errors) == len(group.trials) else None,
            )
        )
    drawn.add_traces(_lines(drawing, place))
    drawn.update_yaxes(metric_axis(view.metrics[place]))
    valueless = [trial for trial in trials if not trial.values[place:]]
    if valueless:
        drawn.update_layout(
            yaxis={"domain": [0.13, 1]},
            yaxis2={
                "domain": [0, 0.07],
                "anchor": "x",
                "range": [-1, 1],
                "fixedrange": True,
                "showgrid": False,
                "tickvals": [0],
                "ticktext": ["no value"],
            },
            xaxis={"anchor": "y2"},
        )
    for group in drawing.by_state(valueless):
        drawn.add_trace(
            drawing.points(
                group,
                (trial.number for trial in group.trials),
                [0] * len(group.trials),
                name=f"{group.name}, no value",
                yaxis="y2",
                cliponaxis=False,
            )
        )
    return drawn


def _lines(drawing: Drawing, place: int) -> list[dict[str, Any]]:
    """The baseline across, and the best so far as a staircase."""
    view = drawing.view
    ends = [view.trials[0].number, view.trials[-1].number]
    line = {"type": "scatter", "mode": "lines", "hoverinfo": "name"}
    lines = []
    baseline, show = view.baseline, view.metrics[place].show
    if baseline is not None and baseline.values[place:] and baseline.state == "COMPLETE":
        lines.append(
            {
                **line,
                "name": f"baseline (trial {baseline.number}): {show(baseline.values[place])}",
                "x": ends,
                "y": rounded([baseline.values[place]] * 2),
                "line": {"color": BASELINE_COLOUR, "dash": "dash", "width": 2},
            }
        )
    best = view.best_so_far
    if len(best.number_I):
        lines.append(
            {
                **line,
                "name": f"best so far: {show(float(best.value_I[-1]))}",
                "x": [*best.number_I.tolist(), ends[1]],
                "y": rounded([*best.value_I, best.value_I[-1]]),
                "line": {"color": BEST_COLOUR, "shape": "hv", "width": 2.5},
            }
        )
    return lines
