"""Confirming a search's winners: its best configs and its baselines on seeds it has not seen.

The best of many trials on one seed is partly luck. Trained again on fresh pairs, splits and
initialisations, the configs show what they are worth, and the search how optimistic it was.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.launch.plan import Plan
from search.runs.lease import reclaim_runs
from search.runs.queue import QueuedRun
from search.runs.seeds import confirm_config
from search.workers.ray_session import Slots
from search.workers.train_queue import QueueProgress, train_on
from storage import Store
from storage.tables.attributes import BASELINE

__all__ = ["candidates", "confirm", "confirm_queue"]


def candidates(study: optuna.Study, top: int) -> list[FrozenTrial]:
    """The trials whose configs are to be confirmed.

    Args:
        study: The study; of several objectives the Pareto front is taken, in the first one's order.
        top: So many distinct configs.

    Returns:
        The best complete trials, best first, then the baselines that are not among them, whether
        they are complete or were pruned: all are to be compared with them.
    """
    ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    complete = [trial for trial in ended if trial.state == TrialState.COMPLETE]
    sign = -1.0 if study.directions[0] == optuna.study.StudyDirection.MAXIMIZE else 1.0
    pool = complete
    if len(study.directions) > 1:
        front = {trial.number for trial in study.best_trials}
        pool = [trial for trial in complete if trial.number in front]
    chosen: list[FrozenTrial] = []
    for trial in sorted(pool, key=lambda trial: (sign * trial.values[0], trial.number)):
        if len(chosen) < top and all(trial.params != other.params for other in chosen):
            chosen.append(trial)
    for trial in ended:
        if BASELINE in trial.user_attrs and all(trial.params != other.params for other in chosen):
            chosen.append(trial)
    return chosen


def confirm_queue(plan: Plan, store: Store, study: optuna.Study) -> list[QueuedRun]:
    """The confirmation runs that are still to be trained, seed by seed."""
    done = {
        (run.trial_id, run.replicate)
        for run in store.runs(study._study_id, "confirm")
        if run.state == "complete"
    }
    chosen = candidates(study, plan.space.confirm.top)
    return [
        QueuedRun(
            label=f"confirmation of trial {trial.number}, fresh seed {replicate}",
            config=confirm_config(plan.resolve(trial.params), replicate),
            study_id=study._study_id,
            trial_id=trial._trial_id,
            replicate=replicate,
        )
        for replicate in range(plan.space.confirm.seeds)
        for trial in chosen
        if (trial._trial_id, replicate) not in done
    ]


def confirm(
    plan: Plan,
    store: Store,
    study: optuna.Study,
    *,
    launch_id: int,
    slots: Slots,
    scratch: Path,
    stop_requested: Callable[[], bool],
    deadline: float | None,
) -> str:
    """Train the confirmation runs that are missing, on the Ray that is up.

    Args:
        plan: The launch's plan.
        store: The store.
        study: The study.
        launch_id: The launch.
        slots: Where runs are trained.
        scratch: A directory for what Tune insists on writing.
        stop_requested: Whether a person asks to stop.
        deadline: When to stop (`time.monotonic`), or None.

    Returns:
        ``"done"``, ``"time limit"`` or ``"interrupted"``.
    """
    reclaim_runs(store, "confirm")
    queue = confirm_queue(plan, store, study)
    if not queue:
        return "done"
    progress = QueueProgress(queue, kind="confirmation run", detail=" with fresh seeds")
    try:
        return train_on(
            store,
            queue,
            slots=slots,
            scratch=scratch,
            purpose="confirm",
            launch_id=launch_id,
            resources=plan.space.resources,
            checkpoints=plan.checkpoints / plan.space.study / "confirm",
            images=plan.images,
            test_images=None,
            fingerprint=plan.data_fingerprint,
            progress=progress,
            verbose=plan.verbose,
            stop_requested=stop_requested,
            deadline=deadline,
        )
    finally:
        progress.close()
