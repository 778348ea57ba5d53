"""The call of Ray Tune: everything about it that is not ours to decide is switched off."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from search.runs.run_ledger import RunLedger
from search.workers.own_ray import bare_actors
from search.workers.ray_session import n_startable
from search.workers.workers import GroupSize, Workers
from search.workers.workplace import OpenWorkplace

__all__ = ["run_tune"]


def run_tune(
    ledger: RunLedger[Any],
    place: OpenWorkplace,
    group_size: GroupSize,
    on_step: Callable[[], str | None],
) -> str:
    """Run what a ledger assigns until there is nothing left or everything must stop.

    Args:
        ledger: Assigns, hears and decides.
        place: Where runs are trained.
        group_size: How many runs a worker trains together.
        on_step: Called between Tune's events; returns why the search must stop now, or None.

    Returns:
        Why it ended: ``"done"``, or what `on_step` said.
    """
    # Ray Tune takes a second to load; a launch with nothing to train does without.
    from ray import tune

    from search.workers.hooks import LedgerScheduler, LedgerSearcher, LedgerStopper
    from search.workers.memory import MemoryWatch
    from trainables.worker.ray_trainable import RunTrainable, TeamSize

    slots, cpus = place.slots, place.resources.cpus
    workers = Workers(
        ledger,
        n_workers=slots.concurrency,
        size=group_size,
        files=place.files,
        limits=place.limits,
    )
    n, share = place.resources.n_processes, {"CPU": cpus, "GPU": slots.gpus_per_trial}
    bundles, team = [share], None
    if n > 1:
        # The worker itself leads, and computes nothing.
        share = {kind: amount / n for kind, amount in share.items()}
        bundles, team = [{}, *[share] * n], TeamSize(n=n, cpus=share["CPU"], gpus=share["GPU"])
    # Put into Ray's object store once, and read from shared memory by the workers of a machine.
    trainable: Any = tune.with_parameters(
        RunTrainable,
        data=place.data,
        n_threads=place.resources.n_threads,
        use_gpu=slots.gpus_per_trial > 0,
        team=team,
    )
    logging.getLogger("ray.tune").setLevel(logging.INFO if place.verbose else logging.CRITICAL)
    # Tune would ask for the next worker only when the last one has loaded its libraries.
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(n_startable(slots, cpus))
    memory = None if place.limits.trial_memory is None else MemoryWatch()
    scheduler = LedgerScheduler(workers, memory, is_spent=lambda: ledger.is_spent)
    stopper = LedgerStopper(scheduler, on_step)
    with bare_actors() if place.ray_address is None else nullcontext():
        tune.run(
            trainable,
            name="search",
            num_samples=-1,
            search_alg=LedgerSearcher(workers, stopper.stop_all),
            scheduler=scheduler,
            stop=stopper,
            resources_per_trial=tune.PlacementGroupFactory(bundles, strategy="STRICT_PACK"),
            storage_path=str(place.scratch),
            reuse_actors=memory is None,  # What a new worker is given begins in a new process then.
            max_failures=0,
            raise_on_failed_trial=False,
            verbose=0,
            # Tune's own for notebooks clears the cell's output.
            progress_reporter=tune.CLIReporter(),
        )
    return stopper.reason or "done"
