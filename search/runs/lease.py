"""Which launches are alive, and what becomes of the trials of those that are not."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Container, Sequence
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from search.runs.course import Course
from space.errors import LeaseLostError
from space.files.places import Place, reaching
from storage import RunRecord, Store
from storage.connect.outage import OUTAGE_SECONDS
from storage.leases import LEASE_SECONDS, is_alive
from storage.runs import STATE_OF_RUNS
from storage.tables.records import LaunchRecord
from trainables.worker.checkpoint import delete_checkpoint

__all__ = [
    "HEARTBEAT_SECONDS",
    "LEASE_SECONDS",
    "TOUCH_SECONDS",
    "Lease",
    "is_alive",
    "reclaim_runs",
    "reclaim_stale",
    "sweep_checkpoints",
]

logger = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 5.0
TOUCH_SECONDS = LEASE_SECONDS - OUTAGE_SECONDS
"""A launch must have been in touch with the store for so long to call others dead that are silent:
what cut it off for as long may have cut them off as well."""


class Lease:
    """A launch's right to its trials, renewed by heartbeats.

    A launch that was suspended for longer than its lease finds, when it wakes, that another has
    taken its trials over: it must not write another word.
    """

    def __init__(self, store: Store, launch_id: int, course: Course | None = None) -> None:
        """Hold the lease of a launch that has just begun, whose heartbeats tell its course."""
        self._store = store
        self._launch_id = launch_id
        self._course = course
        # Wall-clock time: the monotonic clock stands still while a machine sleeps.
        self._renewed = self._in_touch_since = time.time()

    @property
    def allowed_silence(self) -> float:
        """Seconds that another launch may be silent before this one may call it dead."""
        in_touch = time.time() - self._in_touch_since
        return LEASE_SECONDS if in_touch >= TOUCH_SECONDS else math.inf

    def outlives_others(self, study_id: int) -> bool:
        """Whether another launch of a study has died and its trials are not yet put back.

        Raises:
            StorageError: If the database fails.
        """
        return any(
            launch.launch_id != self._launch_id
            and not is_alive(launch, allowed_silence=self.allowed_silence)
            for launch in self._store.launches(study_id, status="running")
        )

    def renew(self) -> None:
        """Beat if it is time to; to be called before whatever the launch writes.

        Raises:
            LeaseLostError: If the launch was taken for dead.
            StorageError: If the database fails.
        """
        now = time.time()
        if 0 <= now - self._renewed < HEARTBEAT_SECONDS:
            return
        course = None if self._course is None else self._course.record()
        if not self._store.beat(self._launch_id, course):
            raise LeaseLostError(
                f"launch {self._launch_id} was not heard of for {now - self._renewed:.0f} s, so "
                "another launch took its trials over; run the same command again to go on beside "
                "it."
            )
        # The beat itself may have waited for the database.
        if not 0 <= time.time() - self._renewed < TOUCH_SECONDS:
            self._in_touch_since = time.time()
        self._renewed = now


def reclaim_stale(
    study: optuna.Study,
    store: Store,
    *,
    launch_id: int,
    allowed_silence: float = LEASE_SECONDS,
) -> int:
    """Put the running trials of launches that died back in the queue.

    Args:
        study: The study.
        store: The store that holds it.
        launch_id: The launch that asks; its own runs stay as they are.
        allowed_silence: Seconds without a heartbeat after which a launch is dead.

    Returns:
        How many trials were put back.

    Raises:
        StorageError: If the database fails.
    """
    # Of several launches that find the same trials, the next one sees what became of them; and none
    # is asked for meanwhile.
    with store.guarded(), store.locked(study._study_id):
        alive, dead = _judged(store, allowed_silence, own=launch_id)
        launches = store.launches(study._study_id, status="running")
        # What another has taken up has a run a moment later; one's own has none any more.
        others = alive - {launch_id}
        taken = {each.last_trial for each in launches if each.launch_id in others}
        # Only what may be held is read: a study may have ended thousands of trials.
        held_of: dict[int | None, list[RunRecord]] = {}
        for run in store.runs(study._study_id, "search", state="running"):
            held_of.setdefault(run.trial_id, []).append(run)
        n_reclaimed = 0
        for trial in store.optuna_storage.get_all_trials(study._study_id, deepcopy=False):
            held = held_of.get(trial._trial_id, [])
            if trial.state != TrialState.RUNNING and not held:
                continue
            stale = [run for run in held if run.launch_id not in alive]
            state = STATE_OF_RUNS.get(trial.state, "interrupted")
            n_freed = sum(
                store.free_run(run.run_id, run.launch_id, state, "its launch died") for run in stale
            )
            if trial.state == TrialState.RUNNING and n_freed == len(held):
                if not held and trial.number in taken:
                    continue
                try:
                    store.optuna_storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)
                except (KeyError, UpdateFinishedTrialError):
                    continue  # Another program deleted or ended it meanwhile.
                n_reclaimed += 1
        _close(store, dead, study._study_id)
    return n_reclaimed


def reclaim_runs(store: Store, purpose: str) -> int:
    """Free the runs of launches that died, for a purpose that knows no trials.

    Args:
        store: The store.
        purpose: ``"confirm"`` or ``"benchmark"``.

    Returns:
        How many runs may go on.
    """
    # In this order: a launch that begins in between has none of these runs.
    running = store.runs(purpose=purpose, state="running")
    alive, dead = _judged(store)
    n_freed = sum(
        store.free_run(run.run_id, run.launch_id, "interrupted", "its launch died")
        for run in running
        if run.launch_id not in alive
    )
    _close(store, dead, None)
    return n_freed


def _judged(
    store: Store, allowed_silence: float = LEASE_SECONDS, *, own: int | None = None
) -> tuple[set[int | None], list[LaunchRecord]]:
    """The launches that are alive, one's own among them, and those that died unnoticed so far."""
    running = store.launches(status="running")
    alive = {own} | {
        launch.launch_id for launch in running if is_alive(launch, allowed_silence=allowed_silence)
    }
    return alive, [launch for launch in running if launch.launch_id not in alive]


def _close(store: Store, dead: Sequence[LaunchRecord], study_id: int | None) -> None:
    """Close the dead launches of a study, or those of none.

    Another study's are left to its own launches: that they died says which trials to put back.
    """
    for launch in dead:
        if launch.study_id == study_id:
            store.end_launch(launch.launch_id, "died")


def sweep_checkpoints(
    directory: Place, store: Store, study_id: int, *, needed: Container[str] = ()
) -> None:
    """Delete what a killed launch left of runs that need no checkpoint any more.

    Args:
        directory: Where the study's checkpoints lie; other stores' may lie there too.
        store: The store.
        study_id: The study.
        needed: The uids of runs from whose end others go on.
    """
    try:
        with reaching(directory):
            paths: list[Any] = [
                path
                for pattern in ("*.pt*", ".*.safetensors.*")
                for path in (directory.rglob(pattern) if directory.is_dir() else ())
            ]
    except OSError as error:
        logger.warning("checkpoints in %s cannot be looked through (%s)", directory, error)
        return
    ended = store.ended_uids(study_id) if paths else set()
    for path in paths:
        uid = path.name.lstrip(".").partition(".")[0]
        if uid in ended and uid not in needed:
            delete_checkpoint(path)
