"""The learning curves of all trials."""

from __future__ import annotations

import math
from typing import Any

from dashboards.figures.panel import CURVES, Panel
from dashboards.figures.study.drawing import Drawing, Group, rounded, thinned
from dashboards.figures.template import count_axis, figure, metric_axis, named_line

__all__ = ["curves_panel"]

MAX_CURVES = 300
"""More curves are a blot."""


def curves_panel(drawing: Drawing) -> Panel | None:
    """What every trial reported, coloured by its fate, with the pruner's rungs."""
    view = drawing.view
    with_curves = [trial for trial in view.trials if trial.reports]
    if not with_curves:
        return None
    trials = thinned(with_curves, min(MAX_CURVES, drawing.max_trials), set(view.front))
    drawn = figure(height=420)
    for epoch in view.rungs:
        named_line(drawn, epoch, f"rung {epoch}", view.metrics[0], width=1, dash="dot")
    for group in drawing.groups(trials, one_baseline=True):
        if group.name in ("baseline", "best"):
            for trial in group.trials:
                name = f"{group.name} (trial {trial.number})"
                drawn.add_traces(_curves(drawing, Group(name, [trial], group.marker), width=3))
        else:
            drawn.add_traces(_curves(drawing, group, width=1.5 if group.name == "complete" else 1))
    first = min(min(trial.reports) for trial in with_curves)
    last = max(max(trial.reports) for trial in with_curves)
    drawn.update_xaxes(
        title_text=view.step_name, range=[first - 0.5, last + 0.5], **count_axis(first, last)
    )
    drawn.update_yaxes(metric_axis(view.metrics[0]))
    caption = "The objective of the state that a trial keeps, after each "
    caption += f"{view.step_name}; a mark stands where the trial ended."
    if view.rungs:
        caption += " A rung is where the pruner compares trials and stops those that do worst."
    return Panel(
        key="learning-curves",
        title="Learning curves",
        caption=caption + drawing.thinned_note(len(trials), len(with_curves), "curves"),
        figures=[drawn],
        switches=CURVES,
    )


def _curves(drawing: Drawing, group: Group, *, width: float) -> list[dict[str, Any]]:
    """Curves of one colour as one trace, broken between trials, and their ends as another."""
    x: list[int | None] = []
    y: list[float | None] = []
    numbers: list[list[int]] = []
    ends: list[tuple[int, float]] = []
    for trial in group.trials:
        x += [*trial.reports, None]
        y += [*rounded(trial.reports.values()), None]
        numbers += [[trial.number]] * (len(trial.reports) + 1)
        # The last report may be of a loss that was no number: the mark stands at one that was.
        known = [each for each in trial.reports.items() if math.isfinite(each[1])]
        ends.append(known[-1] if known else (max(trial.reports), math.nan))
    shown = ":.2%" if drawing.view.metrics[0].is_share else ""
    lines = {
        "type": "scatter",
        "mode": "lines",
        "name": group.name,
        "legendgroup": group.name,
        "x": x[:-1],
        "y": y[:-1],
        "line": {"color": group.marker["color"], "width": width},
        "customdata": numbers[:-1],
        "hovertemplate": "trial %{customdata[0]}<br>"
        + f"{drawing.view.step_name} %{{x}}: %{{y{shown}}}<extra></extra>",
    }
    marks = drawing.points(
        group._replace(marker={**group.marker, "size": 6}),
        (step for step, _ in ends),
        (value for _, value in ends),
        legendgroup=group.name,
        showlegend=False,
    )
    return [lines, marks]
