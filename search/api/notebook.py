"""How results and progress show themselves in a notebook."""

from __future__ import annotations

import html
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import optuna
from rich.console import Group

from dashboards.figures.panel import Panel
from dashboards.pages.documents import Document, static
from search.launch.plan import Plan
from search.launch.progress import LiveProgress, on_terminal
from search.launch.study import LaunchObserver
from search.runs.protocol import Report
from search.trials.open_trial import OpenTrial
from search.trials.study import OpenedStudy
from search.workers.ray_session import Slots
from space.terminal.printing import as_text, say

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["Shown", "Silent", "display_for", "in_notebook", "quiet"]

N_FIGURES = 2
"""Panels that stand below a result; `figures` of the result has all."""


def in_notebook() -> bool:
    """Whether the code runs in a notebook's cell."""
    if find_spec("IPython") is None:
        return False
    from IPython import get_ipython

    return hasattr(get_ipython(), "kernel")


def display_for(progress: bool) -> Callable[[Plan], LaunchObserver]:
    """What shows the course of a launch: in a notebook below its cell, else as a command does."""
    if not progress:
        return Silent
    return (lambda plan: LiveProgress(plan, Cell())) if in_notebook() else on_terminal


class Shown:
    """A result that shows itself in a notebook as its page does."""

    def _document(self) -> Document:
        """The content of its page, read anew."""
        raise NotImplementedError

    @property
    def verdict(self) -> str:
        """What was found, and what fresh seeds say of it, in a few sentences."""
        return self._document().outcome

    def figures(self) -> dict[str, go.Figure]:
        """Every figure of its page, by key."""
        return {
            f"{panel.key}{'' if index == 0 else f'-{index + 1}'}": figure
            for panel in self._document().panels
            for index, figure in enumerate(panel.figures)
        }

    def _repr_html_(self) -> str:
        """Its page's summary and first figures as HTML that needs nothing else."""
        document = self._document()
        figures = [
            figure.to_html(full_html=False, include_plotlyjs=index == 0)
            for index, figure in enumerate(first_figures(document.panels))
        ]
        return "\n".join([_framed(document), *figures])

    def _ipython_display_(self) -> None:
        """Show the same below a notebook's cell, the figures by Plotly."""
        from IPython.display import display

        document = self._document()
        display({"text/html": _framed(document), "text/plain": document.outcome}, raw=True)
        if find_spec("nbformat") is not None:  # Plotly shows nothing without it.
            for figure in first_figures(document.panels):
                display(figure)


def _framed(document: Document) -> str:
    """A document's summary in the pages' style, which is not the notebook's."""
    page = f"<style>{static('style.css')}</style><main>{document.summary}</main>"
    fit = "this.style.height=this.contentDocument.documentElement.scrollHeight+'px'"
    return (
        f'<iframe srcdoc="{html.escape(page)}" onload="{fit}" '
        'style="width:100%;height:24em;border:0"></iframe>'
    )


def first_figures(panels: Sequence[Panel]) -> list[Any]:
    """The figures of the first panels, each under its panel's title."""
    figures = []
    for panel in panels[:N_FIGURES]:
        for each in panel.figures:
            title = {"text": each.layout.title.text or panel.title, "y": 0.97}
            figures.append(each.update_layout(title=title, margin_t=80))
    return figures


class Cell:
    """A `Screen` below a notebook's cell."""

    def __init__(self) -> None:
        """Draw nothing yet."""
        from IPython.display import display

        self._place = display({"text/plain": ""}, raw=True, display_id=True)

    def say(self, line: str) -> None:
        """Write a line that stays."""
        say(line)

    def draw(self, table: Group) -> None:
        """Put a table in the place of the last one."""
        text = as_text(table)
        both = {"text/plain": text, "text/html": f"<pre>{html.escape(text)}</pre>"}
        self._place.update(both, raw=True)

    def close(self) -> None:
        """Take the table down."""
        self._place.update({"text/plain": ""}, raw=True)


class Silent:
    """Shows nothing of a launch."""

    def __init__(self, plan: Plan) -> None:
        """Make the display."""

    def on_launch(
        self, opened: OpenedStudy, slots: Slots, n_reclaimed: int, changes: list[str]
    ) -> None:
        """See `LaunchObserver`; so are the others."""

    def on_tick(self) -> None: ...

    def close(self) -> None: ...

    def on_trial_start(self, trial: OpenTrial) -> None: ...

    def on_trial_report(self, trial: OpenTrial, report: Report) -> None: ...

    def on_trial_end(self, trial: OpenTrial) -> None: ...


@contextmanager
def quiet(*, verbose: bool) -> Iterator[None]:
    """Inside, Optuna's chatter is kept to itself, as under a command, unless asked for."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.INFO if verbose else logging.ERROR)
    try:
        with warnings.catch_warnings():
            if not verbose:
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)
