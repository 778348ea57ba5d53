"""What a launch says of itself with its heartbeats."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from search.runs.stopping import Stopping
from space.terminal.printing import last_lines, last_warnings
from storage.tables.records import CourseRecord, WorkerRecord

__all__ = ["Course"]


class Course:
    """What is known of a launch by those who each know a part of it.

    Attributes:
        n_epochs: Epochs recorded.
        n_planned: See `CourseRecord`.
        stopping: When the launch must stop.
        workers: Asked for what the workers do.
        is_alone: Whether this process has no other launch, so that what it says is of this one.
    """

    def __init__(self, purpose: str) -> None:
        """Nothing is trained yet.

        Args:
            purpose: What is trained.
        """
        self._purpose = purpose
        self._begun = time.monotonic()
        self.n_epochs = 0
        self.n_planned: int | None = None
        self.stopping = Stopping()
        self.is_alone = True
        self.workers: Callable[[], Sequence[WorkerRecord]] = tuple

    def record(self) -> CourseRecord:
        """As it is now."""
        left = self.stopping.seconds_left
        return CourseRecord(
            purpose=self._purpose,
            n_epochs=self.n_epochs,
            seconds=time.monotonic() - self._begun,
            seconds_left=None if math.isinf(left) else left,
            n_planned=self.n_planned,
            workers=tuple(self.workers()),
            lines=last_lines() if self.is_alone else (),
            warnings=last_warnings() if self.is_alone else (),
        )
