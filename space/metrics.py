"""What is measured, in one place for terminal, tables, pages, figures and reports alike.

A metric is data: whoever measures something else adds an entry, and no code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

__all__ = ["DIGIT_PAIRS", "METRICS", "UNKNOWN", "Measured", "Metric", "rank"]


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


OF_RUN = (
    Metric(name="train_seconds", words="training time", unit="s"),
    Metric(name="n_parameters", words="number of parameters"),
)
"""What is known of a run whatever it trains."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What is measured of the runs of a study or a benchmark, and which epoch's state they keep.

    Attributes:
        metrics: Of the epochs and the results; the names carry their split, ``train_``, ``val_`` or
            ``test_``.
        kept_by: The metrics that decide which epoch's state a run keeps: the best by the first of
            them, of equal ones by the next, and so on.
    """

    metrics: tuple[Metric, ...]
    kept_by: tuple[str, ...]

    @property
    def by_name(self) -> dict[str, Metric]:
        """Every metric that there is of a run, by name."""
        return {metric.name: metric for metric in (*self.metrics, *OF_RUN)}

    def metric(self, name: str, *, maximize: bool | None = None) -> Metric:
        """A metric by its name; one that is not known is called as it is.

        Args:
            name: Its name.
            maximize: Whether the larger of two values is the better one, where an objective says
                so; default: what the metric says.
        """
        found = self.by_name.get(name) or Metric(name=name, words=name)
        return found if maximize is None else replace(found, maximize=maximize)

    @property
    def rule(self) -> tuple[Metric, ...]:
        """The metrics of `kept_by`."""
        return tuple(self.metric(name) for name in self.kept_by)

    @property
    def judged_by(self) -> Metric:
        """What a benchmark compares by: the first metric of `rule`, on the test split."""
        return self.metric("test_" + self.kept_by[0].partition("_")[2])

    def as_json(self) -> dict[str, Any]:
        """As plain types."""
        return asdict(self)

    @classmethod
    def of_json(cls, tree: Mapping[str, Any]) -> Measured:
        """Read what `as_json` gave, as JSON has it."""
        return cls(
            metrics=tuple(Metric(**each) for each in tree["metrics"]),
            kept_by=tuple(tree["kept_by"]),
        )


METRICS = {
    each.name: each
    for each in (
        Metric(name="train_error", words="train error", unit="fraction of pairs"),
        Metric(name="val_error", words="validation error", unit="fraction of pairs"),
        Metric(name="test_error", words="test error", unit="fraction of pairs"),
        Metric(name="train_loss", words="train loss", unit="nats"),
        Metric(name="val_loss", words="validation loss", unit="nats"),
        Metric(name="test_loss", words="test loss", unit="nats"),
    )
}
"""The metrics of digit pairs, by name."""

DIGIT_PAIRS = Measured(metrics=tuple(METRICS.values()), kept_by=("val_error", "val_loss"))
"""The lowest validation error, as in the study served here, section IV. The tie-break is ours: 100
validation pairs give few distinct errors."""

UNKNOWN = Measured(metrics=(), kept_by=())
"""Of a study that another tool made."""


def rank(value: float, maximize: bool) -> float:
    """A number that is the less, the better a value is: what trials are sorted by, best first."""
    return -value if maximize else value
