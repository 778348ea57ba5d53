"""``--dry-run``: the resolved plan, the resources found, and an estimate from measured steps."""

from __future__ import annotations

import math
from dataclasses import asdict

import yaml

from search.launch.estimate import Estimate
from search.launch.plan import Plan
from search.workers.ray_session import Slots
from space.study.identity import WITHOUT_GPU
from space.terminal.printing import say, say_json, write
from space.words import count, duration

__all__ = ["print_dry_run"]


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
    if plan.space.max_trials is not None:
        rounds = math.ceil(plan.space.max_trials / slots.concurrency)
        seconds = rounds * estimate.trial_seconds
        bounds.append((seconds, f"{count(plan.space.max_trials, 'trial')}, none of them pruned"))
    if plan.space.budget.epochs is not None:
        seconds = plan.space.budget.epochs * estimate.epoch_seconds / slots.concurrency
        bounds.append((seconds, count(plan.space.budget.epochs, "epoch")))
    if plan.space.budget.time_limit is not None:
        bounds.append((plan.space.budget.time_limit, "the time limit"))
    return min(bounds) if bounds else (None, "")
