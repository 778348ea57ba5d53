"""What is measured, in one place for terminal, tables, pages, figures and reports alike.

A metric is data: whoever measures something else adds an entry, and no code.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, asdict, dataclass, replace
from typing import Any, Protocol

from space.notation import Notation
from space.words import NOTHING

__all__ = ["UNKNOWN", "Measured", "Metric", "rank"]


@dataclass(frozen=True)
class Metric:
    """Something that is measured of a run.

    Attributes:
        name: What files, stores and programs call it.
        words: What people call it; default: its name.
        unit: What it is measured in; empty for what has none. One that begins with "fraction" or
            "share", such as "fraction of points", is of a metric from 0 to 1, which people are
            shown in per cent; files and programs have it as it is.
        maximize: Whether the larger of two values is the better one.
    """

    name: str
    _: KW_ONLY
    words: str = ""
    unit: str = ""
    maximize: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", self.words or self.name.replace("_", " "))

    @property
    def title(self) -> str:
        """Words and unit as people are shown them, as an axis is headed."""
        unit = f"% {self.unit.partition(' ')[2]}".rstrip() if self.is_share else self.unit
        return f"{self.words} ({unit})" if unit else self.words

    @property
    def heading(self) -> str:
        """Words and unit in short, as a column is headed: what a share is of, is left out."""
        return f"{self.words} (%)" if self.is_share else self.title

    @property
    def extreme(self) -> str:
        """What the best of several values is called."""
        return "highest" if self.maximize else "lowest"

    @property
    def better(self) -> str:
        """What a better value is than another."""
        return "higher" if self.maximize else "lower"

    @property
    def of(self) -> str:
        """The name without its split, where it has one."""
        split, _, rest = self.name.partition("_")
        return rest if split in _SPLITS else self.name

    @property
    def is_share(self) -> bool:
        """Whether its unit says that values lie from 0 to 1."""
        return self.unit.startswith(("fraction", "share"))

    def rank(self, value: float) -> float:
        """See `rank`."""
        return rank(value, self.maximize)

    def notation(self, values: Iterable[float | None]) -> Notation:
        """How some values, their differences and spreads are written: the one place for it.

        In per cent with two decimals where they are shares or per cent. All else has as many
        decimals as leave the largest value four figures, and none where all are whole.

        Args:
            values: Values that stand together; what is None or not finite does not count.
        """
        if self.is_share:
            return Notation(unit=" %", of_difference=" percentage points", scale=100.0)
        if self.unit == "%":
            return Notation(unit=" %", of_difference=" percentage points")
        return Notation.of(values, f" {self.unit}" if self.unit else "")

    def show(self, value: float | None) -> str:
        """A value that stands alone, with its unit."""
        if value is None:
            return NOTHING
        notation = self.notation([value])
        return f"{notation.value(value)}{notation.unit if math.isfinite(value) else ''}"


_SPLITS = {"train": "train", "val": "validation", "test": "test"}
"""Split -> what people call it."""

OF_RUN = (
    Metric(name="train_seconds", words="training time", unit="s"),
    Metric(name="n_parameters", words="number of parameters"),
)
"""What is known of a run whatever it trains."""


class Aim(Protocol):
    """A metric that is to be made small or large."""

    @property
    def metric(self) -> str: ...

    @property
    def direction(self) -> str: ...


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

    @classmethod
    def of(cls, metrics: Sequence[Metric]) -> Measured:
        """What is measured on each split, for metrics whose names carry none.

        Args:
            metrics: The first of them, on the validation split, decides which epoch is kept; of
                equal ones the loss does, where there is a metric of that name.
        """
        of_splits = tuple(
            replace(metric, name=f"{split}_{metric.name}", words=f"{words} {metric.words}")
            for metric in metrics
            for split, words in _SPLITS.items()
        )
        decisive = dict.fromkeys(m.name for m in metrics if m in metrics[:1] or m.name == "loss")
        return cls(metrics=of_splits, kept_by=tuple(f"val_{name}" for name in decisive))

    @classmethod
    def of_objectives(cls, objectives: Sequence[Aim]) -> Measured:
        """What is known to be measured where only the objectives say so."""
        of_run = [metric.name for metric in OF_RUN]
        metrics = tuple(
            Metric(each.metric, maximize=each.direction == "maximize")
            for each in objectives
            if each.metric not in of_run
        )
        return cls(metrics=metrics, kept_by=(metrics[0].name,))

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

    def rules(self, selection: str) -> tuple[tuple[Metric, ...], tuple[Metric, ...]]:
        """Which epochs' states a run has.

        Args:
            selection: The run's, "metric" or "loss".

        Returns:
            What chooses the state that it keeps, and what the other one, which would be kept under
            the other selection. By loss that is the validation loss; empty where there is none.
        """
        by_loss = tuple(metric for metric in self.metrics if metric.name == "val_loss")
        return (by_loss, self.rule) if selection == "loss" else (self.rule, by_loss)

    @property
    def judged_by(self) -> Metric:
        """What a benchmark compares by: the first metric of `rule`, on the test split."""
        return self.metric(f"test_{self.rule[0].of}", maximize=self.rule[0].maximize)

    @property
    def tabled(self) -> tuple[Metric, ...]:
        """What a benchmark's table shows: the metric that it compares by on every split, then all
        others on the test split but those that only break ties in `kept_by`; all there are where
        nothing is said to decide."""
        if not self.kept_by:
            return self.metrics
        judging = self.judged_by
        ties = {metric.of for metric in self.rule}
        own = [each for each in self.metrics if each.of == judging.of and each != judging]
        others = [
            each for each in self.metrics if each.name.startswith("test_") and each.of not in ties
        ]
        return (*own, judging, *others)

    @property
    def of_epochs(self) -> tuple[Metric, ...]:
        """What each epoch says: all but what is measured on the test split."""
        return tuple(each for each in self.metrics if not each.name.startswith("test_"))

    @property
    def curves(self) -> tuple[Metric, ...]:
        """What is drawn against epochs: the last metric of `kept_by`, which tells most of them
        apart, on the training and the validation split."""
        last = self.rule[-1]
        return tuple(each for each in self.of_epochs if each.of == last.of)

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


UNKNOWN = Measured(metrics=(), kept_by=())
"""Of a study that another tool made."""


def rank(value: float, maximize: bool) -> float:
    """A number that is the less, the better a value is: what trials are sorted by, best first."""
    return -value if maximize else value
