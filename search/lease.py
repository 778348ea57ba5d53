"""Which launches are alive, and what becomes of the trials of those that are not."""

from __future__ import annotations

import time
from pathlib import Path

import optuna
from optuna.trial import TrialState

from space.errors import LeaseLostError
from storage import RunRecord, Store
from storage.leases import LEASE_SECONDS, is_alive

__all__ = [
    "HEARTBEAT_SECONDS",
    "LEASE_SECONDS",
    "STATE_OF_RUNS",
    "Lease",
    "is_alive",
    "reclaim_runs",
    "reclaim_stale",
    "sweep_checkpoints",
]

HEARTBEAT_SECONDS = 5.0
STATE_OF_RUNS = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}
"""Trial state -> the state of its runs."""


class Lease:
    """A launch's right to its trials, renewed by heartbeats.

    A launch that was suspended for longer than its lease finds, when it wakes, that another has
    taken its trials over: it must not write another word.
    """

    def __init__(self, store: Store, launch_id: int) -> None:
        """Hold the lease of a launch that has just begun."""
        self._store = store
        self._launch_id = launch_id
        # Wall-clock time: the monotonic clock stands still while a machine sleeps.
        self._renewed = time.time()

    def renew(self) -> None:
        """Beat if it is time to; to be called before whatever the launch writes.

        Raises:
            LeaseLostError: If the launch was taken for dead.
            StorageError: If the database fails.
        """
        now = time.time()
        if 0 <= now - self._renewed < HEARTBEAT_SECONDS:
            return
        if not self._store.beat(self._launch_id):
            raise LeaseLostError(
                f"launch {self._launch_id} was not heard of for {now - self._renewed:.0f} s, so "
                "another launch took its trials over; run the same command again to go on beside "
                "it."
            )
        self._renewed = now


def reclaim_stale(study: optuna.Study, store: Store, *, launch_id: int) -> int:
    """Put the running trials of launches that died back in the queue.

    Args:
        study: The study.
        store: The store that holds it.
        launch_id: The launch that asks; it holds no trial yet.

    Returns:
        How many trials were put back.

    Raises:
        StorageError: If the database fails.
    """
    alive = _alive(store) - {launch_id}
    in_study = any(launch.launch_id in alive for launch in store.launches(study._study_id))
    with store.guarded():
        trials = {trial._trial_id: trial for trial in study.get_trials(deepcopy=False)}
        owned: dict[int, list[RunRecord]] = {}
        for run in store.runs(study._study_id, "search"):
            owned.setdefault(run.trial_id or 0, []).append(run)
        n_reclaimed = 0
        for trial_id, trial in trials.items():
            runs = owned.get(trial_id, [])
            if trial.state == TrialState.RUNNING:
                # Without a run it was asked for by a launch that had no time to say so.
                if any(run.launch_id in alive for run in runs) or (in_study and not runs):
                    continue
                store.optuna_storage.set_trial_state_values(trial_id, TrialState.WAITING)
                n_reclaimed += 1
            for run in runs:
                if run.state == "running" and run.launch_id not in alive:
                    state = STATE_OF_RUNS.get(trial.state, "interrupted")
                    store.end_run(run.run_id, state, "its launch died")
    _close_dead(store, alive | {launch_id})
    return n_reclaimed


def reclaim_runs(store: Store, purpose: str) -> int:
    """Free the runs of launches that died, for a purpose that knows no trials.

    Args:
        store: The store.
        purpose: ``"confirm"`` or ``"benchmark"``.

    Returns:
        How many runs may go on.
    """
    alive = _alive(store)
    stale = [
        run
        for run in store.runs(purpose=purpose)
        if run.state == "running" and run.launch_id not in alive
    ]
    for run in stale:
        store.end_run(run.run_id, "interrupted", "its launch died")
    _close_dead(store, alive)
    return len(stale)


def _alive(store: Store) -> set[int]:
    return {launch.launch_id for launch in store.launches() if is_alive(launch)}


def _close_dead(store: Store, alive: set[int]) -> None:
    for launch in store.launches():
        if launch.status == "running" and launch.launch_id not in alive:
            store.end_launch(launch.launch_id, "died")


def sweep_checkpoints(directory: Path, store: Store, study_id: int) -> None:
    """Delete what a killed launch left of runs that need no checkpoint any more.

    Args:
        directory: Where the study's checkpoints lie; other stores' may lie there too.
        store: The store.
        study_id: The study.
    """
    unfinished = ("running", "interrupted")
    finished = {run.uid for run in store.runs(study_id) if run.state not in unfinished}
    if directory.is_dir():
        for path in directory.rglob("*.pt*"):
            if path.name.lstrip(".").partition(".")[0] in finished:
                path.unlink(missing_ok=True)
