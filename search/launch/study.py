"""Running one launch of a study, from its plan to its outcome."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from optuna.trial import TrialState

from search.launch.budget import add_budget
from search.launch.confirm import confirm, confirm_queue
from search.launch.open_launch import OpenLaunch
from search.launch.plan import Plan
from search.launch.reserve import Reserve
from search.runs.checkpoints import require_writable
from search.runs.stopping import Stopping
from search.trials.asking import has_levelled
from search.trials.epoch_budget import EpochBudget
from search.trials.ledger import Ledger
from search.trials.open_trial import Observer
from search.trials.study import OpenedStudy, examples
from search.workers.group_size import group_size_of_study
from search.workers.ray_session import Slots
from search.workers.scratch import scratch_root, sweep_scratch
from search.workers.tune import run_tune
from search.workers.workplace import OpenWorkplace
from space.errors import ClusterError
from space.words import duration
from storage.actions import ADD_BUDGET, STOP_TRIAL

__all__ = ["LaunchObserver", "Outcome", "run_study", "search"]

logger = logging.getLogger(__name__)


class LaunchObserver(Observer, Protocol):
    """Hears of the launch as a whole, too."""

    def on_launch(
        self, opened: OpenedStudy, slots: Slots, n_reclaimed: int, changes: list[str]
    ) -> None:
        """The study is open, Ray is up and the first trial is about to start."""

    def on_tick(self) -> None:
        """Time passed; called many times a second."""

    def close(self) -> None:
        """The search has ended; may be called more than once."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a launch ended.

    Attributes:
        status: ``"done"`` (the budget of trials or epochs is spent), ``"plateau"``
            (as many trials as `limits.plateau` says brought no better one), ``"time limit"`` (of
            the search or of its confirmation) or ``"interrupted"``.
        launch_id: The launch in the store.
        n_interrupted: Trials stopped in their course, which go on with the next launch.
        seconds: How long the launch took.
    """

    status: str
    launch_id: int
    n_interrupted: int
    seconds: float


def run_study(
    plan: Plan,
    opened: OpenedStudy,
    observer: LaunchObserver,
    *,
    stop_requested: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Start Ray and run a launch of a study on it.

    Args:
        plan: What to run, where, and with which budget.
        opened: The study.
        observer: Hears of every event.
        stop_requested: Called many times a second; whether a person asks the launch to stop.

    Returns:
        How it ended. Whatever was interrupted goes on with the next launch.

    Raises:
        UserError: If the study, the store or the cluster does not allow it.
    """
    started = time.monotonic()
    if _is_done(opened):
        with OpenLaunch(plan, opened) as launch:
            launch.put_right()
            with contextlib.suppress(ClusterError):  # Where Ray could not be started either.
                sweep_scratch(scratch_root())
            status = _settled("done", opened)
            launch.end(status)
        outcome = Outcome(
            status=status,
            launch_id=launch.launch_id,
            n_interrupted=0,
            seconds=0.0,
        )
    else:
        require_writable(plan.place.checkpoints.parent)  # What --checkpoints names.
        limit = plan.space.budget.time_limit
        deadline = math.inf if limit is None else started + limit
        stopping = Stopping(requested=stop_requested, deadline=deadline)
        with plan.place.open() as place:
            outcome = search(plan, opened, observer, place, stopping)
    return replace(outcome, seconds=time.monotonic() - started)


def _is_done(opened: OpenedStudy) -> bool:
    """Whether nothing is left to train, and so no need of Ray, which takes seconds to start."""
    space = opened.space
    with opened.store.guarded():
        trials = opened.trials()
        states = {trial.state for trial in trials}
        most = space.max_trials
        is_full = (most is not None and len(trials) >= most) or has_levelled(opened)
        if TrialState.RUNNING in states or not (
            EpochBudget(opened).is_spent or (is_full and TrialState.WAITING not in states)
        ):
            return False
        return not space.confirm.top or not confirm_queue(opened)


def search(
    plan: Plan,
    opened: OpenedStudy,
    observer: LaunchObserver,
    place: OpenWorkplace,
    stopping: Stopping,
) -> Outcome:
    """Ask, train, report and tell until the budget is spent or the launch must stop.

    Args:
        plan: As for `run_study`.
        opened: As for `run_study`.
        observer: As for `run_study`.
        place: Where trials run.
        stopping: When the launch must stop.

    Returns:
        As `run_study`; its seconds are those of the search alone.
    """
    started = time.monotonic()
    space = opened.space
    group_size = group_size_of_study(space, place, lambda: examples(space))
    with OpenLaunch(plan, opened) as launch:
        reserve = Reserve(opened, place.slots, observer)
        launch.ledger = ledger = Ledger(opened, launch.launch_id, reserve)
        ledger.course.stopping = stopping
        stopping.actions = actions = launch.actions
        actions.carry_out = {
            STOP_TRIAL: lambda action: ledger.stop_trial(action.trial_number, action),
            ADD_BUDGET: add_budget(opened, actions, stopping),
        }
        n_reclaimed = launch.put_right()
        observer.on_launch(opened, place.slots, n_reclaimed, launch.changes)

        def on_step() -> str | None:
            return _step(ledger, reserve, observer, stopping)

        status = _settled(run_tune(ledger, place, group_size, on_step), opened)
        actions.carry_out = {}
        n_interrupted = ledger.interrupt(status)
        observer.close()
        if space.confirm.top and status != "interrupted" and stopping.seconds_left > 0:
            confirmed = confirm(opened, place, launch.launch_id, stopping)
            status = status if confirmed == "done" else confirmed
        launch.end(status)
    return Outcome(
        status=status,
        launch_id=launch.launch_id,
        n_interrupted=n_interrupted,
        seconds=time.monotonic() - started,
    )


def _settled(status: str, opened: OpenedStudy) -> str:
    """How a search ended that had nothing left to do: its budget is spent, or it levelled off."""
    return "plateau" if status == "done" and has_levelled(opened) else status


def _step(
    ledger: Ledger, reserve: Reserve, observer: LaunchObserver, stopping: Stopping
) -> str | None:
    """What happens between two events: the lease, the display, and whether to stop.

    Returns:
        Why the search must stop now, or None.

    Raises:
        DeletedError: If another program deleted the study.
    """
    with ledger.holding():
        ledger.renew()
        observer.on_tick()
        reason, left = stopping.reason(), stopping.seconds_left
        if reason is not None or math.isinf(left):
            return reason
        kept = reserve.seconds(left)
        if left > kept:
            return None
        logger.info(
            "the search ends now: %s of its time limit are kept to confirm what it found",
            duration(math.ceil(kept)),
        )
        return "time limit"
