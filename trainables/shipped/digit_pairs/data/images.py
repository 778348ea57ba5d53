"""What the images of digits are like."""

from __future__ import annotations

__all__ = ["N_CLASSES", "SIDE"]

SIDE = 14
"""Height and width of every image, in pixels."""
N_CLASSES = 10
