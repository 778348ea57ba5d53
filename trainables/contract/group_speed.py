"""How many runs of a config it pays to train together, as it was measured."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["GroupSpeed"]

GOOD_ENOUGH = 1.05
"""How much slower than the best a smaller batch may be and still be chosen: it leaves more batches
to be trained side by side."""


@dataclass(frozen=True)
class GroupSpeed:
    """What was measured, and what follows from it."""

    seconds: dict[int, float]
    """Runs trained together -> seconds a step a run; 1 means a run alone."""
    too_many: int | None = None
    """Runs that did not fit in the device's memory together, where some were tried."""
    refused: str | None = None
    """Why runs of this kind cannot be trained as one model, where that is so."""
    in_all: float | None = None
    """Seconds that all runs of a worker take alone, where these are so few that no more was tried.
    """

    @property
    def n_runs(self) -> int:
        """How many runs to train together, where there are always more."""
        best = min(self.seconds.values())
        return min(n for n, seconds in self.seconds.items() if seconds <= GOOD_ENOUGH * best)

    def n_runs_of(self, total: int) -> int:
        """How many runs to train together until so many are trained, in batches of about a size.

        Args:
            total: The runs of a worker, at least 1.

        Returns:
            The number, at most the total. Five runs in a batch of four and one alone may take
            longer than in one of five that is slower a run.
        """
        sizes = {_even_size(total, n) for n in self.seconds}
        times = {n: math.ceil(total / n) * n * self._seconds_of(n) for n in sizes}
        best = min(times.values())
        return min(n for n, seconds in times.items() if seconds <= GOOD_ENOUGH * best)

    def speedup(self, n_runs: int) -> float:
        """How many times faster a run is in a batch than alone.

        Args:
            n_runs: The runs of the batch.

        Returns:
            The ratio for the largest batch measured that is no larger.
        """
        return self.seconds[1] / self._seconds_of(n_runs)

    def _seconds_of(self, n_runs: int) -> float:
        return self.seconds[max(n for n in self.seconds if n <= n_runs)]


def _even_size(total: int, most: int) -> int:
    """The size of as few batches as there must be, if they are about the same."""
    return math.ceil(total / math.ceil(total / most))
