"""Studies of a store as plain dictionaries: what ``python -m storage`` prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from storage.glance import abandoned_trials, glance_at_studies
from storage.leases import status_of
from storage.records import LaunchRecord, RunRecord
from storage.store import Store

__all__ = ["describe_study", "list_studies"]

INTERRUPTED = "INTERRUPTED"
"""The state of a trial that Optuna says is running, whose launch died."""


def list_studies(store: Store) -> list[dict[str, Any]]:
    """Every study of a store: name, states, best value and last activity.

    Returns:
        One dictionary a study, in the order they were begun; its best value is that of the first
        objective among complete trials. Studies that were made by other tools are among them,
        without launches. Trials of a launch that died are `INTERRUPTED`.
    """
    launches: dict[int | None, list[LaunchRecord]] = {}
    for launch in store.launches():
        launches.setdefault(launch.study_id, []).append(launch)
    records = store.study_records()
    abandoned = abandoned_trials(store)
    rows = []
    for study in glance_at_studies(store):
        record = records.get(study.study_id)
        own = launches.get(study.study_id, [])
        counts = Counter(study.counts)
        counts[INTERRUPTED] = len(abandoned.get(study.study_id, ()))
        counts["RUNNING"] -= counts[INTERRUPTED]
        rows.append(
            {
                "study": study.name,
                "trials": dict(counts),
                "best": study.best,
                "metrics": [] if record is None else record.metrics,
                "data_source": None if record is None else record.data_source,
                "launches": len(own),
                "last_launch": own[-1].started_at.isoformat(timespec="seconds") if own else None,
            }
        )
    return rows


def describe_study(store: Store, name: str) -> dict[str, Any]:
    """All there is to say of one study: terms, states, best trial, launches, trials.

    Trials of a launch that died are `INTERRUPTED`.

    Raises:
        StudyNotFoundError: If the store does not hold it.
    """
    study_id = store.study_id(name)
    storage = store.optuna_storage
    trials = storage.get_all_trials(study_id, deepcopy=False)
    abandoned = abandoned_trials(store).get(study_id, set())
    states = [INTERRUPTED if trial._trial_id in abandoned else trial.state.name for trial in trials]
    record = store.study_records().get(study_id)
    runs: dict[int | None, list[RunRecord]] = {}
    for run in store.runs(study_id, "search"):
        runs.setdefault(run.trial_id, []).append(run)
    every = [run for own in runs.values() for run in own]
    directions = storage.get_study_directions(study_id)
    return {
        "study": name,
        "created_at": None if record is None else record.created_at.isoformat(timespec="seconds"),
        "metrics": [] if record is None else record.metrics,
        "directions": [direction.name.lower() for direction in directions],
        "data_source": None if record is None else record.data_source,
        "data_fingerprint": None if record is None else record.data_fingerprint,
        "trials_by_state": _counts(states),
        "epochs": sum(run.n_epochs for run in every),
        "train_seconds": sum(run.train_seconds for run in every),
        "best": _best(trials, directions),
        "launches": [_launch(launch) for launch in store.launches(study_id)],
        "trials": [
            {
                **_trial(trial),
                "state": state,
                "runs": [run.run_id for run in runs.get(trial._trial_id, [])],
                "epochs": sum(run.n_epochs for run in runs.get(trial._trial_id, [])),
                "reason": next((run.reason for run in runs.get(trial._trial_id, [])), None),
            }
            for trial, state in zip(trials, states, strict=True)
        ],
    }


def _counts(states: Sequence[str]) -> dict[str, int]:
    known = [*(state.name for state in TrialState), INTERRUPTED]
    return {state: states.count(state) for state in known}


def _best(trials: list[FrozenTrial], directions: list[Any]) -> dict[str, Any] | None:
    """The best complete trial; of several objectives, by the first."""
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if not complete:
        return None
    sign = -1 if directions[0] == optuna.study.StudyDirection.MAXIMIZE else 1
    return _trial(min(complete, key=lambda trial: (sign * trial.values[0], trial.number)))


def _trial(trial: FrozenTrial) -> dict[str, Any]:
    return {
        "number": trial.number,
        "state": trial.state.name,
        "values": trial.values,
        "params": trial.params,
    }


def _launch(launch: LaunchRecord) -> dict[str, Any]:
    status = status_of(launch)
    # Of one that died it is known when it was last heard of.
    ended = launch.heartbeat_at if status == "died" else launch.ended_at
    return {
        "launch": launch.launch_id,
        "status": status,
        "started_at": launch.started_at.isoformat(timespec="seconds"),
        "ended_at": None if ended is None else ended.isoformat(timespec="seconds"),
        "command": launch.command,
        "changes": launch.changes,
        "git_commit": launch.git_commit,
        "git_dirty": launch.git_dirty,
        "versions": launch.versions,
        "hardware": launch.hardware,
        "host": launch.host,
    }
