"""Axes along which something is counted, such as trials or epochs."""

from __future__ import annotations

from typing import Any

__all__ = ["count_axis"]

FEW = 10
"""Plotly draws some ten ticks at the most, so on a longer axis those it chooses are whole."""


def count_axis(lowest: float, highest: float) -> dict[str, Any]:
    """Settings of an axis whose ticks are whole numbers.

    Args:
        lowest: The lowest count that is drawn.
        highest: The highest.
    """
    return {"dtick": 1, "tick0": 0} if highest - lowest <= FEW else {}
