"""What is asked of a launch while it runs: read every second, carried out, answered.

Each action is answered once, in the transaction that records what was done. What its launch does
not answer before it ends is refused by `Store.end_launch`; what was asked of its submission is
answered by `storage.submissions.end_hold`, once the launch has ended.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable

import sqlalchemy as sa

from space.terminal.printing import forget_said
from storage import NewLaunch, Store
from storage.actions import STOP, answer, open_actions
from storage.submissions import begin_under
from storage.tables.service import ActionRecord

__all__ = ["SUBMISSION_VARIABLE", "LaunchActions"]

LOOK_SECONDS = 1.0
SUBMISSION_VARIABLE = "SEARCH_SUBMISSION"
"""Has the hold of the submission that an agent starts a command for; see `storage.submissions`."""
_STOPPING = (STOP, "pause")


class LaunchActions:
    """Reads what a launch is asked for, and sees to it.

    Attributes:
        launch_id: The launch.
        submission_id: The submission that it works on, if any.
        stop_asked: Whether it is to stop, as after a first Ctrl-C.
        carry_out: Verb -> does what an action of it asks for, and answers it. A launch that has
            nothing for a verb refuses it.
    """

    def __init__(self, store: Store, launch: NewLaunch | int) -> None:
        """Record that the launch begins.

        Args:
            store: The store.
            launch: The launch; the number of one that goes on which another process has begun.

        Raises:
            LeaseLostError: If it is of a submission that is another agent's by now.
        """
        forget_said()
        self._store = store
        self.submission_id: int | None = None
        hold = os.environ.get(SUBMISSION_VARIABLE)

        def begin(connection: sa.Connection, launch_id: int) -> None:
            if hold:
                self.submission_id = begin_under(connection, hold, launch_id)

        if isinstance(launch, int):
            self.launch_id = launch
        else:
            self.launch_id = store.begin_launch(launch, begin)
        self.stop_asked = False
        self.carry_out: dict[str, Callable[[ActionRecord], None]] = {}
        self._stops: list[ActionRecord] = []
        self._looked = -math.inf

    def look(self) -> None:
        """Read and carry out what is new, if it is time to; to be called many times a minute.

        Raises:
            StorageError: If the database fails.
        """
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        for action in open_actions(self._store, self.launch_id, self.submission_id):
            if action.verb in _STOPPING:
                self.stop_asked = True
                if action.submission_id is None and action not in self._stops:
                    self._stops.append(action)
            elif action.verb in self.carry_out:
                self.carry_out[action.verb](action)
            else:
                self.refuse(action, "this launch searches nothing now")

    def refuse(self, action: ActionRecord, why: str) -> None:
        """Answer that something was not done."""
        answer(self._store, action, "refused", why)

    def stopped(self) -> None:
        """Say to those who asked for it that the launch has stopped; it is about to end."""
        for action in self._stops:
            answer(self._store, action, "done", f"launch {self.launch_id} has stopped")
