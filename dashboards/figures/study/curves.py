"""The learning curves of all trials."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from dashboards.figures.counts import count_axis
from dashboards.figures.panel import Panel
from dashboards.figures.study.words import Drawing, metric_axis, rounded, state_word, thinned
from dashboards.figures.template import (
    BASELINE_COLOUR,
    BEST_COLOUR,
    STATE_COLOURS,
    STATE_SYMBOLS,
    figure,
)
from dashboards.numbers.study.trials import StudyTrial
from dashboards.numbers.study.view import STATES

__all__ = ["curves_panel"]

MAX_CURVES = 300
"""More curves are a blot."""


def curves_panel(drawing: Drawing) -> Panel | None:
    """What every trial reported, coloured by its fate, with the pruner's rungs."""
    view = drawing.view
    reports = view.reports
    if not len(reports.number_R):
        return None
    reported = set(reports.number_R.tolist())
    with_curves = [trial for trial in view.trials if trial.number in reported]
    n = min(MAX_CURVES, drawing.max_trials)
    trials = thinned(with_curves, n, set(view.front))
    drawn = figure(height=420)
    for epoch in view.rungs:
        drawn.add_vline(
            x=epoch,
            line={"width": 1, "dash": "dot"},
            annotation={"text": f"rung {epoch}", "yanchor": "bottom", "y": 1, "xanchor": "center"},
        )
    special = set(view.front) | ({view.baseline.number} if view.baseline else set())
    for state in (*STATES[1:], STATES[0]):
        plain = [t for t in trials if t.state == state and t.number not in special]
        width = 1.5 if state == "COMPLETE" else 1
        word, symbol = state_word(state), STATE_SYMBOLS[state]
        _add_curves(drawn, drawing, plain, word, STATE_COLOURS[state], width, symbol)
    for trial in trials:
        if trial.number in special:
            is_best = trial.number in view.front
            word = "best" if is_best else "baseline"
            colour = BEST_COLOUR if is_best else BASELINE_COLOUR
            name = f"{word} (trial {trial.number})"
            _add_curves(drawn, drawing, [trial], name, colour, 3, STATE_SYMBOLS[trial.state])
    first, last = int(reports.step_R.min()), int(reports.step_R.max())
    drawn.update_xaxes(
        title_text=view.step_name, range=[first - 0.5, last + 0.5], **count_axis(first, last)
    )
    drawn.update_yaxes(**metric_axis(view.metrics[0]))
    drawn.update_layout(margin={"t": 64}, legend={"y": 1.07})
    caption = "The objective of the state that a trial keeps, after each "
    caption += f"{view.step_name}; a mark stands where the trial ended."
    return Panel(
        key="learning-curves",
        title="Learning curves",
        caption=caption + drawing.thinned_note(len(trials), len(with_curves), "curves"),
        figure=drawn,
    )


def _add_curves(
    drawn: go.Figure,
    drawing: Drawing,
    trials: list[StudyTrial],
    name: str,
    colour: str,
    width: float,
    symbol: str,
) -> None:
    """Curves of one colour as one trace, broken between trials, and their ends as another."""
    if not trials:
        return
    reports = drawing.view.reports
    x: list[int | None] = []
    y: list[float | None] = []
    data: list[list[object]] = []
    ends: list[tuple[int, float | None]] = []
    for trial in trials:
        first, last = np.searchsorted(reports.number_R, [trial.number, trial.number + 1])
        steps, values = reports.step_R[first:last].tolist(), rounded(reports.value_R[first:last])
        x += [*steps, None]
        y += [*values, None]
        data += [[trial.number]] * (len(steps) + 1)
        # The last report may be of a loss that was no number: the mark stands at one that was.
        known = [each for each in zip(steps, values, strict=True) if each[1] is not None]
        ends.append(known[-1] if known else (steps[-1], None))
    drawn.add_trace(
        {
            "type": "scattergl" if len(x) > 4000 else "scatter",
            "mode": "lines",
            "name": name,
            "legendgroup": name,
            "x": x[:-1],
            "y": y[:-1],
            "line": {"color": colour, "width": width},
            "customdata": data[:-1],
            "hovertemplate": "trial %{customdata[0]}<br>"
            + f"{drawing.view.step_name} %{{x}}: %{{y}}<extra></extra>",
        }
    )
    drawn.add_trace(
        {
            "type": "scatter",
            "mode": "markers",
            "name": name,
            "legendgroup": name,
            "showlegend": False,
            "x": [step for step, _ in ends],
            "y": [value for _, value in ends],
            "marker": {"color": colour, "symbol": symbol, "size": 6},
            "customdata": drawing.links(trials),
            "hovertext": drawing.hovers(trials),
            "hoverinfo": "text",
        }
    )
