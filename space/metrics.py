"""What is measured, in one place for terminal, tables, pages, figures and reports alike.

A metric is data: whoever measures something else adds an entry, and no code.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["METRICS", "Metric", "metric", "rank"]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """Something that is measured of a run.

    Attributes:
        name: What files, stores and programs call it.
        words: What people call it.
        unit: What it is measured in; empty for what has none.
        maximize: Whether the larger of two values is the better one.
    """

    name: str
    words: str
    unit: str = ""
    maximize: bool = False

    @property
    def title(self) -> str:
        """Words and unit, as an axis or a column is headed."""
        return f"{self.words} ({self.unit})" if self.unit else self.words

    @property
    def extreme(self) -> str:
        """What the best of several values is called."""
        return "highest" if self.maximize else "lowest"

    def rank(self, value: float) -> float:
        """See `rank`."""
        return rank(value, self.maximize)


METRICS = {
    each.name: each
    for each in (
        Metric(name="train_error", words="train error", unit="fraction of pairs"),
        Metric(name="val_error", words="validation error", unit="fraction of pairs"),
        Metric(name="test_error", words="test error", unit="fraction of pairs"),
        Metric(name="train_loss", words="train loss", unit="nats"),
        Metric(name="val_loss", words="validation loss", unit="nats"),
        Metric(name="test_loss", words="test loss", unit="nats"),
        Metric(name="train_seconds", words="training time", unit="s"),
        Metric(name="n_parameters", words="number of parameters"),
    )
}
"""Every metric of ours, by name."""


def metric(name: str, *, maximize: bool = False) -> Metric:
    """A metric by its name; one that is not ours is called as it is.

    Args:
        name: Its name.
        maximize: Whether the larger of two values is the better one.
    """
    return replace(METRICS.get(name) or Metric(name=name, words=name), maximize=maximize)


def rank(value: float, maximize: bool) -> float:
    """A number that is the less, the better a value is: what trials are sorted by, best first."""
    return -value if maximize else value
