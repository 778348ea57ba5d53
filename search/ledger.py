"""The ledger of a launch: what is asked, reported and told, and the truth about every trial.

The ledger stands between Optuna, the store and whoever runs the trials, and knows nothing of Ray.
Its vocabulary is the searcher's: `next_assignment` asks, `report` hears one epoch and decides,
`fail` and `interrupt` close what cannot go on. It alone decides a trial's state:

    COMPLETE  the trial reached its full number of epochs
    PRUNED    the pruner stopped it; its value is the last one it reported
    FAIL      it raised, its loss was not finite, or its worker died too often; the reason is stored
    WAITING   it was interrupted; it goes on from its last checkpoint when a launch asks again

Early stopping has one authority, Optuna's pruner, whose whole evidence is in the store.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.reports import Report
from search.sampling import propose
from space import RunConfig, Space
from storage import RunRecord, Store

__all__ = ["Assignment", "Ledger", "Observer", "TrialView"]

logger = logging.getLogger(__name__)

FAIL_REASON = "fail_reason"
BASELINE = "baseline"


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """One run to train: the unit of work that the driver hands to a worker."""

    run: RunRecord
    config: RunConfig
    trial_number: int


@dataclass(kw_only=True)
class TrialView:
    """A trial as the person at the terminal sees it."""

    number: int
    params: dict[str, Any]
    is_baseline: bool
    n_epochs: int
    state: TrialState = TrialState.RUNNING
    values: list[float] | None = None
    reason: str | None = None
    resumed: bool = False


class Observer(Protocol):
    """Hears of every event of the launch; changes nothing."""

    def on_trial_start(self, trial: TrialView) -> None:
        """A trial began, or went on."""

    def on_trial_report(self, trial: TrialView, report: Report) -> None:
        """An epoch of a trial was recorded."""

    def on_trial_end(self, trial: TrialView) -> None:
        """A trial reached a final state, or was interrupted."""


@dataclass(kw_only=True)
class _OpenTrial:
    trial_id: int
    run_id: int
    view: TrialView


class Ledger:
    """Asks Optuna, hears reports, decides, and keeps the store true. See the module's docstring.

    Not thread-safe: one driver owns one ledger. Several launches may share a study.
    """

    def __init__(
        self,
        *,
        study: optuna.Study,
        store: Store,
        space: Space,
        resolve: Callable[[dict[str, Any]], RunConfig],
        launch_id: int,
        observer: Observer,
        max_trials: int | None,
        max_epochs: int | None,
    ) -> None:
        """Open the ledger of a launch.

        Args:
            study: The Optuna study, with its sampler and pruner.
            store: The store that holds it.
            space: The search space.
            resolve: Lays a trial's parameters over the study's fixed config.
            launch_id: This launch.
            observer: Hears of every event.
            max_trials: Trials that the study may hold in all, over all launches.
            max_epochs: Epochs that the study may train in all, over all launches.
        """
        self._study = study
        self._trials = store.optuna_storage
        self._store = store
        self._space = space
        self._resolve = resolve
        self._epochs = space.config.training.epochs
        self._launch_id = launch_id
        self._observer = observer
        self._max_trials = max_trials
        self._max_epochs = max_epochs
        self._n_epochs = store.n_epochs(study._study_id)
        self._open: dict[int, _OpenTrial] = {}
        self._metrics = [objective.metric for objective in space.objectives]
        self._is_single = len(self._metrics) == 1

    @property
    def n_open(self) -> int:
        """How many trials are in the hands of workers."""
        return len(self._open)

    @property
    def n_epochs(self) -> int:
        """How many epochs the study has trained, over all launches."""
        return self._n_epochs

    @property
    def epochs_spent(self) -> bool:
        """Whether the study's budget of epochs is used up."""
        return self._max_epochs is not None and self._n_epochs >= self._max_epochs

    def next_assignment(self) -> Assignment | None:
        """Ask for the next run to train.

        Returns:
            The run: an interrupted trial that goes on, a baseline, or what the sampler proposes.
            None once the study's budget is used up.
        """
        while not self.epochs_spent:
            if not self._may_start():
                return None
            trial = self._study.ask()
            params = propose(trial, self._space)
            assignment = self._open_trial(self._trials.get_trial(trial._trial_id), params)
            if assignment is not None:
                return assignment
        return None

    def _may_start(self) -> bool:
        """Whether a trial waits, or the budget of trials leaves room for a new one."""
        if self._max_trials is None:
            return True
        trials = self._study.get_trials(deepcopy=False)
        waits = any(trial.state == TrialState.WAITING for trial in trials)
        return waits or len(trials) < self._max_trials

    def _open_trial(self, trial: FrozenTrial, params: dict[str, Any]) -> Assignment | None:
        """Record that a trial runs; None where its evidence already ends it."""
        config = self._resolve(params)
        run = self._store.begin_run(
            launch_id=self._launch_id,
            study_id=self._study._study_id,
            trial_id=trial._trial_id,
            purpose="search",
            replicate=0,
            config_hash=config.config_hash(),
            config=config.model_dump(mode="json"),
        )
        view = TrialView(
            number=trial.number,
            params=params,
            is_baseline=bool(trial.user_attrs.get(BASELINE)),
            n_epochs=run.n_epochs,
            resumed=run.n_epochs > 0,
        )
        opened = _OpenTrial(trial_id=trial._trial_id, run_id=run.run_id, view=view)
        self._open[run.run_id] = opened
        if self._is_single and run.n_epochs > 0:
            # A driver killed between a report and the decision on it left the decision to us.
            view.values = [trial.intermediate_values[run.n_epochs]]
            if self._decide(opened, run.n_epochs, view.values):
                return None
        self._observer.on_trial_start(view)
        return Assignment(run=run, config=config, trial_number=trial.number)

    def report(self, report: Report) -> bool:
        """Hear one report of a worker.

        Args:
            report: An epoch's metrics, or a failure.

        Returns:
            Whether the run goes on.
        """
        opened = self._open.get(report.run_id)
        if opened is None:
            return False
        epoch = report.epoch
        if epoch is not None and report.failure is None and epoch.epoch <= opened.view.n_epochs:
            # The worker died after its last checkpoint, and its successor trained the epoch again.
            return True
        if epoch is not None and epoch.epoch > opened.view.n_epochs:
            self._record(opened, report)
        if report.failure is not None:
            self.fail(report.run_id, report.failure)
            return False
        if epoch is None:
            raise ValueError(f"run {report.run_id} reported neither an epoch nor a failure")
        values = [report.kept[metric] for metric in self._metrics]
        self._observer.on_trial_report(opened.view, report)
        return not self._decide(opened, epoch.epoch, values)

    def _record(self, opened: _OpenTrial, report: Report) -> None:
        """Put an epoch into the store: first where the pruner looks, then every metric of it.

        Both writes may be repeated, and only the second moves the run on, so a driver killed
        between them leaves an epoch that will be trained and written again to the same effect.
        """
        epoch = report.epoch
        if epoch is None:
            raise ValueError("there is no epoch to record")
        values = [report.kept.get(metric, float("nan")) for metric in self._metrics]
        if self._is_single:
            self._trials.set_trial_intermediate_value(opened.trial_id, epoch.epoch, values[0])
        self._store.record_epoch(
            opened.run_id,
            self._launch_id,
            epoch,
            best_epoch=report.best_epoch or epoch.epoch,
            worker=report.worker,
        )
        opened.view.n_epochs = epoch.epoch
        opened.view.values = values
        self._n_epochs += 1

    def _decide(self, opened: _OpenTrial, epoch: int, values: list[float]) -> bool:
        """End the trial if it is complete or should be pruned; say whether it ended."""
        if epoch >= self._epochs:
            self._tell(opened, TrialState.COMPLETE, values)
            return True
        if self._is_single and self._study.pruner.prune(
            self._study, self._trials.get_trial(opened.trial_id)
        ):
            self._tell(opened, TrialState.PRUNED, None, f"pruned after epoch {epoch}")
            return True
        return False

    def fail(self, run_id: int, reason: str) -> None:
        """Close a run that cannot go on: its trial is FAIL, for this reason."""
        opened = self._open.get(run_id)
        if opened is not None:
            self._trials.set_trial_user_attr(opened.trial_id, FAIL_REASON, reason)
            self._tell(opened, TrialState.FAIL, None, reason)

    def interrupt(self, reason: str) -> int:
        """Put every open trial back in the queue, to go on from its last checkpoint.

        Args:
            reason: Why, for the store.

        Returns:
            How many trials were open.
        """
        n_open = len(self._open)
        for opened in list(self._open.values()):
            self._trials.set_trial_state_values(opened.trial_id, TrialState.WAITING)
            self._store.end_run(opened.run_id, "interrupted", reason)
            self._close(opened, TrialState.WAITING, reason)
        return n_open

    def _tell(
        self,
        opened: _OpenTrial,
        state: TrialState,
        values: list[float] | None,
        reason: str | None = None,
    ) -> None:
        self._study.tell(opened.view.number, values, state=state)
        self._store.end_run(opened.run_id, _RUN_STATES[state], reason)
        self._close(opened, state, reason)

    def _close(self, opened: _OpenTrial, state: TrialState, reason: str | None) -> None:
        del self._open[opened.run_id]
        opened.view.state = state
        opened.view.reason = reason
        self._observer.on_trial_end(opened.view)


_RUN_STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}
