"""A figure with the words around it: what pages embed and Optuna Dashboard is given."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import plotly.graph_objects as go

from dashboards.figures.template import figure

__all__ = ["Panel", "draw_panels"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

_KEY = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A figure and its words.

    Attributes:
        key: Lower-case words joined by hyphens; an HTML element's id, and the figure's id in Optuna
            Dashboard. It is the same each time the figure is drawn.
        title: A few words, plain text.
        caption: One sentence that says what to read from the figure, plain text.
        figure: The figure, in the light template; text in it that a user chose is escaped.
        narrow: What is written over the figure's layout on a screen as narrow as a phone's: the
            path of a setting, like ``"xaxis2.title.text"`` -> its value. With a ``width`` the
            figure is scrolled sideways.

    Raises:
        ValueError: If the key is no slug.
    """

    key: str
    title: str
    caption: str
    figure: go.Figure
    narrow: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a key that could not be an element's id."""
        if not _KEY.fullmatch(self.key):
            raise ValueError(f"a panel's key is lower-case words joined by '-', not '{self.key}'")


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
        figure=drawn,
    )
