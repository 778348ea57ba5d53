"""What a study aims at, and which trial is better: for the terminal, pages, reports and exports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

import numpy as np
from optuna.study import StudyDirection
from optuna.trial import TrialState

from space.metrics import UNKNOWN, Metric
from storage.connect.engine import translated
from storage.store import Store
from storage.tables.records import StudyRecord

__all__ = ["METRIC_NAMES", "best_first", "named_objectives", "objectives", "pareto_front"]

METRIC_NAMES = "study:metric_names"
"""What Optuna calls the attribute of a study that has its objectives' names."""


class _Trial(Protocol):
    """Optuna's own, or what is shown of it."""

    @property
    def number(self) -> int: ...

    @property
    def state(self) -> TrialState | str: ...

    @property
    def values(self) -> Sequence[float] | None: ...


T = TypeVar("T", bound=_Trial)


def objectives(store: Store, study_id: int) -> tuple[Metric, ...]:
    """A study's objectives, in order: at least one.

    Args:
        store: The store.
        study_id: The study. One that another tool made has the names that Optuna was told, else
            numbers.

    Raises:
        StorageError: If the store cannot be read.
    """
    with translated(store.url):
        directions = store.optuna_storage.get_study_directions(study_id)
        attributes = store.optuna_storage.get_study_system_attrs(study_id)
    record = store.study_records().get(study_id)
    maximize = [direction == StudyDirection.MAXIMIZE for direction in directions]
    return named_objectives(record, attributes.get(METRIC_NAMES), maximize)


def named_objectives(
    record: StudyRecord | None, told: Sequence[str] | None, maximize: Sequence[bool]
) -> tuple[Metric, ...]:
    """As `objectives`, of what is known already.

    Args:
        record: Ours of the study; None where another tool made it.
        told: The names that Optuna was told, if it was.
        maximize: Of each, whether higher values are better.
    """
    names = record.metrics if record else told
    if not names:
        numbered = [f"objective {index}" for index in range(len(maximize))]
        names = ["objective"] if len(maximize) == 1 else numbered
    measured = record.measured if record else UNKNOWN
    return tuple(
        measured.metric(name, maximize=each) for name, each in zip(names, maximize, strict=True)
    )


def best_first(trials: Iterable[T], metric: Metric) -> list[T]:
    """Those of some trials that have a value: complete ones first, the best of them first.

    Args:
        trials: The trials.
        metric: The first objective, which decides.

    Returns:
        The trials, equal ones in the order of their numbers.
    """
    placed = [
        ((not _is_complete(trial), metric.rank(trial.values[0]), trial.number), trial)
        for trial in trials
        if trial.values
    ]
    return [trial for _, trial in sorted(placed, key=lambda each: each[0])]


def pareto_front(trials: Iterable[T], metrics: Sequence[Metric]) -> list[T]:
    """The complete trials that no other is at least as good as in every objective, better in one.

    Args:
        trials: The trials.
        metrics: The objectives.

    Returns:
        The trials, ordered by the first objective, best first; of one objective the best alone.
    """
    complete = {trial.number: trial for trial in trials if _is_complete(trial) and trial.values}
    if len(metrics) == 1:
        return best_first(complete.values(), metrics[0])[:1]
    points = sorted(
        (tuple(m.rank(v) for m, v in zip(metrics, trial.values or (), strict=True)), number)
        for number, trial in complete.items()
    )
    front_FO = np.empty((len(points), len(metrics)))
    numbers: list[int] = []
    for point_O, number in points:
        # Sorted, nothing that comes later dominates what is on the front already.
        known_FO = front_FO[: len(numbers)]
        no_worse_F = np.all(known_FO <= point_O, axis=1)
        if not np.any(no_worse_F & np.any(known_FO < point_O, axis=1)):
            front_FO[len(numbers)] = point_O
            numbers.append(number)
    return [complete[number] for number in numbers]


def _is_complete(trial: _Trial) -> bool:
    return trial.state in (TrialState.COMPLETE, TrialState.COMPLETE.name)
