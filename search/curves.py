"""Loss curves over the seeds of a config, drawn as SVG."""

from __future__ import annotations

import math
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from dashboards.numbers.loss_curves import Curves

__all__ = ["curves_svg"]

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 60, 48
COLOURS = {"training": "#0072b2", "validation": "#d55e00"}
DASHES = {"training": "", "validation": ' stroke-dasharray="6 3"'}
HEADROOM = 1.15

_Array = NDArray[np.float64]


def curves_svg(curves: Curves, title: str) -> str:
    """Draw loss curves: a line for the mean, a band from the lowest to the highest seed.

    Where single seeds fly high the band is cut off at the top, so that the means stay readable.

    Args:
        curves: The curves.
        title: What the drawing is headed with.

    Returns:
        An SVG document, the same for the same curves.
    """
    means = np.concatenate([curves.train_mean_E, curves.val_mean_E])
    top = float(np.max(means, initial=0.0, where=np.isfinite(means))) * HEADROOM
    axes = _Axes(int(curves.epoch_E[0]), int(curves.epoch_E[-1]), top if top > 0 else 1.0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" role="img" font-family="sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<clipPath id="plot"><rect x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" '
        f'height="{HEIGHT - TOP - BOTTOM}"/></clipPath>',
        _label(WIDTH / 2, 22, title, "middle", ' font-size="14"'),
        *_frame(axes),
    ]
    for name, mean_E, low_E, high_E in (
        ("training", curves.train_mean_E, curves.train_low_E, curves.train_high_E),
        ("validation", curves.val_mean_E, curves.val_low_E, curves.val_high_E),
    ):
        for piece in _pieces(mean_E):
            epochs = curves.epoch_E[piece]
            line, low, high = (axes.points(epochs, each[piece]) for each in (mean_E, low_E, high_E))
            parts.append(
                f'<path d="M{"L".join(high + low[::-1])}Z" fill="{COLOURS[name]}" '
                'fill-opacity="0.2" clip-path="url(#plot)"/>'
            )
            parts.append(f'<path d="M{"L".join(line)}h0" {_stroke(name)} stroke-linecap="round"/>')
    for left, name in zip((LEFT, LEFT + 110), COLOURS, strict=True):
        parts.append(f'<path d="M{left} 42h28" {_stroke(name)}/>')
        parts.append(_label(left + 36, 46, name, "start"))
    if curves.n_seeds > 1:
        parts.append(_label(WIDTH - RIGHT, 46, "band: lowest to highest seed", "end"))
    return "\n".join([*parts, "</svg>", ""])


class _Axes:
    """Epochs and losses as places in the drawing.

    Attributes:
        first, last: The epochs at the left and the right end.
        step: The loss between two ticks.
        n_ticks: The ticks above zero.
    """

    def __init__(self, first: int, last: int, top: float) -> None:
        self.first, self.last = first, last
        self.step = _step(top)
        self.n_ticks = math.ceil(top / self.step)

    def x(self, epoch: float) -> float:
        share = (epoch - self.first) / max(1, self.last - self.first)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, loss: float) -> float:
        share = loss / (self.step * self.n_ticks)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def points(self, epochs: NDArray[np.int64], losses: _Array) -> list[str]:
        pairs = zip(epochs, losses, strict=True)
        return [f"{self.x(epoch):.1f} {self.y(loss):.1f}" for epoch, loss in pairs]


def _frame(axes: _Axes) -> list[str]:
    """The grid, the ticks and the axes' names."""
    parts = []
    for index in range(axes.n_ticks + 1):
        loss = index * axes.step
        level = axes.y(loss)
        parts.append(
            f'<path d="M{LEFT} {level:.1f}H{WIDTH - RIGHT}" stroke="#dddddd" fill="none"/>'
        )
        parts.append(_label(LEFT - 8, level + 4, f"{loss:.6g}", "end"))
    step = max(1, round(_step(float(axes.last))))
    ticks = [tick for tick in range(step, axes.last + 1, step) if tick - axes.first >= step / 2]
    parts += [
        _label(axes.x(tick), HEIGHT - BOTTOM + 18, str(tick), "middle")
        for tick in [axes.first, *ticks]
    ]
    middle = (TOP + HEIGHT - BOTTOM) / 2
    upright = f' transform="rotate(-90 16 {middle:.1f})"'
    parts.append(_label((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, "epoch", "middle"))
    parts.append(_label(16, middle, "loss (nats)", "middle", upright))
    return parts


def _step(top: float) -> float:
    """A round distance between ticks, for about five of them."""
    raw = top / 5
    magnitude = 10.0 ** math.floor(math.log10(raw))
    return next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= raw)


def _pieces(values_E: _Array) -> list[slice]:
    """The unbroken stretches of finite values."""
    pieces: list[slice] = []
    start = None
    for index, is_finite in enumerate([*np.isfinite(values_E), False]):
        if is_finite and start is None:
            start = index
        elif not is_finite and start is not None:
            pieces.append(slice(start, index))
            start = None
    return pieces


def _stroke(name: str) -> str:
    return f'stroke="{COLOURS[name]}" stroke-width="2"{DASHES[name]} fill="none"'


def _label(x: float, y: float, text: str, anchor: str, attributes: str = "") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#222222"{attributes}>'
        f"{escape(text)}</text>"
    )
