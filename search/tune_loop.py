"""The call of Ray Tune: everything about it that is not ours to decide is switched off."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray import tune

from search.cluster import Slots
from search.ledger import Ledger
from search.plan import Plan
from search.tune_bridge import LedgerScheduler, LedgerSearcher, LedgerStopper
from trainables.ray_trainable import RunTrainable

__all__ = ["run_tune"]

MAX_WORKER_DEATHS = 2
"""A trial whose worker dies goes on with another so many times; then it is FAIL."""


def run_tune(
    plan: Plan, ledger: Ledger, slots: Slots, on_step: Callable[[], str | None], scratch: Path
) -> str:
    """Run trials until the budget is spent or the search must stop.

    Args:
        plan: The launch's plan.
        ledger: Its ledger.
        slots: Where and how many trials run at once.
        on_step: Called between Tune's events; returns why the search must stop now, or None.
        scratch: A directory for what Tune insists on writing.

    Returns:
        Why it ended: ``"done"``, or what `on_step` said.
    """
    searcher = LedgerSearcher(
        ledger, max_concurrent=slots.concurrency, checkpoint_path=plan.checkpoint_path
    )
    resources = plan.space.resources
    trainable: Any = tune.with_parameters(
        RunTrainable,
        images=None if plan.images is None else plan.images.to_numpy(),
        n_threads=max(1, int(resources.cpus)),
    )
    logging.getLogger("ray.tune").setLevel(logging.INFO if plan.verbose else logging.CRITICAL)
    scheduler = LedgerScheduler(ledger, searcher)
    stopper = LedgerStopper(scheduler, on_step)
    tune.run(
        trainable,
        name="search",
        num_samples=-1,
        search_alg=searcher,
        scheduler=scheduler,
        stop=stopper,
        resources_per_trial=tune.PlacementGroupFactory(
            [{"CPU": resources.cpus, "GPU": slots.gpus_per_trial}]
        ),
        storage_path=str(scratch),
        reuse_actors=True,
        max_failures=MAX_WORKER_DEATHS,
        raise_on_failed_trial=False,
        verbose=0,
    )
    return stopper.reason or "done"
