"""What the objective has to do with the parameters: parallel coordinates, slices, importances."""

from __future__ import annotations

import math
from typing import Any

from plotly.subplots import make_subplots

from dashboards.figures.narrow import stacked
from dashboards.figures.panel import Panel
from dashboards.figures.study.words import (
    Drawing,
    choices,
    hover,
    is_log,
    is_numeric,
    log_ticks,
    metric_axis,
    metric_title,
    param_axis,
    rounded,
    state_word,
)
from dashboards.figures.template import (
    BASELINE_COLOUR,
    BEST_COLOUR,
    LIGHT,
    PALETTE,
    STATE_COLOURS,
    STATE_SYMBOLS,
    escape,
    figure,
    shorten,
)
from dashboards.numbers.study.trials import StudyTrial

__all__ = ["importances_panel", "parallel_panel", "slices_panel"]

N_COLUMNS = 4
N_ABREAST = 2
"""So few columns where all parameters fit into two rows of them: their ticks have more room."""
AXIS_WIDTH = 132
"""Pixels from one parallel axis to the next for its ticks and its name."""
N_GL = 2000
"""More points than these are drawn by the graphics card, which fewer would gain nothing by."""
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
    trials = drawing.thin(complete)
    # The last line drawn lies on top: that of the best trial.
    trials.sort(key=lambda trial: trial.values[0], reverse=not view.maximize[0])
    values = [trial.values[0] for trial in trials]
    drawn = figure(height=420, margin={"l": 110, "r": 120, "t": 84, "b": 32})
    title = metric_title(view.metrics[0])
    drawn.add_trace(
        {
            "type": "parcoords",
            "line": {"color": rounded(values), "coloraxis": "coloraxis"},
            "labelangle": -12,
            "labelside": "top",
            "dimensions": [
                *(_dimension(drawing, name, trials) for name in names),
                {
                    "label": title,
                    "values": rounded(values),
                    **({"tickformat": axis} if (axis := _tickformat(drawing)) else {}),
                },
            ],
        }
    )
    drawn.update_layout(coloraxis={"reversescale": view.maximize[0], "showscale": False})
    return Panel(
        key="parallel-coordinates",
        title="Parallel coordinates",
        caption="One line a complete trial, the best on top; drag along an axis to pick lines."
        + drawing.thinned_note(len(trials), len(complete)),
        figure=drawn,
        narrow={
            "width": AXIS_WIDTH * (len(names) + 1),
            "margin": {"l": 64, "r": 84, "t": 84, "b": 32},
        },
    )


def slices_panel(drawing: Drawing) -> Panel | None:
    """The objective against each parameter."""
    view = drawing.view
    names = _varied(drawing)
    shown = [t for t in view.trials if t.values and t.state in ("COMPLETE", "PRUNED")]
    if len(shown) < 2 or not names:
        return None
    trials = drawing.thin(shown, MAX_SLICED)
    is_few = len(names) <= 2 * N_ABREAST
    n_columns = min(N_ABREAST if is_few else N_COLUMNS, len(names))
    n_rows = math.ceil(len(names) / n_columns)
    drawn = make_subplots(
        rows=n_rows,
        cols=n_columns,
        shared_yaxes=True,
        horizontal_spacing=0.03,
        vertical_spacing=0.3 / n_rows if n_rows > 1 else 0,
    )
    drawn.update_layout(template=LIGHT, height=60 + 260 * n_rows, autosize=True)
    for index, name in enumerate(names):
        place = {"row": 1 + index // n_columns, "col": 1 + index % n_columns}
        own = [trial for trial in trials if name in trial.params]
        distribution = view.distributions[name]
        kinds = [] if is_numeric(distribution) else choices(view.trials, name)
        axis = param_axis(distribution, kinds or [trial.params[name] for trial in own])
        for label, group, marker in _groups(drawing, own):
            if not group:
                continue
            drawn.add_trace(
                {
                    "type": "scattergl" if len(trials) * len(names) > N_GL else "scatter",
                    "mode": "markers",
                    "name": label,
                    "legendgroup": label,
                    "showlegend": index == 0,
                    "x": [
                        kinds.index(trial.params[name]) if kinds else float(trial.params[name])
                        for trial in group
                    ],
                    "y": rounded(trial.values[0] for trial in group),
                    "marker": marker,
                    "customdata": drawing.links(group),
                    "hovertext": [hover(view, trial, only=name) for trial in group],
                    "hoverinfo": "text",
                },
                **place,
            )
        drawn.update_xaxes(title_text=escape(shorten(name, 30)), **axis, **place)
        drawn.update_yaxes(**metric_axis(view.metrics[0]), **place)
        if place["col"] > 1:
            drawn.update_yaxes(title_text="", **place)
    return Panel(
        key="slices",
        title="The objective against each parameter",
        caption="Complete trials at their value, pruned ones at the last that they reported."
        + drawing.thinned_note(len(trials), len(shown)),
        figure=drawn,
        narrow=stacked(drawn, len(names), height=170) if len(names) > 1 else {},
    )


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
        drawn.add_trace(
            {
                "type": "bar",
                "orientation": "h",
                "name": escape(shorten(each.metric)),
                "x": rounded(shares),
                "y": list(range(len(names))),
                "text": [f"{share:.0%}" for share in shares],
                "textposition": "outside",
                "cliponaxis": False,
                "marker": {"color": colour},
                "hoverinfo": "text",
                "hovertext": [
                    f"{escape(shorten(name))}: {share:.1%} of {escape(shorten(each.metric))}"
                    for name, share in zip(names, shares, strict=True)
                ],
            }
        )
    drawn.update_layout(bargap=0.35, showlegend=len(found) > 1)
    drawn.update_xaxes(
        title_text="share of what sets the best trials apart", tickformat=".0%", range=[0, 1.05]
    )
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
        figure=drawn,
    )


def _varied(drawing: Drawing) -> list[str]:
    """The parameters that are not the same in every trial."""
    view = drawing.view
    return [
        name
        for name in view.distributions
        if len({trial.params[name] for trial in view.trials if name in trial.params}) > 1
    ]


def _tickformat(drawing: Drawing) -> str | None:
    found: str | None = metric_axis(drawing.view.metrics[0]).get("tickformat")
    return found


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


def _groups(
    drawing: Drawing, trials: list[StudyTrial]
) -> list[tuple[str, list[StudyTrial], dict[str, Any]]]:
    """Pruned trials below, complete ones over them, the baselines and the best on top."""
    best = set(drawing.view.front)
    groups = []
    for state, size in (("PRUNED", 5), ("COMPLETE", 7)):
        own = [t for t in trials if t.state == state and t.number not in best and not t.is_baseline]
        marker = {
            "color": STATE_COLOURS[state],
            "symbol": STATE_SYMBOLS[state],
            "size": size,
        }
        groups.append((state_word(state), own, marker))
    baselines = [t for t in trials if t.is_baseline and t.number not in best]
    groups.append(
        ("baseline", baselines, {"color": BASELINE_COLOUR, "symbol": "diamond", "size": 11})
    )
    front = [t for t in trials if t.number in best]
    label = "best" if len(drawing.view.metrics) == 1 else "Pareto front"
    groups.append((label, front, {"color": BEST_COLOUR, "symbol": "star", "size": 13}))
    return groups
