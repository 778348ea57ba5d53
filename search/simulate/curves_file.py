"""Recorded learning curves: a table of configs with every epoch of their runs, kept as one file.

The file is JSON: where the curves come from, the space that they cover, and for each of its points
the runs on several seeds. `search.simulate.curves_of_study` reads the same off a finished study,
and `search.simulate` replays searches over it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, SerializeAsAny, model_validator

from space import CategoricalParameter, FloatParameter, IntParameter, Space, Value, parse_tree
from space.config import FrozenModel
from space.epochs import Epoch, kept_epoch
from space.errors import UsageError
from space.files.reader import file_name, read_file
from space.messages import refusal
from space.metrics import Measured, Metric
from space.trainable import FilePart
from space.words import count

__all__ = [
    "LearningCurves",
    "RecordedPoint",
    "RecordedRun",
    "Surrogate",
    "read_curves",
    "replayed_objective",
]

LARGEST = 50_000_000
"""Bytes that a file of curves may have."""
_NO_CURVES = (
    "not a file of learning curves; `python -m search.simulate --study NAME --save` makes one."
)

_Values = Annotated[tuple[float, ...], Field(strict=False, min_length=1)]


class RecordedRun(FrozenModel):
    """The curve of one run; one that lost its finite loss ends with the epoch before."""

    metrics: Annotated[dict[str, _Values], Field(min_length=1)]
    """Metric -> its value after each epoch."""
    epoch_seconds: Annotated[float, Field(ge=0)]
    """Mean wall time of an epoch."""
    fresh: float | None = None
    """The objective of the state kept at the end, on samples that the run never saw."""
    n_trained: Annotated[int, Field(ge=1)] | None = None
    """Epochs that were trained, where a pruner stopped the run; those after them are assumed."""

    @property
    def n_epochs(self) -> int:
        """How many epochs there are."""
        return len(next(iter(self.metrics.values())))

    @cached_property
    def epochs(self) -> tuple[Epoch, ...]:
        """Its epochs, with what was recorded of them."""
        return tuple(
            Epoch(
                epoch=number,
                metrics=dict(zip(self.metrics, values, strict=True)),
                seconds=self.epoch_seconds,
            )
            for number, values in enumerate(zip(*self.metrics.values(), strict=True), start=1)
        )

    @model_validator(mode="after")
    def _as_long(self) -> Self:
        first = next(iter(self.metrics))
        for name, values in self.metrics.items():
            if len(values) != self.n_epochs:
                raise refusal(
                    f"found {count(len(values), 'epoch')}; expected as many as {first} has, "
                    f"{self.n_epochs}",
                    *("metrics", name),
                )
        if self.n_trained is not None and self.n_trained >= self.n_epochs:
            raise refusal(
                f"found {self.n_trained}; expected fewer than the epochs recorded, {self.n_epochs}",
                "n_trained",
            )
        return self


class RecordedPoint(FrozenModel):
    """A point of the space and its runs; run i has the same seed at every point."""

    params: dict[str, Value]
    """Parameter -> value, the active ones alone."""
    runs: Annotated[tuple[RecordedRun, ...], Field(strict=False, min_length=1)]
    """One run a seed."""

    @property
    def n_trained(self) -> int | None:
        """Epochs of its longest run, where a pruner stopped its trial."""
        trained = [run.n_trained for run in self.runs]
        if all(each is None for each in trained):
            return None
        return max(each or run.n_epochs for each, run in zip(trained, self.runs, strict=True))


class LearningCurves(FilePart):
    """A file of curves."""

    format: Literal["learning-curves/2"] = "learning-curves/2"
    """What the file is."""
    provenance: dict[str, Any]
    """Command, code, libraries, machine and data behind the curves."""
    truth: str
    """What a point is judged by, in words: the mean over its runs of the objective on fresh samples
    or, where that is not known, of its final values."""
    space: SerializeAsAny[Space]
    """What the points are points of; its epochs are those of every run."""
    points: Annotated[tuple[RecordedPoint, ...], Field(strict=False, min_length=2)]
    """The points."""

    @classmethod
    def of(cls, tree: Mapping[str, Any]) -> type[Self]:
        """See `FilePart.of`."""
        space = tree.get("space")
        return cls._holding(Space.of(space if isinstance(space, dict) else {}))

    @classmethod
    @cache
    def _holding(cls, space: type[Space]) -> type[Self]:
        whole: Any = SerializeAsAny
        return cls._with(space=(whole[space], cls.model_fields["space"]))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        n_seeds = len(self.points[0].runs)
        epochs = self.space.training.epochs
        objective = replayed_objective(self.space)
        if objective is None:
            raise refusal(
                f"expected one of {', '.join(_names(self.space))} alone, which is what epochs say",
                *("space", "objective"),
            )
        needed = {objective.name, *self.measured.kept_by}
        for index, point in enumerate(self.points):
            expected = self.space.active(point.params)
            if sorted(point.params) != sorted(expected):
                raise refusal(
                    f"found {', '.join(point.params) or 'none'}; expected {', '.join(expected)}",
                    *("points", index, "params"),
                )
            if len(point.runs) != n_seeds:
                raise refusal(
                    f"found {count(len(point.runs), 'run')}, not {n_seeds} as in the first point",
                    *("points", index, "runs"),
                )
            for seed, run in enumerate(point.runs):
                lacking = sorted(needed - run.metrics.keys())
                if run.n_epochs > epochs or lacking:
                    raise refusal(
                        f"found {count(run.n_epochs, 'epoch')} of {', '.join(run.metrics)}; "
                        f"expected at most training.epochs, {epochs}, of {', '.join(needed)}",
                        *("points", index, "runs", seed, "metrics"),
                    )
        return self

    @property
    def measured(self) -> Measured:
        """What is measured of the runs."""
        return self.space.config_type.measured

    @property
    def metric(self) -> Metric:
        """The objective."""
        objective = replayed_objective(self.space)
        if objective is None:
            raise ValueError("the space has no objective that can be replayed")
        return objective

    @property
    def n_seeds(self) -> int:
        """Runs of each point."""
        return len(self.points[0].runs)

    @property
    def n_stopped(self) -> int:
        """Points whose trial a pruner stopped, so that the end of their curves is assumed."""
        return sum(point.n_trained is not None for point in self.points)

    @property
    def epochs(self) -> int:
        """Epochs of a whole run."""
        return self.space.training.epochs

    def true_values(self, seeds: Collection[int] | None = None) -> NDArray[np.float64]:
        """What each point is worth, (P,): see `truth`. Infinite where a run did not reach its end.

        Lower is better: see `Metric.rank`.

        Args:
            seeds: The recorded seeds whose runs count, at least one; default: all.
        """
        counted = sorted(range(self.n_seeds) if seeds is None else seeds)
        means_P: NDArray[np.float64] = self._worth_PS[:, counted].mean(axis=1)
        return means_P

    @cached_property
    def _worth_PS(self) -> NDArray[np.float64]:  # noqa: N802 - a shape
        return np.array([[self._worth(run) for run in point.runs] for point in self.points])

    def _worth(self, run: RecordedRun) -> float:
        if run.n_epochs < self.epochs:
            return math.inf
        selection = getattr(self.space.training, "selection", "metric")
        kept = kept_epoch(run.epochs, self.measured.rules(selection)[0])
        value = math.nan if kept is None else kept[self.metric.name]
        return self.metric.rank(value if run.fresh is None else run.fresh)

    def to_text(self) -> str:
        """The file's text: a line for each point."""
        tree = self.model_dump(mode="json", exclude_none=True, exclude={"points"})
        head = json.dumps(tree, indent=1)[: -len("\n}")]
        lines = ",\n".join(
            json.dumps(point.model_dump(mode="json", exclude_none=True), separators=(",", ":"))
            for point in self.points
        )
        return f'{head},\n "points": [\n{lines}\n]}}\n'


def replayed_objective(space: Space) -> Metric | None:
    """The objective of a space whose searches can be replayed: one, that every epoch says."""
    (objective, *others), names = space.objectives, _names(space)
    if others or objective.metric not in names:
        return None
    maximize = objective.direction == "maximize"
    return space.config_type.measured.metric(objective.metric, maximize=maximize)


def _names(space: Space) -> list[str]:
    return [metric.name for metric in space.config_type.measured.of_epochs]


def read_curves(path: Path) -> LearningCurves:
    """Read a file of curves.

    Args:
        path: A file that `LearningCurves.to_text` gave the text of.

    Returns:
        The curves.

    Raises:
        UsageError: If the file is no such file.
        SpaceError: If it cannot be read, or what it says is wrong.
    """
    name = file_name(path)
    try:
        tree = json.loads(read_file(path, LARGEST))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--curves {name}: {_NO_CURVES}") from error
    if not isinstance(tree, dict):
        raise UsageError(f"--curves {name}: {_NO_CURVES}")
    return parse_tree(LearningCurves, tree, name)


class Surrogate:
    """Answers for every setting of a space with the recorded point that is nearest to it.

    The distance is Gower's: over all parameters the sum of the differences as shares of the
    parameter's range, on its own scale; 1 for different choices, and where a parameter is active in
    one of the two alone. A tie goes to the point that comes first.

    Source:
        Gower, A General Coefficient of Similarity and Some of Its Properties, Biometrics 1971.
    """

    def __init__(self, space: Space, points: Sequence[Mapping[str, Value]]) -> None:
        """Lay the points out.

        Args:
            space: The space.
            points: Parameter -> value of each point, the active ones alone.
        """
        self._parameters = space.parameters
        self._values_PD = np.array([self._place(point) for point in points])
        self._is_category_D = np.array(
            [isinstance(each, CategoricalParameter) for each in space.parameters.values()]
        )

    def nearest(self, params: Mapping[str, Value]) -> int:
        """The index of the point that stands for a setting."""
        place_D = self._place(params)
        distance_PD = np.abs(self._values_PD - place_D)
        distance_PD = np.where(self._is_category_D, distance_PD > 0, distance_PD)
        absent_PD, absent_D = np.isnan(self._values_PD), np.isnan(place_D)
        distance_PD[absent_PD | absent_D] = 1
        distance_PD[absent_PD & absent_D] = 0
        return int(np.argmin(distance_PD.sum(axis=1)))

    def _place(self, params: Mapping[str, Value]) -> NDArray[np.float64]:
        return np.array(
            [
                _share(parameter, params[name]) if name in params else math.nan
                for name, parameter in self._parameters.items()
            ]
        )


def _share(parameter: FloatParameter | IntParameter | CategoricalParameter, value: Any) -> float:
    """Where a value lies in its parameter's range, 0 to 1 inside it; of a choice, its number."""
    if isinstance(parameter, CategoricalParameter):
        return float(parameter.choices.index(parameter.normalise(value)))
    low, high = float(parameter.low), float(parameter.high)
    if parameter.log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return (float(value) - low) / (high - low or 1.0)
