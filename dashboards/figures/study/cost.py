"""What the search has cost, and what pruning saved."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from dashboards.figures.panel import Panel
from dashboards.figures.study.drawing import Drawing, rounded
from dashboards.figures.template import BLUE, ORANGE, count_axis, figure, translucent
from dashboards.numbers.together import together_note
from dashboards.story import stopping_word
from space.words import count

__all__ = ["cost_panel"]


def cost_panel(drawing: Drawing) -> Panel | None:
    """Epochs and seconds of training so far, and beside them what there would have been."""
    view = drawing.view
    cost = view.cost
    if not len(cost.epochs_T) or not cost.epochs_T[-1]:
        return None
    epochs, saved = int(cost.epochs_T[-1]), int(cost.saved_epochs_T[-1])
    figures = [_spent(drawing, "epochs", cost.epochs_T, cost.saved_epochs_T)]
    figures[0].update_yaxes(**count_axis(0, epochs + saved))
    caption = f"{count(epochs, 'epoch')} so far"
    note = ""
    if cost.seconds_T[-1] > 0:
        times = (cost.seconds_T, cost.saved_seconds_T)
        figures.append(_spent(drawing, "training time (s)", *times))
        caption += f", {cost.seconds_T[-1]:,.0f} s of training summed over the workers"
        note = together_note(view.n_together, view.n_runs)
    if saved:
        share = 100 * saved / (saved + epochs)
        caption += (
            f"; {stopping_word(view)} saved {count(saved, 'epoch')}, {share:.0f} % of the whole"
        )
    if view.confirm_epochs:
        caption += f"; the confirmation took {view.confirm_epochs:,} more"
    return Panel(
        key="cost", title="Cost so far", caption=f"{caption}. {note}".rstrip(), figures=figures
    )


def _spent(drawing: Drawing, title: str, spent_T: NDArray[Any], saved_T: NDArray[Any]) -> go.Figure:
    """What was spent by trial, and what would have been without pruning."""
    number_T = drawing.view.cost.number_T
    n = len(number_T)
    picked = np.unique(np.linspace(0, n - 1, min(n, drawing.max_trials)).astype(int))
    number = number_T[picked].tolist()
    drawn = figure(height=340)
    drawn.add_trace(
        {
            "type": "scatter",
            "mode": "lines",
            "name": "spent",
            "x": number,
            "y": rounded(spent_T[picked]),
            "line": {"color": BLUE, "width": 2.5},
            "fill": "tozeroy",
            "fillcolor": translucent(BLUE, 0.25),
            "hovertemplate": "up to trial %{x}: %{y:,.0f}<extra>spent</extra>",
        }
    )
    if saved_T[-1]:
        drawn.add_trace(
            {
                "type": "scatter",
                "mode": "lines",
                "name": "without pruning",
                "x": number,
                "y": rounded((spent_T + saved_T)[picked]),
                "customdata": rounded(saved_T[picked]),
                "line": {"color": ORANGE, "width": 2, "dash": "dot"},
                "fill": "tonexty",
                "fillcolor": translucent(ORANGE, 0.18),
                "hovertemplate": "up to trial %{x}: %{y:,.0f}, %{customdata:,.0f} of it saved"
                "<extra>without pruning</extra>",
            }
        )
    drawn.update_yaxes(title_text=title, rangemode="tozero")
    drawn.update_xaxes(title_text="trial", **count_axis(number[0], number[-1]))
    return drawn
