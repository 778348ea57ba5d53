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

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from search.runs.lease import STATE_OF_RUNS, Lease
from search.runs.protocol import Assignment, Report
from search.runs.seeds import replicate_config
from search.trials.asking import Asking
from search.trials.judging import Judge
from search.trials.observer import Observer
from search.trials.open_trial import OpenTrial
from search.trials.proposals import IMPOSSIBLE, QUEUED
from search.trials.resuming import as_begun, lost_failure
from search.trials.sampling import propose
from space import RunConfig, Space
from storage import EpochRecord, RunEpoch, RunRecord, Store, TrialStep
from storage.locking import study_lock
from storage.tables.attributes import FAIL_REASON, STANDARD_ERROR
from trainables.runs import count_parameters

__all__ = ["Ledger"]


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
        self._n_failed_in_a_row = 0
        self._judge = Judge(study, space)
        self._is_single = len(space.objectives) == 1

    @property
    def n_epochs(self) -> int:
        """How many epochs the study has trained, over all launches."""
        return self._n_epochs

    @property
    def is_spent(self) -> bool:
        """Whether the study's budget of epochs is used up."""
        return self._max_epochs is not None and self._n_epochs >= self._max_epochs

    def holding(self) -> AbstractContextManager[None]:
        """What the launch does inside this says so where another program deleted what it holds."""
        return self._store.holding(self._launch_id, lambda: self._by_run)

    @contextmanager
    def _letting_go(self) -> Iterator[None]:
        """What fails inside since another program ended an open trial ends for that trial alone."""
        try:
            yield
        except (UpdateFinishedTrialError, ValueError):
            if not self._let_go():
                raise

    def _let_go(self) -> bool:
        """Let go of the open trials that another program has ended; say whether there were any."""
        self._store.require_runs(self._launch_id, ())  # Another study may have the number by now.
        n_open = len(self._open)
        for trial in self._study.get_trials(deepcopy=False):
            opened = self._open.get(trial._trial_id)
            if opened is not None and trial.state.is_finished():
                opened.view.values = trial.values
                self._end(opened, trial.state, "another program ended the trial")
        return len(self._open) < n_open

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
        with self.holding():
            self._asking.look_after_others()
            while not self.is_spent:
                self._asking.refuse_failing(self._n_failed_in_a_row)
                trial = self._asking.next_trial(self._open)
                if trial is None:
                    break
                assignment = None
                with self._letting_go():
                    assignment = self._begin(trial)
                if assignment is not None:
                    return assignment
        return None

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
        except UpdateFinishedTrialError:
            return None  # Another program has ended it before it began.
        trial = self._trials.get_trial(asked._trial_id)
        return self._open_trial(trial, params, config, n_parameters)

    def _refuse(self, trial: FrozenTrial, params: dict[str, Any] | None, reason: str) -> None:
        """Close a trial that cannot become a run, and the runs of it that were interrupted."""
        queued = {**trial.system_attrs.get(QUEUED, {}), **trial.params}
        begun = [
            run
            for run in self._store.runs(self._study._study_id, "search", state="interrupted")
            if run.trial_id == trial._trial_id
        ]
        self._fail(self._take_up(trial, params or queued, begun, {}, 0), reason)

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
        begun = [run for run, _ in runs]
        opened = self._take_up(trial, params, begun, recorded, n_parameters)
        lost = lost_failure(trial, runs, recorded)
        if lost is not None:
            self._fail(opened, lost)
            return None
        if opened.view.resumed:
            # A driver killed between a report and the decision on it left the decision to us.
            steps = self._advance(opened)
            if steps:
                self._store.record_epochs(self._launch_id, [], steps)
            opened.undecided = opened.n_steps > 0
            if self._decide(opened):
                return None
        unfinished = [(run, config) for run, config in runs if run.n_epochs < self._epochs]
        return Assignment(runs=tuple(unfinished), in_turn=opened.in_turn)

    def _take_up(
        self,
        trial: FrozenTrial,
        params: dict[str, Any],
        runs: Sequence[RunRecord],
        recorded: Mapping[int, Sequence[EpochRecord]],
        n_parameters: int,
    ) -> OpenTrial:
        """Open a trial with its runs and with what these have recorded."""
        opened = OpenTrial.of(trial, params, runs, recorded, self._space, n_parameters)
        self._open[trial._trial_id] = opened
        self._by_run.update(dict.fromkeys(opened.runs, opened))
        self._observer.on_trial_start(opened.view)
        return opened

    def report(self, reports: Sequence[Report]) -> frozenset[int]:
        """Hear what a worker's step reports.

        Args:
            reports: An epoch's metrics or a failure, of each run that the worker trained.

        Returns:
            The runs that go on.
        """
        self.renew()
        with self.holding():
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
        steps = [step for opened in touched.values() for step in self._advance(opened)]
        while epochs:
            with self._letting_go():
                self._store.record_epochs(self._launch_id, epochs, steps, trials=touched)
                break
            touched = {i: opened for i, opened in touched.items() if i in self._open}
            epochs = [epoch for epoch in epochs if epoch.run_id in self._by_run]
            steps = [step for step in steps if step.trial_id in touched]
        if not epochs:
            return set()
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
        with self._letting_go():
            return not self._decide(opened) and n_epochs < self._epochs
        return False

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
        if opened.undecided and self._is_single and self._judge.stops(opened):
            reason = f"pruned after {'replicate' if opened.in_turn else 'epoch'} {opened.n_steps}"
            self._tell(opened, TrialState.PRUNED, None, reason)
            return True
        opened.undecided = False
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
            with self.holding(), self._letting_go():
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
            How many trials were put back.
        """
        self.renew()
        n_put_back = 0
        # Between its two steps a trial looks like one that a dead launch left behind.
        with self.holding(), study_lock(self._store, self._study._study_id):
            there = self._store.runs_there(self._by_run)
            while self._open:
                opened = next(iter(self._open.values()))
                with self._letting_go():
                    if there.issuperset(opened.runs):
                        self._store.end_runs(opened.runs, "interrupted", reason)
                        self._trials.set_trial_state_values(opened.trial_id, TrialState.WAITING)
                        n_put_back += 1
                    self._close(opened, TrialState.WAITING, reason)
        return n_put_back

    def _tell(
        self,
        opened: OpenTrial,
        state: TrialState,
        values: list[float] | None,
        reason: str | None = None,
    ) -> None:
        self._study.tell(opened.view.number, values, state=state)
        self._n_failed_in_a_row = self._n_failed_in_a_row + 1 if state == TrialState.FAIL else 0
        self._end(opened, state, reason)

    def _end(self, opened: OpenTrial, state: TrialState, reason: str | None) -> None:
        self._store.end_runs(opened.runs, STATE_OF_RUNS[state], reason)
        self._close(opened, state, reason)

    def _close(self, opened: OpenTrial, state: TrialState, reason: str | None) -> None:
        del self._open[opened.trial_id]
        for run_id in opened.runs:
            del self._by_run[run_id]
        opened.view.state = state
        opened.view.reason = reason
        self._observer.on_trial_end(opened.view)
