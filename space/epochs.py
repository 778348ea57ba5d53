"""An epoch of a run, in the one shape that it has everywhere, and which epoch's state is kept."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from space.metrics import Metric

__all__ = ["Epoch", "kept_epoch"]


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """What was measured in one epoch.

    Attributes:
        epoch: Its number, 1 for the first.
        metrics: Metric -> value; the names carry their split, as ``val_error`` does. A value need
            not be finite. The store has no value for one that is not, and reads NaN.
        seconds: Wall time of the epoch with its validation.
    """

    epoch: int
    metrics: Mapping[str, float]
    seconds: float

    def __getitem__(self, name: str) -> float:
        """A metric's value; NaN where it was not measured."""
        return self.metrics.get(name, math.nan)

    def is_finite(self) -> bool:
        """Whether every metric is."""
        return all(map(math.isfinite, self.metrics.values()))

    def replaces(self, kept: Epoch | None, rule: Sequence[Metric]) -> bool:
        """Whether this epoch's state should replace the one kept.

        Args:
            kept: The epoch whose state is kept so far, if any is.
            rule: What decides: the first metric, where it is equal the next one, and so on. A value
                that is not finite is worse than any that is.
        """
        if kept is None:
            return True
        for metric in rule:
            new, old = self._rank(metric), kept._rank(metric)
            if new != old:
                return new < old
        return False

    def _rank(self, metric: Metric) -> float:
        value = self[metric.name]
        return metric.rank(value) if math.isfinite(value) else math.inf


def kept_epoch(epochs: Iterable[Epoch], rule: Sequence[Metric]) -> Epoch | None:
    """The epoch whose state a run keeps, None of none.

    Args:
        epochs: The run's epochs in order.
        rule: See `Epoch.replaces`.
    """
    kept = None
    for epoch in epochs:
        if epoch.replaces(kept, rule):
            kept = epoch
    return kept
