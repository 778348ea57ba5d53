"""Learning curves of a benchmark's config: a metric by epoch, over its seeds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dashboards.numbers.results import ConfigResult
from space.metrics import Measured, Metric
from storage import Store

__all__ = ["Band", "Curves", "learning_curves"]

_Array = NDArray[np.float64]


class Band(NamedTuple):
    """A metric by epoch over some seeds; NaN at an epoch where a seed has no finite value.

    Shapes: ``E`` epochs.
    """

    metric: Metric
    """What is measured."""
    mean_E: _Array
    """The mean of the seeds."""
    low_E: _Array
    """The lowest of them."""
    high_E: _Array
    """The highest of them."""


class Curves(NamedTuple):
    """A metric on the training and the validation split, by epoch."""

    n_seeds: int
    """How many seeds they are over, at least 1."""
    epoch_E: NDArray[np.int64]
    """The epochs, from 1; shape (E,)."""
    bands: tuple[Band, ...]
    """One a split on which the metric is measured, the training split first."""

    def highest(self) -> float:
        """The highest of the finite means; 0 where there is none above."""
        means = np.concatenate([band.mean_E for band in self.bands])
        return float(np.max(means, initial=0.0, where=np.isfinite(means)))

    def lowest(self) -> float:
        """The lowest of the finite means; 0 where there is none below."""
        means = np.concatenate([band.mean_E for band in self.bands])
        return float(np.min(means, initial=0.0, where=np.isfinite(means)))


def learning_curves(store: Store, result: ConfigResult, measured: Measured) -> Curves | None:
    """Read a config's learning curves.

    Args:
        store: The store that the result is from.
        result: The config's runs.
        measured: What is measured of them. The curves are of the last metric of `kept_by`, the
            finest that decides which epoch is kept; of a network that is its loss.

    Returns:
        Its curves, up to the last epoch that every seed has; None where no seed has finished.
    """
    run_ids = [found.run.run_id for found in result.seeds.values()]
    epochs = [run for run in store.epochs(run_ids).values() if run]
    if not epochs:
        return None
    n_epochs = min(len(run) for run in epochs)
    bands = []
    for metric in measured.curves:
        values = np.array([[each[metric.name] for each in run[:n_epochs]] for run in epochs])
        bands.append(
            Band(metric, np.mean(values, axis=0), np.min(values, axis=0), np.max(values, axis=0))
        )
    return Curves(
        n_seeds=len(epochs),
        epoch_E=np.array([each.epoch for each in epochs[0][:n_epochs]]),
        bands=tuple(bands),
    )
