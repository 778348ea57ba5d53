"""Points of a range with steps, as people write them: it needs no other library."""

from __future__ import annotations

import math
from decimal import Decimal

__all__ = ["TOLERANCE", "on_step", "stepped"]

TOLERANCE = 1e-8
"""Steps that a value may lie beside a point to be taken for it, by Optuna as well."""


def on_step(value: float, low: float, step: float) -> float | None:
    """The point of a range with steps that a value is, but for rounding.

    Args:
        value: Such as 0.1 + 6 * 0.1, which is 0.7000000000000001.
        low: Where the range begins.
        step: How far its points are apart.

    Returns:
        The point as people write it, such as 0.7; None where the value lies between points.
    """
    n_steps = (value - low) / step
    if not math.isfinite(n_steps) or abs(n_steps - round(n_steps)) >= TOLERANCE:
        return None
    return stepped(low, round(n_steps), step)


def stepped(low: float, n_steps: int, step: float) -> float:
    """Add up in decimal, so that 0.1 + 6 * 0.1 is 0.7."""
    return float(Decimal(str(low)) + n_steps * Decimal(str(step))) + 0.0  # No negative zero.
