"""When a launch must stop before it is done."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Stopping"]


@dataclass(frozen=True, kw_only=True)
class Stopping:
    """When a launch must stop.

    Attributes:
        requested: Whether a person asks it to; called many times a second.
        deadline: When its time limit ends (`time.monotonic`); infinite without one.
    """

    requested: Callable[[], bool] = lambda: False
    deadline: float = math.inf

    @property
    def seconds_left(self) -> float:
        """Seconds until the time limit ends."""
        return self.deadline - time.monotonic()

    def reason(self) -> str | None:
        """``"interrupted"`` or ``"time limit"`` where it must stop now, else None."""
        if self.requested():
            return "interrupted"
        return "time limit" if self.seconds_left <= 0 else None
