"""What a search will cost, from steps measured here and now."""

from __future__ import annotations

from dataclasses import dataclass

from search.launch.plan import Plan
from search.trials.study import examples
from search.workers.ray_session import Slots
from space.errors import TrainingError
from trainables.finding.find import trainable_of
from trainables.tracebacks import mistakes_told

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

    config = examples(plan.space)[0]
    trainable = trainable_of(config)
    if not slots.gpus_per_trial:
        config = config.with_values({"training.device": "cpu"})
    short, times = trainable.shortened(config)
    n_threads = max(1, int(plan.space.resources.cpus))
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        with mistakes_told(TrainingError):
            run = trainable.open_run(short, plan.place.data)
            run.run_epoch()  # The first epoch pays for PyTorch's warm-up.
            step_seconds = run.run_epoch().seconds
    finally:
        torch.set_num_threads(before)
    return Estimate(
        n_threads=n_threads,
        step_seconds=step_seconds,
        epoch_seconds=step_seconds * times,
        trial_seconds=step_seconds * times * config.training.epochs * plan.space.replicates,
    )
