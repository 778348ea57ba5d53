"""The objective over two parameters, smoothed: what a contour plot shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dashboards.numbers.study.trials import StudyTrial

__all__ = ["Surface", "surface"]

BANDWIDTH = 0.12
"""Of the Gaussian kernel, as a share of each axis."""
REACH = 2.0
"""A place farther than so many bandwidths from every trial is not known."""
MIN_TRIALS = 5

_Array = NDArray[np.float64]


class Surface(NamedTuple):
    """The smoothed objective on a grid; G places an axis, N trials."""

    x_G: _Array
    """Values of the first parameter."""
    y_G: _Array
    """Values of the second parameter."""
    value_GG: _Array
    """The objective at (y, x); NaN where no trial is near."""
    trials_N: tuple[StudyTrial, ...]
    """The complete trials that it is made of."""


def surface(
    trials: Sequence[StudyTrial],
    x: str,
    y: str,
    *,
    log_x: bool,
    log_y: bool,
    n: int = 40,
    max_trials: int = 2000,
) -> Surface | None:
    """Smooth the first objective of complete trials over two numeric parameters.

    One seed moves an error by several points, so a surface through every trial would show noise;
    this is the mean of the trials nearby, weighted by a Gaussian of their distance.

    Args:
        trials: The study's trials.
        x: A parameter whose values are numbers.
        y: Another one.
        log_x: Whether the first is searched on a logarithmic scale.
        log_y: Whether the second is.
        n: Places an axis.
        max_trials: Of more trials so many are taken, spread evenly.

    Returns:
        The surface; None with fewer than `MIN_TRIALS` trials, or where one parameter is the same
        in all of them.

    Source:
        Nadaraya, On Estimating Regression, Theory of Probability and Its Applications 9(1), 1964.
    """
    complete = [
        trial
        for trial in trials
        if trial.state == "COMPLETE" and trial.values and x in trial.params and y in trial.params
    ]
    if len(complete) < MIN_TRIALS:
        return None
    picked = np.linspace(0, len(complete) - 1, min(len(complete), max_trials)).round().astype(int)
    chosen = [complete[index] for index in picked]
    x_N = _scaled([float(trial.params[x]) for trial in chosen], log=log_x)
    y_N = _scaled([float(trial.params[y]) for trial in chosen], log=log_y)
    value_N = np.array([trial.values[0] for trial in chosen])
    width, height = np.ptp(x_N), np.ptp(y_N)
    if not width or not height:
        return None
    x_G = np.linspace(x_N.min(), x_N.max(), n)
    y_G = np.linspace(y_N.min(), y_N.max(), n)
    across_GN = (x_G[:, None] - x_N) / (BANDWIDTH * width)
    along_GN = (y_G[:, None] - y_N) / (BANDWIDTH * height)
    # The kernel is a product, so the sums over trials are two matrix products.
    x_GN, y_GN = np.exp(-(across_GN**2) / 2), np.exp(-(along_GN**2) / 2)
    weight_GG = y_GN @ x_GN.T
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        value_GG = (y_GN * value_N) @ x_GN.T / weight_GG
    squared_GG = np.full((n, n), np.inf)
    for across_G, along_G in zip(across_GN.T, along_GN.T, strict=True):
        np.minimum(squared_GG, along_G[:, None] ** 2 + across_G**2, out=squared_GG)
    value_GG[squared_GG > REACH**2] = np.nan
    return Surface(10**x_G if log_x else x_G, 10**y_G if log_y else y_G, value_GG, tuple(chosen))


def _scaled(values: list[float], *, log: bool) -> _Array:
    found = np.array(values, dtype=np.float64)
    return np.log10(found) if log else found
