"""Loss curves and a grid search's curve as SVG, the same bytes for the same numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from dashboards.numbers.learning_curves import Curves
from dashboards.numbers.study.grid import GridCurve
from space.metrics import Metric

__all__ = ["Chart", "curves_svg", "grid_curve_svg"]

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 60, 48
MIDDLE, BELOW = (LEFT + WIDTH - RIGHT) / 2, HEIGHT - BOTTOM
BLUE, ORANGE = "#0072b2", "#d55e00"
_DASHES = {BLUE: "", ORANGE: ' stroke-dasharray="6 3"'}

_Array = NDArray[np.float64]


class Chart:
    """A drawing with axes: the lower one from one value to another, the other from 0.

    Attributes:
        parts: Its elements; those clipped by ``url(#plot)`` stay within the frame.
    """

    def __init__(
        self,
        title: str,
        first: float,
        last: float,
        top: float,
        *,
        inset: float = 0.0,
        scale: float = 1.0,
    ) -> None:
        """
        Args:
            title: What it is headed with.
            first: The value at the left end.
            last: The value at the right end.
            top: The largest value upwards; where it is 0, the axis goes to 1.
            inset: Space left free at both sides.
            scale: What the ticks upwards say times the value; see `Notation`.
        """
        self._title = title
        self.parts: list[str] = []
        self._first, self._last = first, last
        self._scale = scale
        self._step = round_step(top if top > 0 else 1.0)
        self._n_ticks = math.ceil((top if top > 0 else 1.0) / self._step)
        self._left, self._right = LEFT + inset, WIDTH - RIGHT - inset
        self.label(WIDTH / 2, 22, title, "middle", ' font-size="14"')

    def x(self, value: float) -> float:
        """How far to the right a value lies."""
        share = (value - self._first) / ((self._last - self._first) or 1)
        return self._left + share * (self._right - self._left)

    def y(self, value: float) -> float:
        """How far down a value lies."""
        share = value / (self._step * self._n_ticks)
        return BELOW - share * (BELOW - TOP)

    def points(self, across: Iterable[float], upwards: Iterable[float]) -> list[str]:
        """Places as a path has them."""
        pairs = zip(across, upwards, strict=True)
        return [f"{self.x(value):.1f} {self.y(height):.1f}" for value, height in pairs]

    def path(self, places: str, attributes: str) -> None:
        """Draw a line or an area."""
        self.parts.append(f'<path d="{places}" {attributes}/>')

    def label(self, x: float, y: float, text: str, anchor: str, attributes: str = "") -> None:
        """Write a text at a place."""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#222222"{attributes}>'
            f"{escape(text)}</text>"
        )

    def frame(self, ticks: Sequence[float], across: str, upwards: str) -> None:
        """Draw the horizontal lines, the ticks and the axes' names."""
        for value in (index * self._step for index in range(self._n_ticks + 1)):
            level = self.y(value)
            self.path(f"M{LEFT} {level:.1f}H{WIDTH - RIGHT}", 'stroke="#dddddd" fill="none"')
            self.label(LEFT - 8, level + 4, f"{value * self._scale:.6g}", "end")
        for tick in ticks:
            self.label(self.x(tick), BELOW + 18, f"{tick:.6g}", "middle")
        middle = (TOP + BELOW) / 2
        upright = f' transform="rotate(-90 16 {middle:.1f})"'
        self.label(MIDDLE, HEIGHT - 10, across, "middle")
        self.label(16, middle, upwards, "middle", upright)

    def svg(self) -> str:
        """The whole document."""
        head = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'width="{WIDTH}" height="{HEIGHT}" role="img" font-family="sans-serif" '
            'font-size="12">',
            f"<title>{escape(self._title)}</title>",
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
            f'<clipPath id="plot"><rect x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" '
            f'height="{BELOW - TOP}"/></clipPath>',
        ]
        return "\n".join([*head, *self.parts, "</svg>", ""])


def round_step(top: float) -> float:
    """A round distance between ticks, for about five of them."""
    raw = top / 5
    magnitude = 10.0 ** math.floor(math.log10(raw))
    return next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= raw)


def curves_svg(curves: Curves, title: str) -> str:
    """Draw loss curves: a line for the mean, a band from the lowest to the highest seed.

    Where single seeds fly high the band is cut off at the top, so that the means stay readable.

    Args:
        curves: The curves.
        title: What the drawing is headed with.
    """
    first, last = int(curves.epoch_E[0]), int(curves.epoch_E[-1])
    chart = Chart(title, first, last, curves.highest() * 1.15)
    step = max(1, round(round_step(float(last))))
    ticks = [tick for tick in range(step, last + 1, step) if tick - first >= step / 2]
    chart.frame([first, *ticks], "epoch", "loss (nats)")
    for colour, (_, mean_E, low_E, high_E) in zip((BLUE, ORANGE), curves.bands, strict=True):
        for piece in _pieces(mean_E):
            epochs = curves.epoch_E[piece]
            line, low, high = (
                chart.points(epochs, each[piece]) for each in (mean_E, low_E, high_E)
            )
            band = f'fill="{colour}" fill-opacity="0.2" clip-path="url(#plot)"'
            chart.path(f"M{'L'.join(high + low[::-1])}Z", band)
            chart.path(f"M{'L'.join(line)}h0", f'{_stroke(colour)} stroke-linecap="round"')
    for left, colour, name in ((LEFT, BLUE, "training"), (LEFT + 110, ORANGE, "validation")):
        chart.path(f"M{left} 42h28", _stroke(colour))
        chart.label(left + 36, 46, name, "start")
    if curves.n_seeds > 1:
        chart.label(WIDTH - RIGHT, 46, "band: lowest to highest seed", "end")
    return chart.svg()


def _pieces(values_E: _Array) -> list[slice]:
    """The unbroken stretches of finite values."""
    ends = np.flatnonzero(np.diff(np.isfinite(values_E), prepend=False, append=False))
    return [slice(start, stop) for start, stop in ends.reshape(-1, 2).tolist()]


def _stroke(colour: str) -> str:
    return f'stroke="{colour}" stroke-width="2"{_DASHES[colour]} fill="none"'


def grid_curve_svg(curve: GridCurve, title: str, *, parameter: str, metric: Metric) -> str:
    """Draw a grid search's error: the mean at each point with its 95 % interval.

    Args:
        curve: The curve, of points that are numbers.
        title: What the drawing is headed with.
        parameter: What is on the lower axis.
        metric: What is measured.
    """
    values = [float(point.value) for point in curve.points]
    means = [point.summary.mean for point in curve.points]
    spans = [
        (mean, mean) if point.summary.interval is None else point.summary.interval
        for point, mean in zip(curve.points, means, strict=True)
    ]
    top = max(high for _, high in spans) * 1.05
    scale = metric.notation(means).scale
    chart = Chart(title, values[0], values[-1], top, inset=24, scale=scale)
    chart.frame(values, parameter, metric.title)
    line = f"M{'L'.join(chart.points(values, means))}"
    chart.path(line, f'stroke="{BLUE}" stroke-opacity="0.4" fill="none"')
    for value, mean, (low, high) in zip(values, means, spans, strict=True):
        colour = ORANGE if value == curve.reference else BLUE
        x = f"{chart.x(value):.1f}"
        ends = f"M{x} {chart.y(low):.1f}V{chart.y(high):.1f}"
        chart.path(ends, f'stroke="{colour}" stroke-width="2"')
        chart.parts.append(f'<circle cx="{x}" cy="{chart.y(mean):.1f}" r="4" fill="{colour}"/>')
    chart.label(LEFT, 46, f"orange: {curve.reference:g}", "start")
    chart.label(WIDTH - RIGHT, 46, "mean and 95 % interval over the seeds", "end")
    return chart.svg()
