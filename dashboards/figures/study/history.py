"""The objective of every trial, in the order of the trials."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from dashboards.figures.counts import count_axis
from dashboards.figures.panel import Panel
from dashboards.figures.study.words import (
    Drawing,
    metric_axis,
    metric_value,
    rounded,
    state_word,
)
from dashboards.figures.template import (
    BASELINE_COLOUR,
    BEST_COLOUR,
    STATE_COLOURS,
    STATE_SYMBOLS,
    figure,
)
from dashboards.numbers.study.trials import StudyTrial
from dashboards.numbers.study.view import STATES

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
    drawn = figure(height=420)
    numbers = [trial.number for trial in trials]
    drawn.update_xaxes(title_text="trial", **count_axis(min(numbers), max(numbers)))
    valueless = [trial for trial in trials if not trial.values]
    for state in STATES:
        _add_points(drawn, drawing, [t for t in trials if t.state == state and t.values], state)
    _add_lines(drawn, drawing)
    for state in STATES:
        _add_strip(drawn, drawing, [t for t in valueless if t.state == state], state)
    drawn.update_layout(
        yaxis={**metric_axis(view.metrics[0]), "domain": [0, 1]},
    )
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
    caption = f"{'Higher' if view.maximize[0] else 'Lower'} is better."
    if view.counts["PRUNED"]:
        caption = f"{caption[:-1]}; a pruned trial stands at the last value that it reported."
    if view.replicates > 1 and len(view.trials) <= N_ERROR_BARS:
        caption += " Bars are standard errors over a trial's replicates."
    return Panel(
        key="history",
        title="How the search went",
        caption=caption + drawing.thinned_note(len(trials), len(view.trials)),
        figure=drawn,
    )


def _add_points(drawn: go.Figure, drawing: Drawing, trials: list[StudyTrial], state: str) -> None:
    if not trials:
        return
    view = drawing.view
    has_errors = (
        state == "COMPLETE"
        and len(view.trials) <= N_ERROR_BARS
        and all(trial.standard_errors for trial in trials)
    )
    drawn.add_trace(
        {
            "type": "scatter",
            "mode": "markers",
            "name": state_word(state),
            "x": [trial.number for trial in trials],
            "y": rounded(trial.values[0] for trial in trials),
            "error_y": (
                {
                    "array": rounded(trial.standard_errors[0] for trial in trials),
                    "width": 3,
                    "thickness": 1,
                }
                if has_errors
                else None
            ),
            "marker": _marker(state),
            "customdata": drawing.links(trials),
            "hovertext": drawing.hovers(trials),
            "hoverinfo": "text",
        }
    )


def _marker(state: str) -> dict[str, Any]:
    is_complete = state == "COMPLETE"
    return {
        "color": STATE_COLOURS[state],
        "symbol": STATE_SYMBOLS[state],
        "size": 8 if is_complete else 6,
    }


def _add_lines(drawn: go.Figure, drawing: Drawing) -> None:
    """The best so far as a staircase, and the baseline across."""
    view = drawing.view
    ends = [view.trials[0].number, view.trials[-1].number]
    baseline = view.baseline
    if baseline is not None and baseline.values and baseline.state == "COMPLETE":
        value = metric_value(view.metrics[0], baseline.values[0])
        drawn.add_trace(
            {
                "type": "scatter",
                "mode": "lines",
                "name": f"baseline (trial {baseline.number}): {value}",
                "x": ends,
                "y": rounded([baseline.values[0]] * 2),
                "line": {"color": BASELINE_COLOUR, "dash": "dash", "width": 2},
                "hoverinfo": "name",
            }
        )
    best = view.best_so_far
    if len(best.number_I):
        drawn.add_trace(
            {
                "type": "scatter",
                "mode": "lines",
                "name": f"best so far: {metric_value(view.metrics[0], best.value_I[-1])}",
                "x": [*best.number_I.tolist(), ends[1]],
                "y": rounded([*best.value_I, best.value_I[-1]]),
                "line": {"color": BEST_COLOUR, "shape": "hv", "width": 2.5},
                "hoverinfo": "skip",
            }
        )


def _add_strip(drawn: go.Figure, drawing: Drawing, trials: list[StudyTrial], state: str) -> None:
    if not trials:
        return
    drawn.add_trace(
        {
            "type": "scatter",
            "mode": "markers",
            "name": f"{state_word(state)}, no value",
            "x": [trial.number for trial in trials],
            "y": [0] * len(trials),
            "yaxis": "y2",
            "marker": _marker(state),
            "customdata": drawing.links(trials),
            "hovertext": drawing.hovers(trials),
            "hoverinfo": "text",
            "cliponaxis": False,
        }
    )
