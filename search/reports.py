"""What a worker reports to the driver: plain dictionaries on the wire, typed at both ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from storage import EpochRecord

__all__ = ["Report"]


@dataclass(frozen=True, kw_only=True)
class Report:
    """One epoch of one run, or the failure that ended it.

    Attributes:
        run_id: The run in the store.
        epoch: The epoch's metrics, or None where the run failed before one was measured.
        kept: The metrics of the state that the run keeps so far; objectives are read from these.
        best_epoch: The epoch that state is of.
        failure: Why the run cannot go on, or None.
        warning: What did not stop the run but should be known, or None.
        worker: Where the epoch was trained.
    """

    run_id: int
    epoch: EpochRecord | None
    kept: dict[str, float]
    best_epoch: int | None
    failure: str | None
    warning: str | None
    worker: str

    @classmethod
    def from_wire(cls, message: dict[str, Any]) -> Report:
        """Read what `trainables.ray_trainable` sent."""
        epoch = message["epoch"]
        return cls(**{**message, "epoch": None if epoch is None else EpochRecord(**epoch)})
