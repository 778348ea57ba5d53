"""Whether who runs jobs elsewhere answers: said once as that changes."""

from __future__ import annotations

import logging

from space.errors import ClusterError
from space.terminal.printing import say_event

__all__ = ["Reach"]

logger = logging.getLogger(__name__)


class Reach:
    """What is known of whether it answers."""

    def __init__(self, name: str) -> None:
        """Nothing yet.

        Args:
            name: What it is, and where.
        """
        self._name = name
        self._answers: bool | None = None

    def heard(self) -> None:
        """It has just answered."""
        if self._answers is False:
            say_event(f"{self._name} answers again")
        self._answers = True

    def lost(self, reason: str) -> ClusterError:
        """It has just not; the error that says so."""
        said = f"{self._name} does not answer: {reason}."
        if self._answers:
            logger.warning("%s", said)
            self._answers = False
        return ClusterError(said)
