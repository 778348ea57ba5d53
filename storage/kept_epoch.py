"""From the epochs of a run to the values of its objectives."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from space.epochs import Epoch
from space.metrics import Measured

__all__ = ["RunProgress"]


class RunProgress:
    """What a run's objectives were after each of its epochs.

    An objective is that of the state the run keeps: see `space.epochs.Epoch.replaces`.

    Attributes:
        n_epochs: Epochs so far.
        best_epoch: The epoch whose state is kept, from 1; 0 before the first.
        other_epoch: That which the other selection would keep; None where there is none.
    """

    def __init__(
        self,
        measured: Measured,
        objectives: Sequence[str] = (),
        *,
        selection: str = "metric",
        n_parameters: int = 0,
        epochs: Iterable[Epoch] = (),
    ) -> None:
        """Follow a run.

        Args:
            measured: What is measured of it; says which epoch's state it keeps.
            objectives: The objectives' metrics in order.
            selection: The run's: see `Measured.rules`.
            n_parameters: Trainable parameters of its network.
            epochs: Its epochs so far, in order.
        """
        self._rule, self._other_rule = measured.rules(selection)
        self._other: Epoch | None = None
        self._objectives = list(objectives)
        self._n_parameters = n_parameters
        self._kept: Epoch | None = None
        self._seconds = 0.0
        self._values: list[list[float]] = []
        for epoch in epochs:
            self.add(epoch)

    @property
    def n_epochs(self) -> int:
        """Epochs so far."""
        return len(self._values)

    @property
    def best_epoch(self) -> int:
        """The epoch whose state is kept, from 1; 0 before the first."""
        return 0 if self._kept is None else self._kept.epoch

    @property
    def other_epoch(self) -> int | None:
        """The epoch that the other selection would keep; None before the first, or of none."""
        return None if self._other is None else self._other.epoch

    def add(self, epoch: Epoch) -> None:
        """Take the next epoch in."""
        self._seconds += epoch.seconds
        if epoch.replaces(self._kept, self._rule):
            self._kept = epoch
        if self._other_rule and epoch.replaces(self._other, self._other_rule):
            self._other = epoch
        values = {
            **(self._kept or epoch).metrics,
            "train_seconds": self._seconds,
            "n_parameters": float(self._n_parameters),
        }
        self._values.append([values.get(name, math.nan) for name in self._objectives])

    def values(self, n_epochs: int) -> list[float]:
        """The objectives' values after so many epochs, at least 1."""
        return self._values[n_epochs - 1]
