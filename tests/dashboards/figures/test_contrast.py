"""Lines and markers against the paper that they are drawn on, light and dark."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from dashboards.figures.panel import Panel
from dashboards.figures.template import (
    PALETTE,
    SEQUENTIAL,
    SEQUENTIAL_ON_DARK,
)
from dashboards.pages.documents import static
from tests.dashboards.made.reported_benchmark import reported
from tests.dashboards.made.shelf import Shelf

LEAST = 3.0
"""WCAG 2.2, 1.4.11."""
STYLE = static("style.css")
LIGHT_CARD, DARK_CARD = re.findall(r"--card: (#[0-9a-f]{6});", STYLE)


def luminance(colour: str) -> float:
    """Relative luminance as WCAG defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(colour: str, paper: str, opacity: float = 1.0) -> float:
    """Of a colour as it is seen on a paper."""
    pairs = [(int(colour[at : at + 2], 16), int(paper[at : at + 2], 16)) for at in (1, 3, 5)]
    seen = "#" + "".join(f"{round(opacity * c + (1 - opacity) * p):02x}" for c, p in pairs)
    low, high = sorted((luminance(seen), luminance(paper)))
    return (high + 0.05) / (low + 0.05)


def marks(panel: Panel) -> Iterator[tuple[str, float]]:
    """Every colour of a line, marker or bar in a figure, with its opacity."""
    for trace in (each for figure in panel.figures for each in figure.to_plotly_json()["data"]):
        whole = trace.get("opacity", 1.0)
        for part in ("marker", "line", "error_x", "error_y"):
            style: dict[str, Any] = trace.get(part) or {}
            found = style.get("color")
            if found is None or (part == "line" and style.get("width") == 0):
                continue
            for each in [found] if isinstance(found, str) else found:
                # Numbers are places on a scale; a white marker has an outline of its own.
                if isinstance(each, str) and each != "#ffffff":
                    yield each, whole * style.get("opacity", 1.0)


def test_contrast_is_wcags() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)
    assert contrast("#000000", "#ffffff", opacity=0) == 1


def test_every_mark_and_the_palette_stand_out_from_either_paper(shelf: Shelf) -> None:
    errors = {"a": {0: 0.3, 1: 0.4}, "b": {0: 0.2, 1: 0.1}, "c": {0: 0.25, 1: 0.2}}
    drawn = (
        shelf.panels(n_trials=60, running=True),
        shelf.panels(n_trials=80, two_objectives=True),
        shelf.panels(grid=6),
        shelf.benchmark_panels(errors, reported=reported()),
    )
    found = {
        (panel.key, *mark) for panels in drawn for panel in panels.values() for mark in marks(panel)
    }
    assert len({key for key, *_ in found}) >= 12
    found |= {("palette", colour, 1.0) for colour in PALETTE}
    too_dim = {
        (key, colour, paper, round(contrast(colour, paper, opacity), 2))
        for key, colour, opacity in found
        for paper in (LIGHT_CARD, DARK_CARD)
        if contrast(colour, paper, opacity) < LEAST
    }
    assert too_dim == set()


@pytest.mark.parametrize(
    ("scale", "paper"), [(SEQUENTIAL, LIGHT_CARD), (SEQUENTIAL_ON_DARK, DARK_CARD)]
)
def test_a_scale_stands_out_at_both_its_ends(scale: list[list[Any]], paper: str) -> None:
    contrasts = [contrast(colour, paper) for _, colour in scale]
    assert min(contrasts) >= LEAST
    assert contrasts == sorted(contrasts, reverse=True)
