"""What a figure's layout is on a screen as narrow as a phone's.

A page draws one figure for every screen, so what differs travels beside it: `Panel.narrow`, which
the page's script writes over the layout where the screen is narrow.
"""

from __future__ import annotations

import itertools
from typing import Any

import plotly.graph_objects as go

__all__ = ["GAP", "stacked"]

GAP = 64
"""Below a plot, for its ticks and its title; in pixels like all lengths here."""
TITLE = 40
"""Above a plot that has a title, which is of two lines."""
TOP, BOTTOM = 84, 56
"""Above the first plot, for a legend of two rows, and below the last."""


def stacked(drawn: go.Figure, n: int, *, height: int, titles: bool = False) -> dict[str, Any]:
    """One plot below the other instead of side by side.

    Args:
        drawn: A figure of several plots; `plotly.subplots` gave plot i the axes ``xi`` and ``yi``.
        n: Its plots; a last row may have places for more.
        height: Of each plot without its ticks and titles.
        titles: Whether the figure's first annotations are titles of its plots.

    Returns:
        What is written over the layout: name or path of a setting -> its value, without which every
        plot would have a part of the width.
    """
    title = TITLE if titles else 0
    step = height + GAP + title
    whole = n * step - GAP - title
    top = TOP + title
    narrow: dict[str, Any] = {
        "height": whole + top + BOTTOM,
        "margin": {"l": 64, "r": 16, "t": top, "b": BOTTOM},
        "legend.y": round(1 + (title + 8) / whole, 5),
    }
    axes = zip(drawn.select_xaxes(), drawn.select_yaxes(), strict=True)
    for index, (x, y) in enumerate(itertools.islice(axes, n)):
        low = round(1 - (index * step + height) / whole, 5)
        high = round(1 - index * step / whole, 5)
        of_x, of_y = (f"{letter}axis{index + 1 if index else ''}" for letter in "xy")
        narrow |= {
            f"{of_x}.domain": [0, 1],
            f"{of_x}.showticklabels": True,
            f"{of_x}.title.standoff": 4,
            f"{of_y}.domain": [low, high],
            f"{of_y}.showticklabels": True,
            # Beside a plot of its own height a title has room for half of its words.
            f"{of_y}.title.text": _broken(y.title.text or drawn.layout.yaxis.title.text),
            f"{of_y}.title.font.size": 12,
        }
        if x.title.text is None:
            narrow[f"{of_x}.title.text"] = _last_title(drawn)
        if titles:
            narrow |= {f"annotations[{index}].x": 0.5, f"annotations[{index}].y": high}
    return narrow


def _broken(title: str | None) -> str:
    return (title or "").replace(" (", "<br>(")


def _last_title(drawn: go.Figure) -> str:
    titles = [axis.title.text for axis in drawn.select_xaxes() if axis.title.text]
    return titles[-1] if titles else ""
