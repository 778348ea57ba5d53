"""How many training samples are held out for validation; no PyTorch is needed."""

from __future__ import annotations

__all__ = ["n_held_out"]


def n_held_out(n: int, fraction: float) -> int:
    """How many of the samples drawn from the training split are held out.

    Args:
        n: All of them, at least 2.
        fraction: The share to hold out, between 0 and 1.

    Returns:
        The nearest number that leaves at least one on either side.
    """
    return min(n - 1, max(1, round(n * fraction)))
