"""The figures of a study, in the order in which they tell it."""

from __future__ import annotations

from collections.abc import Callable, Collection

from dashboards.figures.panel import Panel, draw_panels
from dashboards.figures.study.contour import contour_panel
from dashboards.figures.study.cost import cost_panel
from dashboards.figures.study.curves import curves_panel
from dashboards.figures.study.drawing import Drawing
from dashboards.figures.study.front import front_panel
from dashboards.figures.study.grid import grid_panel
from dashboards.figures.study.history import history_panel
from dashboards.figures.study.params import importances_panel, parallel_panel, slices_panel
from dashboards.figures.study.timeline import timeline_panel
from dashboards.numbers.study.view import StudyView

__all__ = ["MAX_TRIALS", "study_panels"]

MAX_TRIALS = 1000
"""Of more trials so many are drawn as points: more hide each other and make a page slow."""


def study_panels(
    view: StudyView,
    *,
    trial_url: Callable[[int], str] | None = None,
    max_trials: int = MAX_TRIALS,
    without: Collection[str] = (),
) -> list[Panel]:
    """Draw what a study has to show so far.

    Args:
        view: The study.
        trial_url: From a trial's number to the address of its page, if there is one.
        max_trials: No figure has points of more trials than these; captions say so where it holds.
        without: See `draw_panels`.

    Returns:
        The panels; those that there is nothing to show for are left out. A point that stands for a
        trial has ``customdata`` ``[number]``, or with `trial_url` ``[number, address]``.
    """
    drawing = Drawing(view=view, trial_url=trial_url, max_trials=max_trials)
    makers = {
        "history": history_panel,
        "pareto-front": front_panel,
        "grid": grid_panel,
        "learning-curves": curves_panel,
        "contour": contour_panel,
        "slices": slices_panel,
        "parallel-coordinates": parallel_panel,
        "importances": importances_panel,
        "timeline": timeline_panel,
        "cost": cost_panel,
    }
    return draw_panels(makers, drawing, f"study {view.name!r}", without)
