"""Which launches are alive, and what becomes of the trials of those that are not."""

from __future__ import annotations

import platform
from pathlib import Path

import optuna
from optuna.trial import TrialState

from storage import LaunchRecord, Store
from storage.schema import utc_now

__all__ = ["HEARTBEAT_SECONDS", "LEASE_SECONDS", "is_alive", "reclaim_runs", "reclaim_stale"]

HEARTBEAT_SECONDS = 5.0
LEASE_SECONDS = 60.0
"""A launch that was not heard of for so long is dead, and its trials are free to go on."""


def is_alive(launch: LaunchRecord) -> bool:
    """Whether a launch may still be running its trials.

    Its lease tells; where it ran on this very machine, so does the absence of its process.
    """
    if launch.status != "running":
        return False
    processes = Path("/proc")
    if launch.host == platform.node() and processes.exists():
        return (processes / str(launch.pid)).exists()
    return (utc_now() - launch.heartbeat_at).total_seconds() < LEASE_SECONDS


def reclaim_stale(study: optuna.Study, store: Store, *, launch_id: int) -> int:
    """Put the running trials of launches that died back in the queue.

    Args:
        study: The study.
        store: The store that holds it.
        launch_id: The launch that asks; it holds no trial yet.

    Returns:
        How many trials were put back.
    """
    launches = [
        launch for launch in store.launches(study._study_id) if launch.launch_id != launch_id
    ]
    alive = {launch.launch_id for launch in launches if is_alive(launch)}
    owners = {run.trial_id: run for run in store.runs(study._study_id, "search")}
    n_reclaimed = 0
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        run = owners.get(trial._trial_id)
        # Without a run it was asked for by a launch that had no time to say so, perhaps a live one.
        if (run.launch_id in alive) if run is not None else alive:
            continue
        store.optuna_storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)
        if run is not None:
            store.end_run(run.run_id, "interrupted", "its launch died")
        n_reclaimed += 1
    for launch in launches:
        if launch.status == "running" and launch.launch_id not in alive:
            store.end_launch(launch.launch_id, "died")
    return n_reclaimed


def reclaim_runs(store: Store, purpose: str) -> int:
    """Free the runs of launches that died, for a purpose that knows no trials.

    Args:
        store: The store.
        purpose: ``"confirm"`` or ``"benchmark"``.

    Returns:
        How many runs may go on.
    """
    alive = {launch.launch_id for launch in store.launches() if is_alive(launch)}
    stale = [
        run
        for run in store.runs(purpose=purpose)
        if run.state == "running" and run.launch_id not in alive
    ]
    for run in stale:
        store.end_run(run.run_id, "interrupted", "its launch died")
    for launch in store.launches():
        if launch.status == "running" and launch.launch_id not in alive:
            store.end_launch(launch.launch_id, "died")
    return len(stale)
