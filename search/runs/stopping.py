"""When a launch must stop before it is done."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from search.runs.actions import LaunchActions

__all__ = ["Stopping"]


@dataclass(kw_only=True)
class Stopping:
    """When a launch must stop.

    Attributes:
        requested: Whether a person at its terminal asks it to; called many times a second.
        deadline: When its time limit ends (`time.monotonic`); infinite without one.
        actions: What it is asked for through the store, once it has begun.
    """

    requested: Callable[[], bool] = lambda: False
    deadline: float = math.inf
    actions: LaunchActions | None = None

    @property
    def seconds_left(self) -> float:
        """Seconds until the time limit ends."""
        return self.deadline - time.monotonic()

    def reason(self) -> str | None:
        """``"interrupted"`` or ``"time limit"`` where it must stop now, else None.

        Raises:
            StorageError: If the database fails.
        """
        if self.actions is not None:
            self.actions.look()
        if self.requested() or (self.actions is not None and self.actions.stop_asked):
            return "interrupted"
        return "time limit" if self.seconds_left <= 0 else None
