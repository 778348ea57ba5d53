"""What the search has cost, and what pruning saved."""

from __future__ import annotations

from typing import Any

import numpy as np
from plotly.subplots import make_subplots

from dashboards.figures.counts import count_axis
from dashboards.figures.narrow import stacked
from dashboards.figures.panel import Panel
from dashboards.figures.study.words import Drawing, rounded
from dashboards.figures.template import BLUE, LIGHT, ORANGE, translucent
from dashboards.numbers.together import together_note
from space.terminal.counts import count

__all__ = ["cost_panel"]


def cost_panel(drawing: Drawing) -> Panel | None:
    """Epochs and seconds of training so far, and beside them what there would have been."""
    view = drawing.view
    cost = view.cost
    if not len(cost.epochs_T) or not cost.epochs_T[-1]:
        return None
    has_seconds = cost.seconds_T[-1] > 0
    n_columns = 2 if has_seconds else 1
    drawn = make_subplots(rows=1, cols=n_columns, horizontal_spacing=0.18)
    drawn.update_layout(template=LIGHT, height=340, autosize=True)
    n_trials = len(cost.number_T)
    picked = np.unique(np.linspace(0, n_trials - 1, min(n_trials, drawing.max_trials)).astype(int))
    number = cost.number_T[picked].tolist()
    saved = int(cost.saved_epochs_T[-1])
    columns: list[tuple[str, Any, Any]] = [("epochs", cost.epochs_T, cost.saved_epochs_T)]
    if has_seconds:
        columns.append(("training time (s)", cost.seconds_T, cost.saved_seconds_T))
    for column, (title, spent, spared) in enumerate(columns, start=1):
        drawn.add_trace(
            {
                "type": "scatter",
                "mode": "lines",
                "name": "spent",
                "legendgroup": "spent",
                "showlegend": column == 1,
                "x": number,
                "y": rounded(spent[picked]),
                "line": {"color": BLUE, "width": 2.5},
                "fill": "tozeroy",
                "fillcolor": translucent(BLUE, 0.25),
                "hovertemplate": "up to trial %{x}: %{y:,.0f}<extra>spent</extra>",
            },
            row=1,
            col=column,
        )
        if saved:
            drawn.add_trace(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "name": "without pruning",
                    "legendgroup": "saved",
                    "showlegend": column == 1,
                    "x": number,
                    "y": rounded((spent + spared)[picked]),
                    "customdata": rounded(spared[picked]),
                    "line": {"color": ORANGE, "width": 2, "dash": "dot"},
                    "fill": "tonexty",
                    "fillcolor": translucent(ORANGE, 0.18),
                    "hovertemplate": "up to trial %{x}: %{y:,.0f}, %{customdata:,.0f} of it saved"
                    "<extra>without pruning</extra>",
                },
                row=1,
                col=column,
            )
        drawn.update_yaxes(title_text=title, rangemode="tozero", row=1, col=column)
        drawn.update_xaxes(
            title_text="trial", **count_axis(number[0], number[-1]), row=1, col=column
        )
    drawn.update_yaxes(**count_axis(0, int((cost.epochs_T + cost.saved_epochs_T).max())), col=1)
    epochs = int(cost.epochs_T[-1])
    caption = f"{count(epochs, 'epoch')} so far"
    if has_seconds:
        caption += f", {cost.seconds_T[-1]:,.0f} s of training summed over the workers"
    if saved:
        share = 100 * saved / (saved + epochs)
        caption += f"; pruning saved {count(saved, 'epoch')}, {share:.0f} % of the whole"
    if view.confirm_epochs:
        caption += f"; the confirmation took {view.confirm_epochs:,} more"
    note = together_note(view.n_together, view.n_runs) if has_seconds else ""
    return Panel(
        key="cost",
        title="Cost so far",
        caption=f"{caption}. {note}".rstrip(),
        figure=drawn,
        narrow=stacked(drawn, n_columns, height=190) if has_seconds else {},
    )
