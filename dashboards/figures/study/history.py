"""The objective of every trial, in the order of the trials."""

from __future__ import annotations

from typing import Any

from dashboards.figures.panel import Panel
from dashboards.figures.study.drawing import Drawing, rounded
from dashboards.figures.template import (
    BASELINE_COLOUR,
    BEST_COLOUR,
    count_axis,
    figure,
    metric_axis,
)

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
    has_errors = view.replicates > 1 and len(view.trials) <= N_ERROR_BARS
    for group in drawing.by_state(trial for trial in trials if trial.values):
        errors = [trial.standard_errors[0] for trial in group.trials if trial.standard_errors]
        bars = {"array": rounded(errors), "width": 3, "thickness": 1}
        drawn.add_trace(
            drawing.points(
                group,
                (trial.number for trial in group.trials),
                (trial.values[0] for trial in group.trials),
                error_y=bars if has_errors and len(errors) == len(group.trials) else None,
            )
        )
    drawn.add_traces(_lines(drawing))
    drawn.update_yaxes(metric_axis(view.metrics[0]))
    valueless = [trial for trial in trials if not trial.values]
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
    caption = f"{'Higher' if view.metrics[0].maximize else 'Lower'} is better."
    if view.counts["PRUNED"]:
        caption = f"{caption[:-1]}; a pruned trial stands at the last value that it reported."
    if has_errors:
        caption += " Bars are standard errors over a trial's replicates."
    return Panel(
        key="history",
        title="How the search went",
        caption=caption + drawing.thinned_note(len(trials), len(view.trials)),
        figures=[drawn],
    )


def _lines(drawing: Drawing) -> list[dict[str, Any]]:
    """The baseline across, and the best so far as a staircase."""
    view = drawing.view
    ends = [view.trials[0].number, view.trials[-1].number]
    line = {"type": "scatter", "mode": "lines", "hoverinfo": "name"}
    lines = []
    baseline, show = view.baseline, view.metrics[0].show
    if baseline is not None and baseline.values and baseline.state == "COMPLETE":
        lines.append(
            {
                **line,
                "name": f"baseline (trial {baseline.number}): {show(baseline.values[0])}",
                "x": ends,
                "y": rounded([baseline.values[0]] * 2),
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
