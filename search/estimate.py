"""What a search will cost, from steps measured here and now."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median

import torch
from trainables.runs import open_run

from search.plan import Plan

__all__ = ["Estimate", "measure"]

N_STEPS = 3


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a full-length trial costs on this machine, one trial alone.

    Attributes:
        n_threads: Threads that a trial gets.
        step_seconds: Seconds for an optimizer step.
        epoch_seconds: Seconds for an epoch.
        trial_seconds: Seconds for a trial that is not pruned.
    """

    n_threads: int
    step_seconds: float
    epoch_seconds: float
    trial_seconds: float


def measure(plan: Plan) -> Estimate:
    """Train a few steps of the space's fixed config and multiply.

    Args:
        plan: The plan; what is measured is its baseline, or the file's fixed values.

    Returns:
        The estimate.

    Raises:
        UserError: If the config cannot be trained here.
    """
    baselines = plan.space.baseline_params()
    config = plan.resolve(baselines[0] if baselines else {})
    n_threads = max(1, int(plan.space.resources.cpus))
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        run = open_run(config, plan.images)
        seconds = []
        for _ in range(N_STEPS):
            started = time.perf_counter()
            run.run_step()
            seconds.append(time.perf_counter() - started)
    finally:
        torch.set_num_threads(before)
    # The first step pays for PyTorch's warm-up.
    step_seconds = median(seconds[1:])
    epoch_seconds = step_seconds * run.n_steps
    return Estimate(
        n_threads=n_threads,
        step_seconds=step_seconds,
        epoch_seconds=epoch_seconds,
        trial_seconds=epoch_seconds * config.training.epochs,
    )
