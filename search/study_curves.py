"""A study's complete trials as learning curves, to be replayed under other settings."""

from __future__ import annotations

import math
from collections import defaultdict

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.learning_curves import RECORDED_METRICS, LearningCurves, RecordedPoint, RecordedRun
from space import Space, parse_space
from space.errors import UsageError
from storage import EpochRecord, RunRecord, Store
from storage.engine import translated

__all__ = ["study_curves"]


def study_curves(store: Store, name: str) -> LearningCurves:
    """Read the curves of a study's complete trials.

    Args:
        store: The store.
        name: The study.

    Returns:
        The curves; the space is that of the study's latest launch, and trials outside its ranges
        are left out. Of trials with the same parameters the first counts.

    Raises:
        StudyNotFoundError: If the store does not hold the study.
        UsageError: If it was not begun by `search.launch`, has an objective that cannot be
            replayed, or fewer than 2 trials to replay.
    """
    study_id = store.study_id(name)
    launches = store.launches(study_id)
    if not launches:
        raise UsageError(f"--study {name}: not begun by search.launch; name another study.")
    space = parse_space(launches[-1].config, f"study '{name}'")
    metrics = [objective.metric for objective in space.objectives]
    if metrics not in RECORDED_METRICS:
        raise UsageError(
            f"--study {name}: its objective is {' and '.join(metrics)}; a replay needs val_error "
            "or val_loss alone."
        )
    with translated(store.url):
        study = optuna.load_study(study_name=name, storage=store.optuna_storage)
        trials = study.get_trials(deepcopy=False)
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    points = _points(store, study_id, space, complete)
    if len(points) < 2:
        raise UsageError(
            f"--study {name}: {len(points)} of its {len(trials)} trials have a whole curve inside "
            "its present ranges; a replay needs 2 or more, and means little with few: search "
            "longer, or without a pruner."
        )
    latest = launches[-1]
    seeds = "one seed" if space.replicates == 1 else f"{space.replicates} seeds"
    return LearningCurves(
        provenance={
            "study": name,
            "storage": store.name,
            "trials": len(trials),
            "trials_replayed": len(points),
            "git_commit": latest.git_commit,
            "git_dirty": latest.git_dirty,
            "versions": latest.versions,
            "hardware": latest.hardware,
            "data_source": latest.data_source,
            "data_fingerprint": latest.data_fingerprint,
        },
        truth=f"the trial's own {space.objectives[0].metric} on {seeds}, luck included",
        space=space,
        points=tuple(points),
    )


def _points(
    store: Store, study_id: int, space: Space, complete: list[FrozenTrial]
) -> list[RecordedPoint]:
    runs: defaultdict[int, list[RunRecord]] = defaultdict(list)
    for run in store.runs(study_id, "search"):
        if run.trial_id is not None:
            runs[run.trial_id].append(run)
    epochs = store.epochs(run.run_id for of_trial in runs.values() for run in of_trial)
    points: list[RecordedPoint] = []
    for trial in complete:
        of_trial = sorted(runs[trial._trial_id], key=lambda run: run.replicate)
        curves = [_run(epochs[run.run_id], space.training.epochs) for run in of_trial]
        whole = [curve for curve in curves if curve is not None]
        params = trial.params
        if len(whole) != space.replicates or sorted(params) != sorted(space.active(params)):
            continue
        if not all(space.parameters[key].contains(value) for key, value in params.items()):
            continue
        if all(params != point.params for point in points):
            points.append(RecordedPoint(params=params, runs=tuple(whole)))
    return points


def _run(epochs: list[EpochRecord], n_epochs: int) -> RecordedRun | None:
    """A run's curve, or None where it is not whole."""
    errors = [each.val_error for each in epochs if each.val_error is not None]
    losses = [each.val_loss for each in epochs if each.val_loss is not None]
    if not len(errors) == len(losses) == n_epochs:
        return None
    seconds = math.fsum(each.seconds for each in epochs) / n_epochs
    return RecordedRun(val_error=tuple(errors), val_loss=tuple(losses), epoch_seconds=seconds)
