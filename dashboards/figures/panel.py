"""A figure with the words around it: what pages embed and Optuna Dashboard is given."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import plotly.graph_objects as go

from dashboards.figures.template import figure

__all__ = ["CURVES", "Panel", "draw_panels"]

logger = logging.getLogger(__name__)

T = TypeVar("T")
Switch = Literal["log", "smooth"]
CURVES: frozenset[Switch] = frozenset({"log", "smooth"})
"""Of a panel of learning curves."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One or several plots that belong together, and their words.

    Attributes:
        key: Lower-case words joined by hyphens; an HTML element's id, and the figure's id in Optuna
            Dashboard. It is the same each time the figure is drawn.
        title: A few words, plain text.
        caption: One sentence that says what to read from the figure, plain text.
        figures: A figure a plot, in the light template; text in it that a user chose is escaped. A
            page has as many of them side by side as it has room for.
        width: The pixels that a plot needs; a single one is scrolled sideways on a narrower screen.
        switches: What a reader may switch: "log", whether the values stand on a logarithmic axis,
            and "smooth", whether lines are running means.
    """

    key: str
    title: str
    caption: str
    figures: Sequence[go.Figure]
    width: int = 300
    switches: frozenset[Switch] = frozenset()


def draw_panels(
    makers: Mapping[str, Callable[[T], Panel | None]],
    what: T,
    name: str,
    without: Collection[str] = (),
) -> list[Panel]:
    """Draw some figures; one that cannot be drawn costs no other.

    Args:
        makers: Key of a panel -> draws it, or returns None where there is nothing to show.
        what: What they draw.
        name: What it is called, for the log.
        without: Keys of panels that are not wanted.

    Returns:
        The panels in the makers' order. In the place of a figure that cannot be drawn stands a
        sentence that says so, and the log has a line on it.
    """
    panels = []
    for key, make in makers.items():
        if key in without:
            continue
        try:
            panel = make(what)
        except Exception as error:  # A bug of ours; whoever looks still wants all the rest.
            at = traceback.extract_tb(error.__traceback__)[-1]
            said = " ".join(str(error).split())[:200]
            place = f"{Path(at.filename).name}, line {at.lineno}"
            logger.warning(
                "%s: its figure '%s' cannot be drawn (%s: %s; %s)",
                name,
                key,
                type(error).__name__,
                said,
                place,
            )
            logger.debug("a figure cannot be drawn", exc_info=True)
            panel = _not_drawn(key)
        if panel is not None:
            panels.append(panel)
    return panels


def _not_drawn(key: str) -> Panel:
    """What stands where a figure cannot be drawn."""
    drawn = figure(height=120, margin={"t": 24, "b": 24})
    drawn.add_annotation(
        text="This figure cannot be drawn.", x=0.5, y=0.5, xref="paper", yref="paper"
    )
    drawn.update_xaxes(visible=False)
    drawn.update_yaxes(visible=False)
    return Panel(
        key=key,
        title=key.replace("-", " ").capitalize(),
        caption="A fault of the program; its log says what went wrong.",
        figures=[drawn],
    )
