"""How many runs of a config it pays to train as one batch on a device, measured."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch

from space.config import RunConfig
from trainables.batched.batch import TRACE_AFTER, TrainingBatch
from trainables.data.image_set import ImageSet
from trainables.failures import OutOfMemoryFailure
from trainables.loop.training import Training

__all__ = ["GroupSpeed", "measure_group_speed"]

N_STEPS = 3
"""Steps of an epoch that is timed."""
N_TIMED = 2
"""The fewest epochs that are timed, of which the fastest counts."""
TIMED_SECONDS = 0.2
"""Short epochs are timed for so long: what else runs on the machine must miss one of them."""
MOST_TIMED = 100
GOOD_ENOUGH = 1.05
"""How much slower than the best a smaller batch may be and still be chosen: it leaves more batches
to be trained side by side."""
ARITHMETIC_SECONDS = 0.1
"""A step on a CPU that takes longer is arithmetic alone, of which a batch has no less."""


@dataclass(frozen=True)
class GroupSpeed:
    """What was measured, and what follows from it."""

    seconds: dict[int, float]
    """Runs trained together -> seconds a step a run; 1 means a run alone."""
    too_many: int | None = None
    """Runs that did not fit in the device's memory together, where some were tried."""

    @property
    def n_runs(self) -> int:
        """How many runs to train together, where there are always more."""
        best = min(self.seconds.values())
        return min(n for n, seconds in self.seconds.items() if seconds <= GOOD_ENOUGH * best)

    def n_runs_of(self, total: int) -> int:
        """How many runs to train together until so many are trained, in batches of about a size.

        Args:
            total: The runs of a worker, at least 1.

        Returns:
            The number, at most the total. Five runs in a batch of four and one alone may take
            longer than in one of five that is slower a run.
        """
        sizes = {_even_size(total, n) for n in self.seconds}
        times = {n: math.ceil(total / n) * n * self._seconds_of(n) for n in sizes}
        best = min(times.values())
        return min(n for n, seconds in times.items() if seconds <= GOOD_ENOUGH * best)

    def speedup(self, n_runs: int) -> float:
        """How many times faster a run is in a batch than alone.

        Args:
            n_runs: The runs of the batch.

        Returns:
            The ratio for the largest batch measured that is no larger.
        """
        return self.seconds[1] / self._seconds_of(n_runs)

    def _seconds_of(self, n_runs: int) -> float:
        return self.seconds[max(n for n in self.seconds if n <= n_runs)]


def measure_group_speed(
    config: RunConfig,
    images: ImageSet,
    device: torch.device,
    *,
    most: int = 32,
    budget_seconds: float = 10.0,
) -> GroupSpeed:
    """Trains batches of 1, 2, 4, ... runs for some steps each, and at last of the most.

    Args:
        config: A resolved config; its runs differ in no number that costs time.
        images: The training split of its source.
        device: Where to measure.
        most: The largest batch to try, at least 1.
        budget_seconds: No larger batch is begun once that much time has gone.

    Returns:
        The times, that of a run alone in any case.

    Raises:
        OutOfMemoryFailure: If not even one run fits.
    """
    started = time.perf_counter()
    if device.type == "cpu":
        alone = _seconds_a_step(_of_steps(config, 1), images, device, 1, n_timed=1)
        if alone > ARITHMETIC_SECONDS:
            return GroupSpeed({1: alone})
    short = _of_steps(config, N_STEPS)
    seconds = {1: _seconds_a_step(short, images, device, 1)}
    n_runs = 1
    while n_runs < most and time.perf_counter() - started < budget_seconds:
        n_runs = min(2 * n_runs, most)
        try:
            seconds[n_runs] = _seconds_a_step(short, images, device, n_runs) / n_runs
        except OutOfMemoryFailure:
            return GroupSpeed(seconds, too_many=n_runs)
    return GroupSpeed(seconds)


def _even_size(total: int, most: int) -> int:
    """The size of as few batches as there must be, if they are about the same."""
    return math.ceil(total / math.ceil(total / most))


def _of_steps(config: RunConfig, n_steps: int) -> RunConfig:
    """The config with epochs of so many whole batches, or of as many as its own pairs make."""
    batch_size, n_pairs = config.training.batch_size, config.data.n_train_pairs or 0
    n_steps = min(n_steps, (n_pairs - 1) // batch_size)
    if n_steps:
        n_pairs = n_steps * batch_size + 1
    return config.with_values(
        {
            "data.n_train_pairs": n_pairs,
            "data.validation_fraction": 1 / n_pairs,
            "data.augment": False,
            "training.epochs": MOST_TIMED + 1,
        }
    )


def _seconds_a_step(
    config: RunConfig,
    images: ImageSet,
    device: torch.device,
    n_runs: int,
    *,
    n_timed: int = N_TIMED,
) -> float:
    """The wall time of one step of all runs, once the memory that it takes is at hand."""
    runs = [Training(config, images, device) for _ in range(n_runs)]
    # What counts is how steps go on. On a CPU only small networks come here, whose traces cost
    # little; those of deep networks would leave no time for larger batches.
    trace_after = 0 if device.type == "cpu" else TRACE_AFTER
    # Whoever trains one run alone does it without a batch.
    together = runs[0] if n_runs == 1 else TrainingBatch(runs, trace_after=trace_after)
    times: list[float] = []
    n_steps = math.ceil(len(runs[0].pairs.train) / config.training.batch_size)
    for n in range(MOST_TIMED + 1):
        if n > n_timed and sum(times[1:]) > TIMED_SECONDS:
            break
        started = time.perf_counter()
        together.run_epoch()
        times.append(time.perf_counter() - started)
    return min(times[1:]) / n_steps
