"""How a search went, from its trials alone: best so far, cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dashboards.numbers.study.trials import StudyTrial
from space.metrics import Metric

__all__ = ["BestSoFar", "Cost", "best_so_far", "cost"]


class BestSoFar(NamedTuple):
    """The best complete trial so far, at each of the I trials that improved on it."""

    number_I: NDArray[np.int64]
    """The trial's number."""
    value_I: NDArray[np.float64]
    """Its first objective."""


class Cost(NamedTuple):
    """What the search has cost by trial, cumulative; T trials, ascending by number.

    What pruning saved is what the trials that it stopped would have gone on to cost, at their own
    pace. What a running or failed trial will not train is no saving.
    """

    number_T: NDArray[np.int64]
    """The trials' numbers."""
    epochs_T: NDArray[np.int64]
    """Epochs trained."""
    seconds_T: NDArray[np.float64]
    """Seconds of training, summed over the workers."""
    saved_epochs_T: NDArray[np.int64]
    """Epochs that pruning saved."""
    saved_seconds_T: NDArray[np.float64]
    """Seconds that they would have taken."""


def best_so_far(trials: Sequence[StudyTrial], metric: Metric) -> BestSoFar:
    """Where the best value of complete trials improved.

    Args:
        trials: Ascending by number.
        metric: The first objective.
    """
    numbers: list[int] = []
    values: list[float] = []
    for trial in trials:
        if trial.state != "COMPLETE" or not trial.values:
            continue
        value = trial.values[0]
        if not values or metric.rank(value) < metric.rank(values[-1]):
            numbers.append(trial.number)
            values.append(value)
    return BestSoFar(np.array(numbers, dtype=np.int64), np.array(values, dtype=np.float64))


def cost(trials: Sequence[StudyTrial], full_epochs: int) -> Cost:
    """What the search has cost.

    Args:
        trials: Ascending by number.
        full_epochs: Epochs of a trial that is trained to its end, over its replicates.
    """
    epochs = [trial.n_epochs for trial in trials]
    saved = [
        max(0, full_epochs - trial.n_epochs) if trial.state == "PRUNED" else 0 for trial in trials
    ]
    saved_seconds = [
        n_saved * trial.seconds / trial.n_epochs if trial.n_epochs else 0.0
        for trial, n_saved in zip(trials, saved, strict=True)
    ]
    return Cost(
        number_T=np.array([trial.number for trial in trials], dtype=np.int64),
        epochs_T=np.cumsum(epochs, dtype=np.int64),
        seconds_T=np.cumsum([trial.seconds for trial in trials], dtype=np.float64),
        saved_epochs_T=np.cumsum(saved, dtype=np.int64),
        saved_seconds_T=np.cumsum(saved_seconds, dtype=np.float64),
    )
