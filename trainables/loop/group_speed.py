"""How many runs of a config it pays to train as one batch on a device, measured."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import torch

from trainables.contract.group_speed import GroupSpeed
from trainables.contract.trainable import EpochCost
from trainables.failures import OutOfMemoryFailure, first_line, is_device_lost
from trainables.loop.batch import TRACE_AFTER, TrainingBatch
from trainables.loop.samples import n_samples
from trainables.loop.training import Training
from trainables.tracebacks import describe

__all__ = ["measure_epoch", "measure_group_speed"]

N_STEPS = 3
"""Steps of an epoch that is timed."""
GPU_STEPS = 10
"""The same on a GPU, where a step takes so little time that an epoch's other work would hide it."""
N_TIMED = 2
"""The fewest epochs that are timed, of which the fastest counts."""
TIMED_SECONDS = 0.2
"""Short epochs are timed for so long: what else runs on the machine must miss one of them."""
HOPELESS = 1.25
"""How much slower than the best a batch is of which no larger one is tried: deep networks on a GPU,
which one run of them fills."""
MOST_TIMED = 100
WORTH_SECONDS = 4.0
"""Runs that take less on a CPU, all of them alone, would be done before batches were measured."""
ARITHMETIC_SECONDS = 0.1
"""A step on a CPU that takes longer is arithmetic alone, of which a batch has no less."""


def measure_epoch(run: Training) -> EpochCost:
    """Trains two epochs of hardly any samples, and counts how many steps a whole one has.

    Args:
        run: A run of two epochs at its beginning; it is of no further use.
    """
    run.begin_epoch()
    n_steps, n_val = run.n_steps, n_samples(run.parts["val"])
    run.shorten(1)
    run.run_epoch()  # The first epoch pays for PyTorch's warm-up.
    # A forward pass is a third of a step.
    a_sample = 1 / run.config.training.batch_size / 3
    seconds = run.run_epoch().seconds / (run.n_steps + n_samples(run.parts["val"]) * a_sample)
    return EpochCost(seconds, n_steps + n_val * a_sample)


def measure_group_speed(
    make: Callable[[], Training],
    *,
    most: int = 32,
    n_epochs: float = math.inf,
    budget_seconds: float = 10.0,
) -> GroupSpeed:
    """Trains batches of 1, 2, 4, ... runs for some steps each, and at last of the most.

    Args:
        make: Makes a run of more epochs than `MOST_TIMED`; its runs differ in no number that costs
            time.
        most: The largest batch to try, at least 1.
        n_epochs: Of all runs that are to be trained one after another.
        budget_seconds: No larger batch is begun once that much time has gone, nor once one was
            slower a run than a smaller one (see `HOPELESS`).

    Returns:
        The times, that of a run alone in any case.

    Raises:
        OutOfMemoryFailure: If not even one run fits.
    """
    started = time.perf_counter()
    first = make()
    device = first.device
    if device.type == "cpu":
        first.begin_epoch()
        alone = _seconds_a_step(make, 1, n_steps=1, n_timed=1)
        if alone > ARITHMETIC_SECONDS:
            return GroupSpeed({1: alone})
        in_all = alone * first.n_steps * n_epochs
        if in_all < WORTH_SECONDS:
            return GroupSpeed({1: alone}, in_all=in_all)
    n_steps = N_STEPS if device.type == "cpu" else GPU_STEPS
    seconds = {1: _seconds_a_step(make, 1, n_steps=n_steps)}
    n_runs = 1
    while n_runs < most and time.perf_counter() - started < budget_seconds:
        if seconds[n_runs] > HOPELESS * min(seconds.values()):
            break
        n_runs = min(2 * n_runs, most)
        try:
            seconds[n_runs] = _seconds_a_step(make, n_runs, n_steps=n_steps) / n_runs
        except OutOfMemoryFailure:
            return GroupSpeed(seconds, too_many=n_runs)
        except Exception as error:  # what cannot be trained as one model can be alone
            if is_device_lost():
                raise
            return GroupSpeed(seconds, refused=first_line(describe(error)))
    return GroupSpeed(seconds)


def _seconds_a_step(
    make: Callable[[], Training], n_runs: int, *, n_steps: int, n_timed: int = N_TIMED
) -> float:
    """The wall time of one step of all runs, once all is done that only the first steps need."""
    runs = [make() for _ in range(n_runs)]
    for run in runs:
        run.shorten(n_steps)
    device = runs[0].device
    # What counts is how steps go on. On a CPU only small networks come here, whose traces cost
    # little; those of deep networks would leave no time for larger batches. On a GPU all steps are
    # captured in the second epoch.
    trace_after, n_warm = (0, 1) if device.type == "cpu" else (TRACE_AFTER, 2)
    batch = TrainingBatch(runs, trace_after=trace_after)
    times: list[float] = []
    for n in range(MOST_TIMED + 1):
        is_enough = n >= n_warm + n_timed and sum(times[n_warm:]) > TIMED_SECONDS
        if is_enough or not batch.runs:  # One leaves with a metric that is not finite.
            break
        started = time.perf_counter()
        batch.run_epoch()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    return min(times[n_warm:] or times) / runs[0].n_steps
