"""Confirming a search's winners: its best configs and its baselines on seeds it has not seen.

The best of many trials on one seed is partly luck. Trained again on fresh draws of the data, splits
and initialisations, the configs show what they are worth, and the search how optimistic it was.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState

from search.runs.lease import reclaim_runs
from search.runs.queue import QueuedRun, has_ended
from search.runs.seeds import confirm_config
from search.runs.stopping import Stopping
from search.trials.feasible import IMPOSSIBLE
from search.trials.study import OpenedStudy
from search.workers.train_queue import QueueProgress, train_queue
from search.workers.workplace import OpenWorkplace
from storage.summaries.best import best_first, pareto_front
from storage.summaries.confirmed import confirmed_trials
from storage.tables.attributes import BASELINE
from trainables.finding.find import trainable_of

__all__ = ["Candidates", "Unconfirmed", "candidates", "confirm", "confirm_queue", "unconfirmed"]


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """The trials whose configs are to be confirmed.

    Attributes:
        trials: The best complete trials, best first, then the baselines that are not among them,
            whether they are complete or were pruned: all are to be compared with them.
        skipped: Trial number -> why no run can be trained with its parameters, of those that would
            be among the trials otherwise. Another tool put them into the study.
    """

    trials: list[FrozenTrial]
    skipped: dict[int, str]


@dataclass(frozen=True, kw_only=True)
class Unconfirmed:
    """A trial that lacks fresh seeds.

    Attributes:
        trial_number: Optuna's number.
        values: The first objective on the fresh seeds that are there, in their order.
        n_missing: Runs on fresh seeds that are still to be trained, at least one.
    """

    trial_number: int
    values: tuple[float, ...]
    n_missing: int


def candidates(opened: OpenedStudy) -> Candidates:
    """Choose the trials whose configs are to be confirmed.

    Args:
        opened: The study; of several objectives the Pareto front is taken, in the first one's
            order.
    """
    metrics = opened.objectives
    chosen: list[FrozenTrial] = []
    skipped: dict[int, str] = {}

    def is_possible(trial: FrozenTrial) -> bool:
        try:
            config = opened.resolve(trial.params)
            trainable_of(config).n_parameters(config)
        except IMPOSSIBLE as error:
            skipped[trial.number] = str(error)
        return trial.number not in skipped

    def choose(trial: FrozenTrial) -> None:
        if all(trial.params != other.params for other in chosen) and is_possible(trial):
            chosen.append(trial)

    ended = opened.trials(TrialState.COMPLETE, TrialState.PRUNED)
    complete = [trial for trial in ended if trial.state == TrialState.COMPLETE]
    pool = complete
    if len(metrics) > 1:
        pool = pareto_front(complete, metrics)
        while len([trial for trial in pool if is_possible(trial)]) < len(pool):
            complete = [trial for trial in complete if trial.number not in skipped]
            pool = pareto_front(complete, metrics)
    for trial in best_first(pool, metrics[0]):
        if len(chosen) == opened.space.confirm.top:
            break
        choose(trial)
    for trial in ended:
        if BASELINE in trial.user_attrs:
            choose(trial)
    return Candidates(trials=chosen, skipped=skipped)


def confirm_queue(opened: OpenedStudy) -> list[QueuedRun]:
    """The confirmation runs that are still to be trained, seed by seed.

    One that failed is among them only where its workers died: any other would fail again. Nor does
    one go on that was begun under another config, of an older protocol of training, say: what is
    recorded of it are epochs of another run.
    """
    known = {(run.trial_id, run.replicate): run for run in opened.store.runs(opened.id, "confirm")}
    chosen = candidates(opened).trials
    queue = [
        QueuedRun(
            label=f"confirmation of trial {trial.number}, fresh seed {replicate}",
            config=confirm_config(opened.resolve(trial.params), replicate),
            trial_id=trial._trial_id,
            replicate=replicate,
        )
        for replicate in range(opened.space.confirm.seeds)
        for trial in chosen
    ]

    def is_open(queued: QueuedRun) -> bool:
        run = known.get((queued.trial_id, queued.replicate))
        if run is None:
            return True
        return not has_ended(run) and run.config_hash == queued.config.config_hash()

    return [queued for queued in queue if is_open(queued)]


def unconfirmed(opened: OpenedStudy) -> list[Unconfirmed]:
    """The trials whose confirmation still asks for runs, and what is there of it, best first."""
    n_missing = Counter(queued.trial_id for queued in confirm_queue(opened))
    there = {each.trial_id: each.values for each in confirmed_trials(opened.store, opened.id)}
    return [
        Unconfirmed(
            trial_number=trial.number,
            values=there.get(trial._trial_id, ()),
            n_missing=n_missing[trial._trial_id],
        )
        for trial in candidates(opened).trials
        if n_missing[trial._trial_id]
    ]


def confirm(opened: OpenedStudy, place: OpenWorkplace, launch_id: int, stopping: Stopping) -> str:
    """Train the confirmation runs that are missing, on the Ray that is up.

    Args:
        opened: The study.
        place: Where runs are trained.
        launch_id: The launch.
        stopping: When to stop.

    Returns:
        ``"done"``, ``"time limit"`` or ``"interrupted"``.
    """
    reclaim_runs(opened.store, "confirm")
    queue = confirm_queue(opened)
    if not queue:
        return "done"
    progress = QueueProgress(queue, kind="confirmation run", detail=" with fresh seeds")
    try:
        return train_queue(
            opened.store,
            queue,
            place.below("confirm"),
            launch_id=launch_id,
            study_id=opened.id,
            measured=opened.measured,
            progress=progress,
            stopping=stopping,
        )
    finally:
        progress.close()
