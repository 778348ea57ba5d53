"""The ledger of a launch: what is asked, reported and told, and the truth about every trial.

The ledger stands between Optuna, the store and whoever runs the trials, and knows nothing of Ray.
Its vocabulary is the searcher's: `next_assignment` asks, `report` hears one epoch and decides,
`fail` and `interrupt` close what cannot go on. It alone decides a trial's state:

    COMPLETE  the trial reached its full number of epochs
    PRUNED    the pruner stopped it; its value is the last one it reported
    FAIL      it raised, its loss was not finite, it took too long, its worker died too often, or it
              could not become a run, since it breaks a constraint, say; the reason is stored
    WAITING   it was interrupted; it goes on from its last checkpoint when a launch asks again

A trial that somebody stops (`stop_trial`) is PRUNED where it has reported a value, which is as true
as a pruned trial's, and FAIL where there is nothing to say of it; the reason names who asked. That
is written down before it is done, so that it holds whatever happens to the launch.

The launch's own early stopping has one authority, Optuna's pruner, whose whole evidence is in the
store. A trial of several replicates reports their mean after each epoch that all of them have
reached; under the Wilcoxon pruner, which compares replicates, it reports each replicate's final
value instead.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import optuna
import sqlalchemy as sa
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from search.runs.lineage import Lineage, lineage_of
from search.runs.protocol import Assignment, Report
from search.runs.run_ledger import RunLedger
from search.runs.seeds import replicate_config, segment_config
from search.trials.asking import Asking
from search.trials.epoch_budget import EpochBudget
from search.trials.feasible import IMPOSSIBLE, breaks, require_feasible
from search.trials.judging import Judge
from search.trials.open_trial import Observer, OpenTrial
from search.trials.resuming import as_begun, held_by, lost_failure
from search.trials.sampling import propose
from search.trials.study import OpenedStudy
from space import RunConfig
from space.epochs import Epoch
from storage import RunEpoch, RunRecord
from storage.actions import answer
from storage.optuna_rows.trial_rows import require_unfinished, write_attribute
from storage.runs import STATE_OF_RUNS
from storage.tables.attributes import FAIL_REASON, PARENT, QUEUED, STANDARD_ERROR, STOPPED
from storage.tables.service import ActionRecord

__all__ = ["Ledger"]


class Ledger(RunLedger[OpenTrial]):
    """Asks Optuna, hears reports, decides, and keeps the store true. See the module's docstring.

    Several launches may share a study.
    """

    purpose = "search"

    def __init__(self, opened: OpenedStudy, launch_id: int, observer: Observer) -> None:
        """Open the ledger of a launch.

        Args:
            opened: The study.
            launch_id: This launch.
            observer: Hears of every event.
        """
        super().__init__(opened.store, launch_id)
        self.study_id = opened.id
        self._opened, self._study, self._space = opened, opened.study, opened.space
        self._trials = opened.store.optuna_storage
        self._epochs = opened.space.training.epochs
        self._is_single = len(opened.space.objectives) == 1
        self._observer = observer
        self._asking = Asking(opened, launch_id, self._lease)
        self._judge = Judge(opened)
        self._budget = EpochBudget(opened)
        self._open: dict[int, OpenTrial] = {}
        self._n_failed_in_a_row = 0

    @property
    def n_epochs(self) -> int:
        """How many epochs the study has trained, over all launches, as far as it was counted."""
        return self._budget.n_spent

    @property
    def is_spent(self) -> bool:  # type: ignore[override]
        """Whether the study's budget of epochs is used up."""
        return self._budget.is_spent

    @property
    def awaits_others(self) -> bool:  # type: ignore[override]
        """Whether the round that comes next in a population awaits other launches' trials."""
        return not self.is_spent and not self._open and self._asking.awaits_others

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
        for trial in self._opened.trials():
            opened = self._open.get(trial._trial_id)
            if opened is not None and trial.state.is_finished():
                opened.values = trial.values
                self._end(opened, trial.state, "another program ended the trial")
        return len(self._open) < n_open

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

    def go_on(self) -> list[Assignment]:
        """Open again what the launch holds, for a process that goes on with it.

        Returns:
            What is to be trained further. What had only to be decided or recorded still is, too.
        """
        found = []
        with self.holding():
            for trial, run_ids in held_by(self._opened, self._launch_id):
                if trial.state.is_finished():
                    self._store.end_runs(run_ids, STATE_OF_RUNS[trial.state])
                    continue
                with self._letting_go():
                    assignment = self._begin(optuna.Trial(self._study, trial._trial_id))
                    if assignment is not None:
                        found.append(assignment)
        return found

    def _begin(self, asked: optuna.Trial) -> Assignment | None:
        """Give a trial its parameters and open it; None where it cannot become a run."""
        params = None
        try:
            params = propose(asked, self._space)
            config = self._opened.resolve(params)
            lineage = self._lineage(asked)
            config = segment_config(config, len(lineage.before) if lineage else 0)
            n_parameters = require_feasible(self._space, config)
        except IMPOSSIBLE as error:
            self._refuse(asked, params, str(error))
            return None
        except UpdateFinishedTrialError:
            return None  # Another program has ended it before it began.
        return self._open_trial(asked, params, config, n_parameters, lineage)

    def _refuse(self, asked: optuna.Trial, params: dict[str, Any] | None, reason: str) -> None:
        """Close a trial that cannot become a run, and the runs of it that were interrupted."""
        trial = self._trials.get_trial(asked._trial_id)
        queued = {**trial.system_attrs.get(QUEUED, {}), **trial.params}
        its = [trial._trial_id]
        begun = self._store.runs(self.study_id, "search", state="interrupted", trial_ids=its)
        recorded = self._store.epochs(run.run_id for run in begun)
        opened = self._take_up(asked, params or queued, begun, recorded, 0)
        # A grid has an end, and it is no fault that some of its points break a constraint.
        is_of_grid = self._space.sampler.name == "grid" and params and breaks(self._space, params)
        self._fail(opened, reason, counts=not is_of_grid)

    def _open_trial(
        self,
        asked: optuna.Trial,
        params: dict[str, Any],
        config: RunConfig,
        n_parameters: int,
        lineage: Lineage | None,
    ) -> Assignment | None:
        """Record that a trial runs; None where its evidence already ends it."""
        runs = []
        for replicate in range(self._space.replicates):
            of_run = replicate_config(config, replicate)
            run = self._begin_run(of_run, asked._trial_id, replicate)
            runs.append((run, as_begun(run, of_run, params, self._space)))
        recorded = self._store.epochs(run.run_id for run, _ in runs if run.n_epochs)
        opened = self._take_up(asked, params, [run for run, _ in runs], recorded, n_parameters)
        lost = lost_failure(self._trials.get_trial(asked._trial_id), runs, recorded)
        if lost is not None:
            self._fail(opened, lost)
            return None
        stopped = self._trials.get_trial(asked._trial_id).user_attrs.get(STOPPED)
        if stopped is not None:
            self._stop(opened, stopped)
            return None
        if opened.resumed:
            # A driver killed between a report and the decision on it left the decision to us.
            steps = opened.take_in()
            if steps:
                self._store.record_epochs(self._launch_id, [], steps)
            opened.undecided = opened.n_steps > 0
            if self._decide(opened):
                return None
        unfinished = [(run, config) for run, config in runs if run.n_epochs < self._epochs]
        return Assignment(runs=tuple(unfinished), in_turn=opened.in_turn, lineage=lineage)

    def _lineage(self, asked: optuna.Trial) -> Lineage | None:
        """Where a trial goes on; None where no population proposed it."""
        if PARENT not in self._trials.get_trial(asked._trial_id).user_attrs:
            return None
        sampler, trials = self._space.sampler, self._opened.trials()
        return lineage_of(self._store, sampler, trials, asked.number)

    def _take_up(
        self,
        asked: optuna.Trial,
        params: dict[str, Any],
        runs: Sequence[RunRecord],
        recorded: Mapping[int, Sequence[Epoch]],
        n_parameters: int,
    ) -> OpenTrial:
        """Open a trial with its runs and with what these have recorded."""
        opened = OpenTrial.of(
            asked, params, runs, recorded, self._space, self._opened.measured, n_parameters
        )
        self._open[opened.trial_id] = opened
        self._by_run.update(dict.fromkeys(opened.runs, opened))
        self._observer.on_trial_start(opened)
        return opened

    def _record(self, epochs: list[RunEpoch]) -> Collection[int]:
        """Store the epochs and what they make trials report, in one transaction."""
        touched = {
            opened.trial_id: opened for each in epochs for opened in [self._by_run[each.run_id]]
        }
        steps = [step for opened in touched.values() for step in opened.take_in()]
        while epochs:
            with self._letting_go():
                self._store.record_epochs(self._launch_id, epochs, steps, trials=touched)
                break
            touched = {i: opened for i, opened in touched.items() if i in self._open}
            epochs = [epoch for epoch in epochs if self.is_open(epoch.run_id)]
            steps = [step for step in steps if step.trial_id in touched]
        self._budget.spend(len(epochs))
        return {each.run_id for each in epochs}

    def _goes_on(self, report: Report, *, is_news: bool) -> bool:
        opened = self._by_run[report.run_id]
        if is_news:
            self._observer.on_trial_report(opened, report)
        if report.failure is not None:
            self.fail(report.run_id, report.failure, report.traceback)
            return False
        if report.epoch is not None and (reason := self._judge.cannot(report.epoch)) is not None:
            self.fail(report.run_id, reason)
            return False
        n_epochs = opened.runs[report.run_id].n_epochs
        with self._letting_go():
            return not self._decide(opened) and n_epochs < self._epochs
        return False

    def _decide(self, opened: OpenTrial) -> bool:
        """End a trial that is complete or that the pruner stops; say whether it ended."""
        if opened.is_complete:
            opened.values, errors = opened.final_values()
            if errors is not None:
                self._trials.set_trial_user_attr(opened.trial_id, STANDARD_ERROR, errors)
            self._tell(opened, TrialState.COMPLETE, opened.values)
            return True
        if opened.undecided and self._is_single and self._judge.stops(opened):
            reason = f"pruned after {'replicate' if opened.in_turn else 'epoch'} {opened.n_steps}"
            self._tell(opened, TrialState.PRUNED, None, reason)
            return True
        opened.undecided = False
        return False

    def trial_of(self, run_id: int) -> OpenTrial:
        """The trial of a run that is open."""
        return self._by_run[run_id]

    def fail(self, run_id: int, reason: str, traceback: str | None = None) -> None:
        """Close a run that cannot go on: its trial is FAIL, for this reason."""
        opened = self._by_run.get(run_id)
        if opened is not None:
            with self.holding(), self._letting_go():
                opened.traceback = traceback
                self._fail(opened, reason)

    def stop_trial(self, number: int | None, action: ActionRecord) -> None:
        """End a trial that somebody asks to stop, and answer.

        Args:
            number: Optuna's number of it in the study.
            action: Who asks.

        Raises:
            StorageError: If the database fails.
        """
        opened = next((each for each in self._open.values() if each.number == number), None)
        if opened is None:
            answer(self._store, action, "refused", f"trial {number} is not trained by this launch")
            return
        reason = f"{action.asked_by} stopped it"

        def write(connection: sa.Connection) -> None:
            require_unfinished(connection, [opened.trial_id])
            write_attribute(connection, opened.trial_id, STOPPED, reason)

        with self.holding(), self._letting_go():
            if answer(self._store, action, "done", f"trial {number} is stopped", write):
                self._stop(opened, reason)

    def _stop(self, opened: OpenTrial, reason: str) -> None:
        if self._is_single and opened.n_steps:
            self._tell(opened, TrialState.PRUNED, None, reason, counts=False)
        else:
            self._fail(opened, reason, counts=False)

    def _fail(self, opened: OpenTrial, reason: str, *, counts: bool = True) -> None:
        if opened.runs:
            self._store.require_runs(self._launch_id, opened.runs)
        self._trials.set_trial_user_attr(opened.trial_id, FAIL_REASON, reason)
        self._tell(opened, TrialState.FAIL, None, reason, counts=counts)

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
        with self.holding(), self._store.locked(self._opened.id):
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
        *,
        counts: bool = True,
    ) -> None:
        """End a trial for Optuna and in the store; it counts in a row of failures, or ends one."""
        self._study.tell(opened.asked, values, state=state)
        if counts:
            self._n_failed_in_a_row = self._n_failed_in_a_row + 1 if state == TrialState.FAIL else 0
        self._end(opened, state, reason)

    def _end(self, opened: OpenTrial, state: TrialState, reason: str | None) -> None:
        self._store.end_runs(opened.runs, STATE_OF_RUNS[state], reason, opened.traceback)
        self._close(opened, state, reason)

    def _close(self, opened: OpenTrial, state: TrialState, reason: str | None) -> None:
        del self._open[opened.trial_id]
        for run_id in opened.runs:
            del self._by_run[run_id]
        opened.state = state
        opened.reason = reason
        self._observer.on_trial_end(opened)
