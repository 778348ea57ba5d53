"""Loss curves over the seeds of a config, drawn as SVG."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dashboards.numbers.loss_curves import Curves
from search.reproduction.svg import LEFT, RIGHT, WIDTH, Axes, document, label, round_step

__all__ = ["curves_svg"]

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
    first, last = int(curves.epoch_E[0]), int(curves.epoch_E[-1])
    axes = Axes(first, last, top if top > 0 else 1.0)
    step = max(1, round(round_step(float(last))))
    ticks = [tick for tick in range(step, last + 1, step) if tick - first >= step / 2]
    parts = axes.frame([first, *ticks], "epoch", "loss (nats)")
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
        parts.append(label(left + 36, 46, name, "start"))
    if curves.n_seeds > 1:
        parts.append(label(WIDTH - RIGHT, 46, "band: lowest to highest seed", "end"))
    return document(title, parts)


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
