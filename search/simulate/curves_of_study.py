"""A study's trials as learning curves, to be replayed under other settings.

Of a trial that the pruner stopped only the first epochs are known. What it would have done after
them is assumed: its metrics stay what they last were, and an epoch takes as long as its others did.
Stopping such a trial again then never costs anything, which favours settings that stop early; its
worth is what it had shown by then, which is conservative for quality: a setting gains nothing by
training it on, also where it would have ended as the best.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.simulate.curves_file import (
    LearningCurves,
    RecordedPoint,
    RecordedRun,
    replayed_objective,
)
from space import Space, parse_space
from space.epochs import Epoch
from space.errors import UsageError
from space.words import count
from storage import LaunchRecord, RunRecord, Store
from storage.connect.engine import translated

__all__ = ["FEWEST_COMPLETE", "FEWEST_POINTS", "study_curves"]

FEWEST_POINTS = 10
"""Trials that a replay needs. With fewer, each answers for more than a tenth of the space: almost
any proposal meets the same few curves, so that settings differ by their first proposals' luck. Ten
are also what TPE by default draws at random before it begins to choose."""
FEWEST_COMPLETE = 2
"""Trials that must have been trained to their end: with one, the best is known beforehand."""

_LEFT_OUT = {
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "not ended",
    TrialState.WAITING: "not ended",
}


def study_curves(store: Store, name: str) -> LearningCurves:
    """Read the curves of a study's trials, complete or stopped by the pruner.

    Args:
        store: The store.
        name: The study.

    Returns:
        The curves. The space is that of the study's latest launch, and trials outside its ranges
        are left out, as are those that failed or have not ended, and those without an epoch of
        each of their replicates. Of trials with the same parameters the one that was trained the
        longest counts, the first of these. The epochs after a stopped trial's last are assumed:
        see the module. The provenance says how many trials were stopped and left out, and why.

    Raises:
        StudyNotFoundError: If the store does not hold the study.
        UsageError: If it was not begun by `search.launch`, has an objective that cannot be
            replayed, or has too few trials: see `FEWEST_POINTS` and `FEWEST_COMPLETE`.
    """
    study_id = store.study_id(name)
    launches = store.launches(study_id)
    if not launches:
        raise UsageError(f"--study {name}: not begun by search.launch; name another study.")
    space = parse_space(launches[-1].config, f"study '{name}'")
    if space.sampler.name == "pbt":
        raise UsageError(
            f"--study {name}: its trials go on from one another, and none has a curve of its own; "
            "name another study."
        )
    metric = replayed_objective(space)
    if metric is None:
        found = " and ".join(objective.metric for objective in space.objectives)
        raise UsageError(
            f"--study {name}: its objective is {found}; a replay needs one alone, that every epoch "
            "says."
        )
    with translated(store.url):
        study = optuna.load_study(study_name=name, storage=store.optuna_storage)
        trials = study.get_trials(deepcopy=False)
    points, left_out = _points(store, study_id, space, trials)
    n_stopped = sum(point.n_trained is not None for point in points)
    _check(name, len(trials), len(points) - n_stopped, n_stopped, left_out)
    return LearningCurves(
        provenance={
            "study": name,
            "storage": store.name,
            "trials": len(trials),
            "trials_replayed": len(points),
            "trials_stopped": n_stopped,
            "trials_left_out": left_out,
            **_origin(launches[-1]),
        },
        truth=_truth(metric.words, space.replicates, n_stopped),
        space=space,
        points=tuple(points),
    )


def _origin(launch: LaunchRecord) -> dict[str, Any]:
    return {
        "git_commit": launch.git_commit,
        "git_dirty": launch.git_dirty,
        "versions": launch.versions,
        "hardware": launch.hardware,
        "data_source": launch.data_source,
        "data_fingerprint": launch.data_fingerprint,
    }


def _truth(words: str, replicates: int, n_stopped: int) -> str:
    said = f"the trial's own {words} on {count(replicates, 'seed')}, luck included"
    return said + ("; a stopped trial's as far as it was trained" if n_stopped else "")


def _check(
    name: str, n_trials: int, n_complete: int, n_stopped: int, left_out: dict[str, int]
) -> None:
    """Refuse a study of which too few trials can be replayed to tell anything."""
    mend = "give it a larger budget and search on, or name another study"
    if n_complete + n_stopped < FEWEST_POINTS:
        why = ", ".join(f"{n} {reason}" for reason, n in left_out.items())
        raise UsageError(
            f"--study {name}: {n_complete + n_stopped} of its {n_trials} trials can be replayed"
            f"{f' (left out: {why})' if why else ''}; fewer than {FEWEST_POINTS} tell nothing of "
            f"samplers and pruners: {mend}."
        )
    if n_complete < FEWEST_COMPLETE:
        raise UsageError(
            f"--study {name}: {n_complete} of the {n_complete + n_stopped} trials that can be "
            f"replayed was trained to its end; a replay needs {FEWEST_COMPLETE} or more: {mend}."
        )


def _points(
    store: Store, study_id: int, space: Space, trials: Iterable[FrozenTrial]
) -> tuple[list[RecordedPoint], dict[str, int]]:
    """The trials that can be replayed, and why -> how many of the others."""
    runs: defaultdict[int, list[RunRecord]] = defaultdict(list)
    for run in store.runs(study_id, "search"):
        if run.trial_id is not None:
            runs[run.trial_id].append(run)
    epochs = store.epochs(run.run_id for of_trial in runs.values() for run in of_trial)
    found: dict[frozenset[Any], RecordedPoint] = {}
    left_out: Counter[str] = Counter()
    for trial in trials:
        of_trial = sorted(runs[trial._trial_id], key=lambda run: run.replicate)
        recorded = [epochs[run.run_id] for run in of_trial]
        point = _point(space, trial, recorded)
        if isinstance(point, str):
            left_out[point] += 1
            continue
        key = frozenset(point.params.items())
        if key in found:
            left_out["with the parameters of another"] += 1
            if _length(found[key], space) >= _length(point, space):
                continue
        found[key] = point
    return list(found.values()), dict(left_out)


def _length(point: RecordedPoint, space: Space) -> int:
    return space.training.epochs if point.n_trained is None else point.n_trained


def _point(
    space: Space, trial: FrozenTrial, recorded: Sequence[Sequence[Epoch]]
) -> RecordedPoint | str:
    """A trial as a point, or why it is left out."""
    if trial.state in _LEFT_OUT:
        return _LEFT_OUT[trial.state]
    params = trial.params
    if sorted(params) != sorted(space.active(params)) or not all(
        space.parameters[key].contains(value) for key, value in params.items()
    ):
        return "outside its present ranges"
    measured = space.config_type.measured
    names = dict.fromkeys([space.objectives[0].metric, *measured.kept_by])
    curves = [
        _run(
            epochs, list(names), space.training.epochs, was_stopped=trial.state == TrialState.PRUNED
        )
        for epochs in recorded
    ]
    whole = [curve for curve in curves if curve is not None]
    if not len(whole) == len(curves) == space.replicates:
        return "without a curve" if space.replicates == 1 else "without a curve of each seed"
    return RecordedPoint(params=params, runs=tuple(whole))


def _run(
    epochs: Sequence[Epoch], names: Sequence[str], n_epochs: int, *, was_stopped: bool
) -> RecordedRun | None:
    """A run's curve, or None where it has none that can be replayed.

    Args:
        epochs: Its epochs in order.
        names: The metrics of which the curve is.
        n_epochs: Epochs of a whole run.
        was_stopped: Whether its last epoch is repeated up to these.
    """
    known = list(takewhile(lambda each: all(math.isfinite(each[name]) for name in names), epochs))
    n_missing = n_epochs - len(known)
    if not known or n_missing < 0 or (n_missing and not was_stopped):
        return None
    return RecordedRun(
        metrics={
            name: tuple(each[name] for each in [*known, *known[-1:] * n_missing]) for name in names
        },
        epoch_seconds=math.fsum(each.seconds for each in known) / len(known),
        n_trained=len(known) if n_missing else None,
    )
