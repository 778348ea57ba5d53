"""From the epochs of a run to the values of its objectives."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from storage import EpochRecord

__all__ = ["RunProgress"]


class RunProgress:
    """What a run's objectives were after each of its epochs.

    An objective is that of the state the run keeps: of all epochs so far the one with the lowest
    validation error, and of these the one with the lowest validation loss.

    Attributes:
        n_epochs: Epochs so far.
        best_epoch: The epoch whose state is kept, from 1; 0 before the first.
    """

    def __init__(
        self, metrics: Sequence[str], *, n_parameters: int, epochs: Iterable[EpochRecord] = ()
    ) -> None:
        """Follow a run.

        Args:
            metrics: The objectives' metrics in order.
            n_parameters: Trainable parameters of its network.
            epochs: Its epochs so far, in order.
        """
        self._metrics = list(metrics)
        self._n_parameters = n_parameters
        self._kept: EpochRecord | None = None
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

    def add(self, epoch: EpochRecord) -> None:
        """Take the next epoch in."""
        self._seconds += epoch.seconds
        if self._kept is None or _order(epoch) < _order(self._kept):
            self._kept = epoch
        self._values.append([self._value(metric, self._kept) for metric in self._metrics])

    def values(self, n_epochs: int) -> list[float]:
        """The objectives' values after so many epochs, at least 1."""
        return self._values[n_epochs - 1]

    def _value(self, metric: str, kept: EpochRecord) -> float:
        if metric == "train_seconds":
            return self._seconds
        if metric == "n_parameters":
            return float(self._n_parameters)
        value: float | None = getattr(kept, metric)
        return float("nan") if value is None else value


def _order(epoch: EpochRecord) -> tuple[float, float]:
    """Lowest validation error first, then lowest validation loss; what is not finite comes last."""
    infinity = float("inf")
    error = infinity if epoch.val_error is None else epoch.val_error
    loss = infinity if epoch.val_loss is None else epoch.val_loss
    return (error, loss)
