"""What an epoch yields, and which epoch's state is kept."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["EpochMetrics", "Kept"]


@dataclass(frozen=True)
class EpochMetrics:
    """The numbers of one epoch. Errors are shares of the pairs, 0 to 1."""

    epoch: int
    """1 for the first."""
    train_loss: float
    """Mean over the epoch's pairs, in training mode, each batch before its own update."""
    val_loss: float
    """Mean over the validation pairs after the epoch."""
    train_error: float
    """Share of the epoch's pairs compared wrongly, in training mode, before each update."""
    val_error: float
    """Share of the validation pairs compared wrongly after the epoch."""
    seconds: float
    """Wall time of the epoch with its validation."""

    def is_finite(self) -> bool:
        """Whether both losses are finite."""
        return math.isfinite(self.train_loss) and math.isfinite(self.val_loss)


@dataclass(frozen=True)
class Kept:
    """The numbers of the epoch whose state is kept."""

    best_epoch: int
    train_loss: float
    train_error: float
    val_loss: float
    val_error: float

    @classmethod
    def of(cls, metrics: EpochMetrics) -> Kept:
        """The numbers to keep of an epoch.

        Args:
            metrics: The epoch's numbers.

        Returns:
            Those of them that describe its state.
        """
        return cls(
            best_epoch=metrics.epoch,
            train_loss=metrics.train_loss,
            train_error=metrics.train_error,
            val_loss=metrics.val_loss,
            val_error=metrics.val_error,
        )

    @staticmethod
    def is_improved(kept: Kept | None, metrics: EpochMetrics) -> bool:
        """Whether an epoch's state should replace the one kept.

        Args:
            kept: What is kept so far, if anything.
            metrics: The numbers of a later epoch.

        Returns:
            True for a lower validation error or, at the same error, a lower validation loss.

        Source:
            The study served here, section IV (lowest validation error). The tie-break is ours:
            100 validation pairs give few distinct errors.
        """
        if kept is None:
            return True
        return (metrics.val_error, metrics.val_loss) < (kept.val_error, kept.val_loss)
