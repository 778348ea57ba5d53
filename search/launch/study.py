"""Running one launch of a study, from its plan to its outcome."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import optuna
from optuna.trial import TrialState

from search.launch.confirm import confirm, confirm_queue
from search.launch.open_launch import OpenLaunch
from search.launch.plan import Plan, require_writable
from search.launch.reserve import Reserve
from search.trials.ledger import Ledger
from search.trials.observer import Observer
from search.trials.sampling import make_pruner, make_sampler
from search.workers.group_size import group_size_of_study
from search.workers.ray_session import Slots, ray_session
from search.workers.tune import run_tune
from space import format_duration
from space.errors import StudyMismatchError
from storage import Store
from storage.locking import study_lock
from storage.tables.attributes import BASELINE

__all__ = ["LaunchObserver", "Outcome", "open_study", "run_study", "search"]

logger = logging.getLogger(__name__)


class LaunchObserver(Observer, Protocol):
    """Hears of the launch as a whole, too."""

    def on_launch(
        self, study: optuna.Study, slots: Slots, n_reclaimed: int, changes: list[str]
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
        status: ``"done"`` (the budget of trials or epochs is spent), ``"time limit"`` (of the
            search or of its confirmation) or ``"interrupted"``.
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
    store: Store,
    observer: LaunchObserver,
    *,
    stop_requested: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Start Ray and run a launch of a study on it.

    Args:
        plan: What to run, where, and with which budget.
        store: The study store; of this launch, only this process writes to it.
        observer: Hears of every event.
        stop_requested: Called many times a second; whether a person asks the launch to stop.

    Returns:
        How it ended. Whatever was interrupted goes on with the next launch.

    Raises:
        UserError: If the study, the store or the cluster does not allow it.
    """
    started = time.monotonic()
    study = open_study(plan, store)  # One that may not go on is refused before Ray is started.
    if _is_done(plan, store, study):
        with OpenLaunch(plan, store, study) as launch:
            launch.put_right()
            launch.end("done")
        seconds = time.monotonic() - started
        return Outcome(status="done", launch_id=launch.launch_id, n_interrupted=0, seconds=seconds)
    require_writable(plan.checkpoints)
    with ray_session(plan.ray_address, verbose=plan.verbose) as scratch:
        return search(
            plan,
            store,
            observer,
            slots=plan.slots(),
            scratch=scratch,
            started=started,
            stop_requested=stop_requested,
        )


def _is_done(plan: Plan, store: Store, study: optuna.Study) -> bool:
    """Whether nothing is left to train, and so no need of Ray, which takes seconds to start."""
    with store.guarded():
        trials = study.get_trials(deepcopy=False)
        states = {trial.state for trial in trials}
        max_trials, max_epochs = plan.max_trials, plan.space.budget.epochs
        is_full = max_trials is not None and len(trials) >= max_trials
        is_spent = max_epochs is not None and store.n_epochs(study._study_id) >= max_epochs
        if TrialState.RUNNING in states or not (
            is_spent or (is_full and TrialState.WAITING not in states)
        ):
            return False
        return not plan.space.confirm.top or not confirm_queue(plan, store, study)


def search(
    plan: Plan,
    store: Store,
    observer: LaunchObserver,
    *,
    slots: Slots,
    scratch: Path,
    started: float | None = None,
    stop_requested: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Ask, train, report and tell until the budget is spent or the launch must stop.

    Args:
        plan: As for `run_study`.
        store: As for `run_study`.
        observer: As for `run_study`.
        slots: Where trials run, on the Ray that is up.
        scratch: A directory for what Tune insists on writing.
        started: When the launch began (`time.monotonic`); the time limit counts from there.
        stop_requested: As for `run_study`.

    Returns:
        As `run_study`.
    """
    started = time.monotonic() if started is None else started
    limit = plan.space.budget.time_limit
    deadline = None if limit is None else started + limit
    study = open_study(plan, store)
    group_size = group_size_of_study(
        plan.space,
        slots,
        examples=plan.examples,
        images=plan.images,
        max_trials=plan.max_trials,
    )
    with OpenLaunch(plan, store, study) as launch:
        reserve = Reserve(plan, store, study, slots, observer)
        launch.ledger = ledger = Ledger(
            study=study,
            store=store,
            space=plan.space,
            resolve=plan.resolve,
            launch_id=launch.launch_id,
            observer=reserve,
            max_trials=plan.max_trials,
            max_epochs=plan.space.budget.epochs,
        )
        n_reclaimed = launch.put_right()
        observer.on_launch(study, slots, n_reclaimed, launch.changes)
        status = run_tune(
            ledger,
            slots=slots,
            group_size=group_size,
            cpus_per_trial=plan.space.resources.cpus,
            checkpoint_path=plan.checkpoint_path,
            on_step=_Stepper(ledger, deadline, reserve, observer, stop_requested),
            scratch=scratch,
            images=plan.images,
            verbose=plan.verbose,
        )
        n_interrupted = ledger.interrupt(status)
        observer.close()
        if _may_confirm(plan, status, deadline):
            confirmed = confirm(
                plan,
                store,
                study,
                launch_id=launch.launch_id,
                slots=slots,
                scratch=scratch,
                stop_requested=stop_requested,
                deadline=deadline,
            )
            status = status if confirmed == "done" else confirmed
        launch.end(status)
    return Outcome(
        status=status,
        launch_id=launch.launch_id,
        n_interrupted=n_interrupted,
        seconds=time.monotonic() - started,
    )


def open_study(plan: Plan, store: Store) -> optuna.Study:
    """Create the study, or go on with it; its baselines are in the queue.

    Args:
        plan: The launch's plan.
        store: The store.

    Returns:
        The study with its pruner and the sampler of a further launch.

    Raises:
        StudyMismatchError: If it was begun under other terms.
        StorageError: If the database fails.
    """
    space = plan.space
    metrics: list[str] = [objective.metric for objective in space.objectives]
    directions = [objective.direction for objective in space.objectives]
    with store.guarded():
        study = optuna.create_study(
            study_name=space.study,
            storage=store.optuna_storage,
            directions=directions,
            load_if_exists=True,
        )
        found = [direction.name.lower() for direction in study.directions]
        if found != directions:
            raise StudyMismatchError(
                f"study '{space.study}' in {store.name} was begun to {' and '.join(found)}, not to "
                f"{' and '.join(directions)}; name a new study with --study."
            )
        record = store.add_study(
            study._study_id,
            identity=plan.identity(),
            metrics=metrics,
            data_source=plan.data_source,
            data_fingerprint=plan.data_fingerprint,
        )
        differences = plan.differences(record)
        if differences:
            raise StudyMismatchError(
                f"study '{space.study}' in {store.name} was begun under other terms "
                f"({'; '.join(differences)}); name a new study with --study."
            )
        with study_lock(store, study._study_id):
            known = study.get_trials(deepcopy=False)
            if not known:
                study.set_metric_names(metrics)
            enqueued = [
                space.point(trial.user_attrs[BASELINE])
                for trial in known
                if BASELINE in trial.user_attrs
            ]
            if space.sampler.name == "grid":
                # A point of a grid has one trial, also where it becomes a baseline later.
                enqueued += [space.point(trial.params) for trial in known]
            for params in space.baseline_params():
                if params not in enqueued:
                    study.enqueue_trial(params, user_attrs={BASELINE: params})
        study.pruner = make_pruner(space)
        study.sampler = make_sampler(
            space,
            n_existing_trials=len(study.get_trials(deepcopy=False)),
            n_earlier_launches=len(store.launches(study._study_id)),
        )
    return study


def _may_confirm(plan: Plan, status: str, deadline: float | None) -> bool:
    """Whether there is something to confirm, and time for it."""
    is_late = deadline is not None and time.monotonic() >= deadline
    return bool(plan.space.confirm.top) and status != "interrupted" and not is_late


class _Stepper:
    """What happens between two events: the lease, the display, and whether to stop."""

    def __init__(
        self,
        ledger: Ledger,
        deadline: float | None,
        reserve: Reserve,
        observer: LaunchObserver,
        stop_requested: Callable[[], bool],
    ) -> None:
        self._ledger = ledger
        self._deadline = deadline
        self._reserve = reserve
        self._observer = observer
        self._stop_requested = stop_requested

    def __call__(self) -> str | None:
        """Why the search must stop now, or None.

        Raises:
            DeletedError: If another program deleted the study.
        """
        with self._ledger.holding():
            return self._step()

    def _step(self) -> str | None:
        self._ledger.renew()
        self._observer.on_tick()
        if self._stop_requested():
            return "interrupted"
        if self._deadline is None:
            return None
        left = self._deadline - time.monotonic()
        kept = self._reserve.seconds(left)
        if left > kept:
            return None
        if left > 0:
            logger.info(
                "the search ends now: %s of its time limit are kept to confirm what it found",
                format_duration(math.ceil(kept)),
            )
        return "time limit"
