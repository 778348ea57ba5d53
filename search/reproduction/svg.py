"""Drawings as SVG: a frame with axes, and what goes into it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from xml.sax.saxutils import escape

__all__ = [
    "BOTTOM",
    "HEIGHT",
    "LEFT",
    "RIGHT",
    "TOP",
    "WIDTH",
    "Axes",
    "document",
    "label",
    "round_step",
]

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 60, 48


class Axes:
    """Values as places in a drawing, the lower axis from one value to another, the other from 0.

    Attributes:
        first, last: The values at the left and the right end.
        step: What lies between two ticks of the axis upwards.
        n_ticks: Its ticks above zero.
    """

    def __init__(self, first: float, last: float, top: float, *, inset: float = 0.0) -> None:
        """
        Args:
            first: The value at the left end.
            last: The value at the right end.
            top: The largest value upwards, > 0.
            inset: Space left free at both sides.
        """
        self.first, self.last = first, last
        self.step = round_step(top)
        self.n_ticks = math.ceil(top / self.step)
        self._left, self._right = LEFT + inset, WIDTH - RIGHT - inset

    def x(self, value: float) -> float:
        """How far to the right a value lies."""
        share = (value - self.first) / ((self.last - self.first) or 1)
        return self._left + share * (self._right - self._left)

    def y(self, value: float) -> float:
        """How far down a value lies."""
        share = value / (self.step * self.n_ticks)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def points(self, across: Iterable[float], upwards: Iterable[float]) -> list[str]:
        """Places as a path has them."""
        pairs = zip(across, upwards, strict=True)
        return [f"{self.x(value):.1f} {self.y(height):.1f}" for value, height in pairs]

    def frame(self, ticks: Sequence[float], across: str, upwards: str) -> list[str]:
        """The horizontal lines, the ticks and the axes' names."""
        parts = []
        for index in range(self.n_ticks + 1):
            value = index * self.step
            level = self.y(value)
            parts.append(
                f'<path d="M{LEFT} {level:.1f}H{WIDTH - RIGHT}" stroke="#dddddd" fill="none"/>'
            )
            parts.append(label(LEFT - 8, level + 4, f"{value:.6g}", "end"))
        parts += [
            label(self.x(tick), HEIGHT - BOTTOM + 18, f"{tick:.6g}", "middle") for tick in ticks
        ]
        middle = (TOP + HEIGHT - BOTTOM) / 2
        upright = f' transform="rotate(-90 16 {middle:.1f})"'
        parts.append(label((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, across, "middle"))
        parts.append(label(16, middle, upwards, "middle", upright))
        return parts


def document(title: str, parts: Sequence[str]) -> str:
    """A whole drawing.

    Args:
        title: What it is headed with.
        parts: Its elements; those clipped by ``url(#plot)`` stay within the frame.
    """
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" role="img" font-family="sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<clipPath id="plot"><rect x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" '
        f'height="{HEIGHT - TOP - BOTTOM}"/></clipPath>',
        label(WIDTH / 2, 22, title, "middle", ' font-size="14"'),
    ]
    return "\n".join([*head, *parts, "</svg>", ""])


def round_step(top: float) -> float:
    """A round distance between ticks, for about five of them."""
    raw = top / 5
    magnitude = 10.0 ** math.floor(math.log10(raw))
    return next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= raw)


def label(x: float, y: float, text: str, anchor: str, attributes: str = "") -> str:
    """A text at a place."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#222222"{attributes}>'
        f"{escape(text)}</text>"
    )
