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
        step_seconds: Seconds for an optimizer step, or for an epoch where there are no such steps.
        epoch_seconds: Seconds for an epoch.
        trial_seconds: Seconds for a trial that is not pruned, all its replicates included.
    """

    n_threads: int
    step_seconds: float
    epoch_seconds: float
    trial_seconds: float


def measure(plan: Plan, slots: Slots) -> Estimate:
    """Measure what an epoch of the space's first config costs.

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
    if not slots.gpus_per_trial:
        config = config.with_values({"training.device": "cpu"})
    n_threads = max(1, int(plan.space.resources.cpus))
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        with mistakes_told(TrainingError):
            cost = trainable_of(config).measure_epoch(config, plan.place.data)
    finally:
        torch.set_num_threads(before)
    epoch_seconds = cost.step_seconds * cost.n_steps
    return Estimate(
        n_threads=n_threads,
        step_seconds=cost.step_seconds,
        epoch_seconds=epoch_seconds,
        trial_seconds=epoch_seconds * config.training.epochs * plan.space.replicates,
    )
