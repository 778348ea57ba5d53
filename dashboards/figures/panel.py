"""A figure with the words around it: what pages embed and Optuna Dashboard is given."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import plotly.graph_objects as go

__all__ = ["Panel"]

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
