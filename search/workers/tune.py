"""The call of Ray Tune: everything about it that is not ours to decide is switched off."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.runs.protocol import RunLedger
from search.workers.ray_session import Slots, n_startable
from search.workers.workers import GroupSize, Workers

if TYPE_CHECKING:
    from trainables.data.image_set import ImageSet

__all__ = ["run_tune"]


def run_tune(
    ledger: RunLedger,
    *,
    slots: Slots,
    group_size: GroupSize,
    cpus_per_trial: float,
    checkpoint_path: Callable[[str], Path],
    on_step: Callable[[], str | None],
    scratch: Path,
    images: ImageSet | None,
    test_images: ImageSet | None = None,
    verbose: bool = False,
) -> str:
    """Run what a ledger assigns until there is nothing left or everything must stop.

    Args:
        ledger: Assigns, hears and decides.
        slots: Where workers run, and how many at once.
        group_size: How many runs a worker trains together.
        cpus_per_trial: CPUs, or a share of one, for each; its threads follow.
        checkpoint_path: A run's uid -> where its checkpoint lies.
        on_step: Called between Tune's events; returns why the search must stop now, or None.
        scratch: A directory for what Tune insists on writing.
        images: The training images, or None where no run needs any.
        test_images: The test images, for benchmarks alone.
        verbose: Let Tune's own messages through.

    Returns:
        Why it ended: ``"done"``, or what `on_step` said.
    """
    # Ray Tune takes a second to load; a launch with nothing to train does without.
    from ray import tune

    from search.workers.hooks import LedgerScheduler, LedgerSearcher, LedgerStopper
    from trainables.ray_trainable import RunTrainable

    workers = Workers(
        ledger, n_workers=slots.concurrency, size=group_size, checkpoint_path=checkpoint_path
    )
    # Put into Ray's object store once, and read from shared memory by the workers of a machine.
    trainable: Any = tune.with_parameters(
        RunTrainable,
        images=None if images is None else images.to_numpy(),
        test_images=None if test_images is None else test_images.to_numpy(),
        n_threads=max(1, int(cpus_per_trial)),
        use_gpu=slots.gpus_per_trial > 0,
    )
    logging.getLogger("ray.tune").setLevel(logging.INFO if verbose else logging.CRITICAL)
    # Tune would ask for the next worker only when the last one has loaded its libraries.
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(n_startable(slots, cpus_per_trial))
    scheduler = LedgerScheduler(workers, is_spent=lambda: ledger.is_spent)
    stopper = LedgerStopper(scheduler, on_step)
    tune.run(
        trainable,
        name="search",
        num_samples=-1,
        search_alg=LedgerSearcher(workers),
        scheduler=scheduler,
        stop=stopper,
        resources_per_trial=tune.PlacementGroupFactory(
            [{"CPU": cpus_per_trial, "GPU": slots.gpus_per_trial}]
        ),
        storage_path=str(scratch),
        reuse_actors=True,
        max_failures=0,
        raise_on_failed_trial=False,
        verbose=0,
    )
    return stopper.reason or "done"
