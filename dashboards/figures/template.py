"""How every figure looks: fonts, colours, axes; once for light pages and once for dark ones.

A figure is made with `LIGHT` and names no colour of paper, text or grid itself, so that a page may
draw it again with `DARK` alone. Colours of data are of the Okabe-Ito palette, which people with any
common colour blindness can tell apart. Lines and markers keep a contrast of 3:1 or more on both
papers, so they are opaque, orange and sky blue are darker and blue is lighter than there, and
yellow is left out.

Source: Okabe, Ito, Color Universal Design, 2008; WCAG 2.2, 1.4.11 Non-text Contrast.
"""

from __future__ import annotations

import html
import itertools
from collections.abc import Iterable
from typing import Any

import plotly.graph_objects as go

from space.metrics import Metric

__all__ = [
    "BASELINE_COLOUR",
    "BEST_COLOUR",
    "DARK",
    "LIGHT",
    "PALETTE",
    "STATE_COLOURS",
    "STATE_SYMBOLS",
    "config_colours",
    "count_axis",
    "escape",
    "figure",
    "metric_axis",
    "named_line",
    "shorten",
    "translucent",
]

BLUE, ORANGE, GREEN, VERMILION = "#0076B8", "#C78500", "#009E73", "#D55E00"
PURPLE, SKY, GREY = "#CC79A7", "#3A9AD9", "#8A8F98"

PALETTE = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, GREY)
"""Seven colours for what has no colour of its own."""

STATE_COLOURS = {
    "COMPLETE": BLUE,
    "PRUNED": ORANGE,
    "FAIL": VERMILION,
    "RUNNING": SKY,
    "WAITING": GREY,
}
"""Colour of a trial's state."""

STATE_SYMBOLS = {
    "COMPLETE": "circle",
    "PRUNED": "triangle-down",
    "FAIL": "x",
    "RUNNING": "circle-open",
    "WAITING": "square-open",
}
"""Marker of a trial's state, so that colour is never the only sign."""

BEST_COLOUR = GREEN
"""The best so far, the winner, the chosen value."""
BASELINE_COLOUR = PURPLE
"""The baseline, and what a report says."""

FEW = 10
"""Plotly draws some ten ticks at the most, so on a longer axis those it chooses are whole."""

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def _scale(*colours: str) -> list[list[float | str]]:
    """A colour scale with its colours at even distances."""
    return [[place / (len(colours) - 1), colour] for place, colour in enumerate(colours)]


SEQUENTIAL = _scale("#440154", "#472d7b", "#3b528b", "#2c728e", "#1fa088")
"""Viridis, whose lightness grows evenly, also in grey and for the colour-blind; without its bright
end, which a line on white paper would be lost in."""
SEQUENTIAL_ON_DARK = _scale("#fde725", "#addc30", "#5ec962", "#28ae80", "#21918c", "#2c728e")
"""The other way round, so that low values stand out from the paper on either; without the dark end.
"""


def _template(
    *, text: str, muted: str, line: str, grid: str, hover: str, scale: list[list[float | str]]
) -> go.layout.Template:
    axis: dict[str, Any] = {
        "automargin": True,
        "gridcolor": grid,
        "linecolor": line,
        "showline": True,
        "tickcolor": line,
        "tickfont": {"color": muted, "size": 12},
        "ticklen": 4,
        "ticks": "outside",
        "title": {"font": {"size": 13}, "standoff": 10},
        "zeroline": False,
    }
    return go.layout.Template(
        layout={
            "font": {"family": FONT, "size": 13, "color": text},
            "title": {"font": {"size": 16}, "x": 0, "xref": "paper", "xanchor": "left"},
            # The page's own paper shows through.
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "colorway": list(PALETTE),
            "colorscale": {"sequential": scale},
            "coloraxis": {
                "colorscale": scale,
                "colorbar": {
                    "outlinewidth": 0,
                    "thickness": 14,
                    "tickfont": {"color": muted, "size": 12},
                    "title": {"font": {"size": 13}, "side": "right"},
                },
            },
            "xaxis": axis,
            "yaxis": axis,
            "legend": {
                "orientation": "h",
                "x": 0,
                "xanchor": "left",
                "y": 1.02,
                "yanchor": "bottom",
                "font": {"size": 12},
            },
            "margin": {"l": 64, "r": 24, "t": 48, "b": 56},
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": muted, "activecolor": text},
            "hovermode": "closest",
            "hoverlabel": {
                "align": "left",
                "bgcolor": hover,
                "bordercolor": line,
                "font": {"family": FONT, "size": 12, "color": text},
            },
            "annotationdefaults": {"font": {"size": 12, "color": muted}, "showarrow": False},
            "shapedefaults": {"line": {"color": muted}},
        }
    )


LIGHT = _template(
    text="#1f2328",
    muted="#57606a",
    line="#b8bfc6",
    grid="#e6e9ed",
    hover="#ffffff",
    scale=SEQUENTIAL,
)
"""Template of every figure."""
DARK = _template(
    text="#e6e9ed",
    muted="#a3abb5",
    line="#4a525c",
    grid="#2b3138",
    hover="#20252b",
    scale=SEQUENTIAL_ON_DARK,
)
"""The same for dark paper; a page swaps it in."""


def figure(*, height: int = 380, **layout: Any) -> go.Figure:
    """An empty figure in the house's template.

    Args:
        height: In pixels; the width is the page's.
        layout: Further settings of the layout.
    """
    return go.Figure(layout={"template": LIGHT, "height": height, "autosize": True, **layout})


def config_colours(names: Iterable[str]) -> dict[str, str]:
    """A colour for each of some configs; with more of them than colours, some come again."""
    return dict(zip(names, itertools.cycle(PALETTE), strict=False))


def count_axis(lowest: float, highest: float) -> dict[str, Any]:
    """Settings of an axis along which something is counted, so that its ticks are whole numbers.

    Args:
        lowest: The lowest count that is drawn.
        highest: The highest.
    """
    return {"dtick": 1, "tick0": 0} if highest - lowest <= FEW else {}


def metric_axis(metric: Metric, before: str = "", *, narrow: bool = False) -> dict[str, Any]:
    """Settings of an axis along which a metric's values lie: its title, the unit of its ticks.

    Args:
        metric: The metric; its values are drawn as they are.
        before: What its title begins with.
        narrow: Whether the unit goes below the words, which together are wider than the axis.
    """
    ticks = {"tickformat": ".4~%"} if metric.is_share else {}
    title = f"{before}{escape(shorten(metric.title))}"
    if narrow:
        title = title.replace(" (", "<br>(")
    return {"title": {"text": title}, **ticks}


def named_line(drawn: go.Figure, x: float, text: str, metric: Metric, **line: Any) -> None:
    """Draw a line across a figure of values by what lies along its other axis.

    Its name stands beside it in the figure, on the side of the better values, where early on there
    are none: above the figure is the legend.

    Args:
        drawn: The figure.
        x: Where the line is.
        text: Its name, escaped.
        metric: What the values are of.
        line: How it looks.
    """
    drawn.add_vline(
        x=x,
        line=line,
        annotation={
            "text": text,
            "textangle": -90,
            "xanchor": "right",
            "y": 1 if metric.maximize else 0,
            "yanchor": "top" if metric.maximize else "bottom",
        },
    )


def escape(text: object) -> str:
    """Text that a user chose, as plotly shall show it: it would render some HTML.

    Hover texts go into `hovertext`, never into a `hovertemplate`, whose ``%{...}`` are filled in.
    """
    return html.escape(str(text), quote=False).replace("\n", "<br>")


def shorten(text: object, n: int = 40) -> str:
    """At most n characters of a text; not escaped yet."""
    shown = str(text)
    return shown if len(shown) <= n else f"{shown[: n - 1]}…"


def translucent(colour: str, opacity: float) -> str:
    """A colour of the form ``#rrggbb``, as seen through."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"
