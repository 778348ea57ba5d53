"""What a search will cost, from steps measured here and now."""

from __future__ import annotations

import math
from dataclasses import dataclass

from search.launch.plan import Plan
from search.trials.study import examples
from search.workers.ray_session import Slots

__all__ = ["Estimate", "measure"]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a full-length trial costs on this machine, one trial alone.

    Attributes:
        n_threads: Threads that a trial gets.
        step_seconds: Seconds for an optimizer step.
        epoch_seconds: Seconds for an epoch.
        trial_seconds: Seconds for a trial that is not pruned, all its replicates included.
    """

    n_threads: int
    step_seconds: float
    epoch_seconds: float
    trial_seconds: float


def measure(plan: Plan, slots: Slots) -> Estimate:
    """Train two single-step epochs of the space's first config and multiply the second's time.

    Args:
        plan: The plan; what is measured is its first baseline, or a random point
            that can be trained.
        slots: Whether trials get a GPU.

    Returns:
        The estimate.

    Raises:
        UserError: If the config cannot be trained here.
    """
    import torch

    from trainables.runs import open_run

    config = examples(plan.space)[0]
    batch, fraction = config.training.batch_size, config.data.validation_fraction
    n_pairs = config.data.n_train_pairs or 0
    n_train = round(n_pairs * (1 - fraction))
    n_visited = 2 * n_train if config.data.augment else n_train
    one_step = {
        "data.n_train_pairs": min(n_pairs, math.ceil(batch / (1 - fraction)) + 1),
        "data.augment": False,
        "training.epochs": 2,
        "training.device": config.training.device if slots.gpus_per_trial else "cpu",
    }
    n_threads = max(1, int(plan.space.resources.cpus))
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        run = open_run(config.with_values(one_step), plan.place.data.images)
        run.run_epoch()  # The first epoch pays for PyTorch's warm-up.
        step_seconds = run.run_epoch().seconds
    finally:
        torch.set_num_threads(before)
    # A forward pass is a third of a step.
    steps = math.ceil(n_visited / batch) + (n_pairs - n_train) / batch / 3
    return Estimate(
        n_threads=n_threads,
        step_seconds=step_seconds,
        epoch_seconds=step_seconds * steps,
        trial_seconds=step_seconds * steps * config.training.epochs * plan.space.replicates,
    )
