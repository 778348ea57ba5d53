"""How many runs of a config it pays to train as one batch on a device, measured."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from space.config import RunConfig
from trainables.batched.batch import TrainingBatch
from trainables.failures import OutOfMemoryFailure
from trainables.image_set import ImageSet
from trainables.training import Training

__all__ = ["Packing", "measure_packing"]

N_STEPS = 3
"""Steps of an epoch that is timed."""
N_TIMED = 2
"""Epochs that are timed, of which the faster counts."""
GOOD_ENOUGH = 1.05
"""How much slower than the best a smaller batch may be and still be chosen: it leaves more batches
to be trained side by side."""


@dataclass(frozen=True)
class Packing:
    """What was measured, and what follows from it."""

    seconds: dict[int, float]
    """Runs trained together -> seconds a step a run; 1 means a run alone."""
    fits_no_more: bool
    """Whether the next larger batch was too large for the device's memory."""

    @property
    def n_runs(self) -> int:
        """How many runs to train together."""
        best = min(self.seconds.values())
        return min(n for n, seconds in self.seconds.items() if seconds <= GOOD_ENOUGH * best)

    @property
    def speedup(self) -> float:
        """How many times faster a run is in that batch than alone."""
        return self.seconds[1] / self.seconds[self.n_runs]


def measure_packing(
    config: RunConfig,
    images: ImageSet,
    device: torch.device,
    *,
    most: int = 32,
    budget_seconds: float = 10.0,
) -> Packing:
    """Trains batches of 1, 2, 4, ... runs for some steps each.

    Args:
        config: A resolved config; its runs differ in no number that costs time.
        images: The training split of its source.
        device: Where to measure.
        most: The largest batch to try, at least 1.
        budget_seconds: No larger batch is begun once that much time has gone.

    Returns:
        The times, that of a run alone in any case.

    Raises:
        DataError: If the images do not suffice for `N_STEPS` batches.
        OutOfMemoryFailure: If not even one run fits.
    """
    n_pairs = N_STEPS * config.training.batch_size + 1
    config = config.with_values(
        {
            "data.n_train_pairs": n_pairs,
            "data.validation_fraction": 1 / n_pairs,
            "data.augment": False,
            "training.epochs": N_TIMED + 1,
        }
    )
    started = time.perf_counter()
    seconds = {1: _seconds_a_step(config, images, device, 1)}
    n_runs = 2
    while n_runs <= most and time.perf_counter() - started < budget_seconds:
        try:
            seconds[n_runs] = _seconds_a_step(config, images, device, n_runs) / n_runs
        except OutOfMemoryFailure:
            return Packing(seconds, fits_no_more=True)
        n_runs *= 2
    return Packing(seconds, fits_no_more=False)


def _seconds_a_step(
    config: RunConfig, images: ImageSet, device: torch.device, n_runs: int
) -> float:
    """The wall time of one step of all runs, once the memory that it takes is at hand."""
    runs = [Training(config, images, device) for _ in range(n_runs)]
    # Whoever trains one run alone does it without a batch.
    together = runs[0] if n_runs == 1 else TrainingBatch(runs)
    times = []
    for _ in range(N_TIMED + 1):
        started = time.perf_counter()
        together.run_epoch()
        times.append(time.perf_counter() - started)
    return min(times[1:]) / N_STEPS
