"""The ledger of a launch: what is asked, reported and told, and the truth about every trial.

The ledger stands between Optuna, the store and whoever runs the trials, and knows nothing of Ray.
Its vocabulary is the searcher's: `next_assignment` asks, `report` hears one epoch and decides,
`fail` and `interrupt` close what cannot go on. It alone decides a trial's state:

    COMPLETE  the trial reached its full number of epochs
    PRUNED    the pruner stopped it; its value is the last one it reported
    FAIL      it raised, its loss was not finite, or its worker died too often; the reason is stored
    WAITING   it was interrupted; it goes on from its last checkpoint when a launch asks again

Early stopping has one authority, Optuna's pruner, whose whole evidence is in the store. A trial of
several replicates reports their mean after each epoch that all of them have reached; under the
Wilcoxon pruner, which compares replicates, it reports each replicate's final value instead.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.runs.lease import STATE_OF_RUNS, Lease
from search.runs.protocol import Assignment, Report
from search.runs.seeds import replicate_config
from search.trials.asking import Asking
from search.trials.foreign import brief, safely
from search.trials.observer import Observer, TrialView
from search.trials.open_trial import OpenTrial
from search.trials.proposals import IMPOSSIBLE, QUEUED
from search.trials.resuming import as_begun, lost_failure
from search.trials.sampling import is_stopped, propose
from space import RunConfig, Space
from space.errors import SearchError
from storage import RunEpoch, Store, TrialStep
from storage.kept_epoch import RunProgress
from storage.locking import study_lock
from storage.tables.attributes import BASELINE, FAIL_REASON, STANDARD_ERROR
from trainables.runs import count_parameters

__all__ = ["Ledger"]

logger = logging.getLogger(__name__)

MOST_FAILURES = 30
"""A search of which so many trials in a row have failed stops: nothing of it works."""


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
        self._epochs = space.training.epochs
        self._launch_id = launch_id
        self._lease = Lease(store, launch_id)
        self._observer = observer
        self._max_epochs = max_epochs
        self._asking = Asking(
            study, store, space, launch_id=launch_id, lease=self._lease, max_trials=max_trials
        )
        self._n_epochs = store.n_epochs(study._study_id)
        self._open: dict[int, OpenTrial] = {}
        self._by_run: dict[int, OpenTrial] = {}
        self._metrics = [objective.metric for objective in space.objectives]
        self._n_failed_in_a_row = 0
        self._pruner_raised = False
        self._is_single = len(self._metrics) == 1
        self._in_turn = space.pruner.name == "wilcoxon"

    @property
    def n_epochs(self) -> int:
        """How many epochs the study has trained, over all launches."""
        return self._n_epochs

    @property
    def is_spent(self) -> bool:
        """Whether the study's budget of epochs is used up."""
        return self._max_epochs is not None and self._n_epochs >= self._max_epochs

    def _holding(self) -> AbstractContextManager[None]:
        """What the ledger does inside this says so where another program deleted what it holds."""
        return self._store.holding(self._launch_id, lambda: self._by_run)

    def is_open(self, run_id: int) -> bool:
        """Whether a run belongs to a trial in the hands of a worker, which may go on."""
        return run_id in self._by_run

    def renew(self) -> None:
        """Keep the launch's lease alive; to be called many times a minute.

        Raises:
            LeaseLostError: If the launch was taken for dead: it must not go on.
        """
        self._lease.renew()

    def next_assignment(self, beside: RunConfig | None = None) -> Assignment | None:
        """Ask for the next trial to train.

        Args:
            beside: What the worker trains already. A study's next trial is whatever comes next;
                where it does not fit to the others, the worker trains it in turn.

        Returns:
            Its runs: an interrupted trial goes on, a baseline begins, or the sampler proposes. None
            once the study's budget is used up; while trials are open, ask again now and then: one
            that another launch leaves behind is to go on.
        """
        self.renew()
        with self._holding():
            self._asking.look_after_others()
            while not self.is_spent:
                self._refuse_failing()
                trial = self._asking.next_trial(self._open)
                if trial is None:
                    break
                assignment = self._begin(trial)
                if assignment is not None:
                    return assignment
        return None

    def _refuse_failing(self) -> None:
        """Stop a search whose every trial fails: it would go on for as long as it may."""
        if self._n_failed_in_a_row < MOST_FAILURES:
            return
        last = self._study.get_trials(deepcopy=False, states=(TrialState.FAIL,))[-1]
        raise SearchError(
            f"study '{self._study.study_name}': {self._n_failed_in_a_row} trials in a row failed, "
            f"the last of them, trial {last.number}, since {last.user_attrs.get(FAIL_REASON)}; "
            "mend what their reasons name and run the same command again: it goes on."
        )

    def _begin(self, asked: optuna.Trial) -> Assignment | None:
        """Give a trial its parameters and open it; None where it cannot become a run."""
        params = None
        try:
            params = propose(asked, self._space)
            config = self._resolve(params)
            n_parameters = count_parameters(config.model)
        except IMPOSSIBLE as error:
            self._refuse(self._trials.get_trial(asked._trial_id), params, str(error))
            return None
        trial = self._trials.get_trial(asked._trial_id)
        return self._open_trial(trial, params, config, n_parameters)

    def _refuse(self, trial: FrozenTrial, params: dict[str, Any] | None, reason: str) -> None:
        """Close a trial that cannot become a run."""
        queued = {**trial.system_attrs.get(QUEUED, {}), **trial.params}
        opened = OpenTrial.without_runs(trial, params or queued, self._epochs)
        self._open[trial._trial_id] = opened
        self._observer.on_trial_start(opened.view)
        self._fail(opened, reason)

    def _open_trial(
        self, trial: FrozenTrial, params: dict[str, Any], config: RunConfig, n_parameters: int
    ) -> Assignment | None:
        """Record that a trial runs; None where its evidence already ends it."""
        runs = []
        for replicate in range(self._space.replicates):
            of_run = replicate_config(config, replicate)
            run = self._store.begin_run(
                launch_id=self._launch_id,
                study_id=self._study._study_id,
                trial_id=trial._trial_id,
                purpose="search",
                replicate=replicate,
                config_hash=of_run.config_hash(),
                config=of_run.model_dump(mode="json"),
                n_parameters=n_parameters,
            )
            runs.append((run, as_begun(run, of_run, params, self._space)))
        recorded = self._store.epochs(run.run_id for run, _ in runs if run.n_epochs)
        view = TrialView(
            number=trial.number,
            params=params,
            is_baseline=BASELINE in trial.user_attrs,
            n_epochs=min(run.n_epochs for run, _ in runs),
            resumed=any(run.n_epochs for run, _ in runs),
        )
        opened = OpenTrial(
            trial_id=trial._trial_id,
            view=view,
            runs={
                run.run_id: RunProgress(
                    self._metrics,
                    n_parameters=n_parameters,
                    epochs=recorded.get(run.run_id, ()),
                )
                for run, _ in runs
            },
            epochs=self._epochs,
            in_turn=self._in_turn,
            n_steps=len(trial.intermediate_values) if self._is_single else 0,
        )
        self._open[trial._trial_id] = opened
        self._by_run.update(dict.fromkeys(opened.runs, opened))
        self._observer.on_trial_start(view)
        lost = lost_failure(trial, runs, recorded)
        if lost is not None:
            self._fail(opened, lost)
            return None
        if view.resumed:
            # A driver killed between a report and the decision on it left the decision to us.
            steps = self._advance(opened)
            if steps:
                self._store.record_epochs(self._launch_id, [], steps)
            opened.undecided = opened.n_steps > 0
            if self._decide(opened):
                return None
        unfinished = [(run, config) for run, config in runs if run.n_epochs < self._epochs]
        return Assignment(runs=tuple(unfinished), in_turn=self._in_turn)

    def report(self, reports: Sequence[Report]) -> frozenset[int]:
        """Hear what a worker's step reports.

        Args:
            reports: An epoch's metrics or a failure, of each run that the worker trained.

        Returns:
            The runs that go on.
        """
        self.renew()
        with self._holding():
            news = self._record(reports)
            return frozenset(
                report.run_id
                for report in reports
                if self._conclude(report, is_news=report.run_id in news)
            )

    def _record(self, reports: Sequence[Report]) -> set[int]:
        """Store the epochs that are news, and what they make trials report, in one transaction.

        Returns:
            The runs of these epochs.
        """
        epochs: list[RunEpoch] = []
        touched: dict[int, OpenTrial] = {}
        for report in reports:
            opened = self._by_run.get(report.run_id)
            if opened is None:
                continue
            epoch = report.take(opened.runs[report.run_id])
            if epoch is not None:
                touched[opened.trial_id] = opened
                epochs.append(epoch)
        if not epochs:
            return set()
        steps = [step for opened in touched.values() for step in self._advance(opened)]
        self._store.record_epochs(self._launch_id, epochs, steps)
        self._n_epochs += len(epochs)
        if self._max_epochs is not None:  # Other launches spend them, too.
            self._n_epochs = self._store.n_epochs(self._study._study_id)
        return {each.run_id for each in epochs}

    def _conclude(self, report: Report, *, is_news: bool) -> bool:
        """Decide on what a report made known; say whether its run goes on."""
        opened = self._by_run.get(report.run_id)
        if opened is None:
            return False
        if is_news:
            self._observer.on_trial_report(opened.view, report)
        if report.failure is not None:
            self.fail(report.run_id, report.failure)
            return False
        n_epochs = opened.runs[report.run_id].n_epochs
        return not self._decide(opened) and n_epochs < self._epochs

    def _advance(self, opened: OpenTrial) -> list[TrialStep]:
        """Take in what a trial's runs have made known; say what it has to report to Optuna."""
        new = opened.take_in()
        if not self._is_single:
            return []
        return [
            TrialStep(trial_id=opened.trial_id, step=step, value=opened.step_values(step)[0])
            for step in new
        ]

    def _decide(self, opened: OpenTrial) -> bool:
        """End a trial that is complete or that the pruner stops; say whether it ended."""
        if opened.is_complete:
            self._complete(opened)
            return True
        if opened.undecided and self._is_single and self._is_stopped(opened):
            reason = f"pruned after {'replicate' if self._in_turn else 'epoch'} {opened.n_steps}"
            self._tell(opened, TrialState.PRUNED, None, reason)
            return True
        opened.undecided = False
        return False

    def _is_stopped(self, opened: OpenTrial) -> bool:
        too = self._space.prune_baselines
        judge = functools.partial(is_stopped, self._study, opened.trial_id, prune_baselines=too)
        return safely(judge, functools.partial(self._not_judged, opened.view.number))

    def _not_judged(self, number: int, error: Exception) -> bool:
        if not self._pruner_raised:
            self._pruner_raised = True
            logger.warning(
                "the %s pruner could not judge trial %d, which goes on (%s); no more is said of it",
                self._space.pruner.name, number, brief(error),
            )  # fmt: skip
        return False

    def _complete(self, opened: OpenTrial) -> None:
        opened.view.values, errors = opened.final_values()
        if errors is not None:
            self._trials.set_trial_user_attr(opened.trial_id, STANDARD_ERROR, errors)
        self._tell(opened, TrialState.COMPLETE, opened.view.values)

    def fail(self, run_id: int, reason: str) -> None:
        """Close a run that cannot go on: its trial is FAIL, for this reason."""
        opened = self._by_run.get(run_id)
        if opened is not None:
            with self._holding():
                self._fail(opened, reason)

    def _fail(self, opened: OpenTrial, reason: str) -> None:
        if opened.runs:
            self._store.require_runs(self._launch_id, opened.runs)
        self._trials.set_trial_user_attr(opened.trial_id, FAIL_REASON, reason)
        self._tell(opened, TrialState.FAIL, None, reason)

    def interrupt(self, reason: str) -> int:
        """Put every open trial back in the queue, to go on from its last checkpoint.

        Args:
            reason: Why, for the store.

        Returns:
            How many trials were open.
        """
        self.renew()
        n_open = len(self._open)
        # Between its two steps a trial looks like one that a dead launch left behind.
        with self._holding(), study_lock(self._store, self._study._study_id):
            there = self._store.runs_there(self._by_run)
            for opened in list(self._open.values()):
                if there.issuperset(opened.runs):
                    self._store.end_runs(opened.runs, "interrupted", reason)
                    self._trials.set_trial_state_values(opened.trial_id, TrialState.WAITING)
                self._close(opened, TrialState.WAITING, reason)
        return n_open

    def _tell(
        self,
        opened: OpenTrial,
        state: TrialState,
        values: list[float] | None,
        reason: str | None = None,
    ) -> None:
        self._study.tell(opened.view.number, values, state=state)
        self._n_failed_in_a_row = self._n_failed_in_a_row + 1 if state == TrialState.FAIL else 0
        self._store.end_runs(opened.runs, STATE_OF_RUNS[state], reason)
        self._close(opened, state, reason)

    def _close(self, opened: OpenTrial, state: TrialState, reason: str | None) -> None:
        del self._open[opened.trial_id]
        for run_id in opened.runs:
            del self._by_run[run_id]
        opened.view.state = state
        opened.view.reason = reason
        self._observer.on_trial_end(opened.view)
