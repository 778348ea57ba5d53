"""Loss curves over the seeds of a config."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dashboards.numbers.results import ConfigResult
from storage import Store

__all__ = ["Curves", "loss_curves"]

_Array = NDArray[np.float64]


class Curves(NamedTuple):
    """Losses in nats by epoch, over the seeds; NaN at an epoch where a seed has no finite loss.

    Shapes: ``E`` epochs.
    """

    n_seeds: int
    """How many seeds they are over, at least 1."""
    epoch_E: NDArray[np.int64]
    """The epochs, from 1."""
    train_mean_E: _Array
    """Mean training loss of the seeds."""
    train_low_E: _Array
    """The lowest of them."""
    train_high_E: _Array
    """The highest of them."""
    val_mean_E: _Array
    """Mean validation loss of the seeds."""
    val_low_E: _Array
    """The lowest of them."""
    val_high_E: _Array
    """The highest of them."""


def loss_curves(store: Store, result: ConfigResult) -> Curves | None:
    """Read a config's loss curves.

    Args:
        store: The store that the result is from.
        result: The config's runs.

    Returns:
        Its curves, up to the last epoch that every seed has; None where no seed has finished.
    """
    run_ids = [found.run.run_id for found in result.seeds.values()]
    epochs = [run for run in store.epochs(run_ids).values() if run]
    if not epochs:
        return None
    n_epochs = min(len(run) for run in epochs)
    train = np.array([[each["train_loss"] for each in run[:n_epochs]] for run in epochs])
    val = np.array([[each["val_loss"] for each in run[:n_epochs]] for run in epochs])
    return Curves(
        n_seeds=len(epochs),
        epoch_E=np.array([each.epoch for each in epochs[0][:n_epochs]]),
        train_mean_E=np.mean(train, axis=0),
        train_low_E=np.min(train, axis=0),
        train_high_E=np.max(train, axis=0),
        val_mean_E=np.mean(val, axis=0),
        val_low_E=np.min(val, axis=0),
        val_high_E=np.max(val, axis=0),
    )
