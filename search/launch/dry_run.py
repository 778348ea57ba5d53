"""``--dry-run``: the resolved plan, the resources found, and an estimate from measured steps."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import yaml

from search.launch.plan import Plan
from search.trials.study import examples
from search.workers.ray_session import Slots
from space.errors import TrainingError
from space.study.identity import WITHOUT_GPU
from space.terminal.printing import say, say_json, write
from space.words import count, duration
from trainables.finding.find import trainable_of
from trainables.tracebacks import mistakes_told

__all__ = ["Estimate", "measure", "print_dry_run"]


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
    n_threads = plan.space.resources.n_threads
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


def print_dry_run(
    plan: Plan, storage: str, slots: Slots, estimate: Estimate, output_format: str
) -> None:
    """Print what a launch would do, to stdout.

    Args:
        plan: The plan.
        storage: The store's name.
        slots: The resources found.
        estimate: What a trial costs.
        output_format: ``"text"`` or ``"json"``.
    """
    data = plan.place.data
    seconds, bound = _search_seconds(plan, slots, estimate)
    if output_format == "json":
        report = {
            "plan": plan.space.model_dump(mode="json"),
            "form": plan.form,
            "data": {"source": data.source, "fingerprint": data.fingerprint},
            "storage": storage,
            "resources": asdict(slots),
            "estimate": {**asdict(estimate), "search_seconds_at_most": seconds, "bound": bound},
        }
        say_json(report)
        return
    tree = plan.space.model_dump(mode="json", exclude={WITHOUT_GPU})  # In a file it is a mapping.
    write(yaml.safe_dump(tree, sort_keys=False))
    say()
    if plan.form is not None:
        _say(f"form:      {plan.form}")
    _say(f"storage:   {storage}")
    _say(f"data:      {data.source}, fingerprint {data.fingerprint}")
    _say(
        f"resources: {count(slots.nodes, 'machine')}, {count(slots.cpus, 'CPU')}, "
        f"{count(slots.gpus, 'GPU')}; {count(slots.concurrency, 'worker')}"
    )
    _say(
        f"measured:  {estimate.step_seconds:.3g} s a step on "
        f"{count(estimate.n_threads, 'thread')}, so {duration(estimate.epoch_seconds)} an epoch "
        f"and {duration(estimate.trial_seconds)} a trial that is not pruned"
    )
    n_processes = plan.space.resources.n_processes
    if n_processes > 1:
        _say(f"note:      measured with one process; {n_processes} share a run's batches out")
    if seconds is not None:
        _say(f"estimate:  at most {duration(seconds)} ({bound})")
    limit = plan.space.budget.time_limit
    if limit is not None and limit < estimate.trial_seconds:
        _say(
            "note:      no trial reaches its last epoch within the time limit of one launch; the "
            "same command goes on"
        )


def _say(line: str) -> None:
    say(line, indent=" " * 11)


def _search_seconds(plan: Plan, slots: Slots, estimate: Estimate) -> tuple[float | None, str]:
    """An upper bound on a launch's seconds, pruning nothing, and what sets it."""
    bounds: list[tuple[float, str]] = []
    confirm = plan.space.confirm
    n_confirmed = (confirm.top + len(plan.space.baselines)) * confirm.seeds if confirm.top else 0
    n_epochs = math.ceil(n_confirmed / slots.concurrency) * plan.space.config.training.epochs
    confirmed_seconds = n_epochs * estimate.epoch_seconds
    and_confirmed = f", and {count(n_confirmed, 'run')} on fresh seeds" if n_confirmed else ""
    if plan.space.max_trials is not None:
        rounds = math.ceil(plan.space.max_trials / slots.concurrency)
        seconds = rounds * estimate.trial_seconds + confirmed_seconds
        trials = f"{count(plan.space.max_trials, 'trial')}, none of them pruned"
        bounds.append((seconds, trials + and_confirmed))
    if plan.space.budget.epochs is not None:
        seconds = plan.space.budget.epochs * estimate.epoch_seconds / slots.concurrency
        epochs = count(plan.space.budget.epochs, "epoch")
        bounds.append((seconds + confirmed_seconds, epochs + and_confirmed))
    if plan.space.budget.time_limit is not None:
        bounds.append((plan.space.budget.time_limit, "the time limit"))
    return min(bounds) if bounds else (None, "")
