"""A launch whose trials are trained by whoever asks for them, in this program or over HTTP."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from optuna.trial import TrialState

from search.api.notebook import Silent
from search.callbacks.find import makers
from search.launch.open_launch import OpenLaunch
from search.launch.plan import Plan, choose_form, gpu_finder, known_study, settle_data
from search.runs.protocol import Assignment, Report
from search.runs.provenance import Provenance
from search.trials.ledger import Ledger
from search.trials.open_trial import OpenTrial
from search.trials.study import open_study
from search.workers.workplace import Workplace
from space import RunConfig, Space, SpaceFile
from space.epochs import Epoch
from space.errors import SpaceError, UsageError
from space.words import count
from storage import Store
from storage.actions import STOP_TRIAL
from storage.commands.checkpoints import checkpoint_directory

__all__ = ["AskedLaunch", "AskedTrial", "plan_of"]


@dataclass(frozen=True, kw_only=True)
class AskedTrial:
    """A trial to be trained.

    Attributes:
        number: Its number in the study.
        params: Parameter -> value.
        configs: The complete config of each of its runs: of one, or of a run a replicate, which
            differ in their seeds.
        epochs: How many epochs a run has.
        n_known: Epochs of each run that an earlier launch has reported: reported again, they are
            passed over.
    """

    number: int
    params: dict[str, Any]
    configs: tuple[RunConfig, ...]
    epochs: int
    n_known: tuple[int, ...]
    _runs: tuple[int, ...] = field(repr=False)

    @property
    def config(self) -> RunConfig:
        """The config of its first run."""
        return self.configs[0]


def plan_of(
    store: Store,
    study: str,
    searched: SpaceFile | Space | None,
    *,
    command: str,
    provenance: Provenance,
) -> Plan:
    """Settle what a launch is about whose trials are trained elsewhere.

    Args:
        store: The store.
        study: The study's name.
        searched: What is searched; None: what the study's last launch searched.
        command: For the record.
        provenance: Likewise.

    Raises:
        UserError: If the study, the store or the data do not allow it.
    """
    record = known_study(store, study)
    if isinstance(searched, SpaceFile):
        space, _ = choose_form(searched, record, gpu_finder(None, verbose=False))
    elif searched is not None:
        space = searched
    else:
        launches = store.launches(store.study_id(study))
        if not launches:
            raise UsageError(f"study '{study}' was not begun here: give the space that it searches")
        space = Space.recorded(launches[-1].config)
    if record is not None:
        space = space.keep_seeds(record.identity)
    if space.sampler.name == "pbt":
        raise SpaceError(
            "sampler: under pbt trials go on with networks that a launch's workers keep, and not "
            "with those trained elsewhere; search it by search.launch, or choose another sampler."
        )
    makers(space.callbacks)
    space, data = settle_data(space, record)
    place = Workplace(checkpoints=checkpoint_directory(store.url) / study, data=data)
    return Plan(space=space, place=place, command=command, provenance=provenance)


class AskedLaunch(Silent):
    """A launch that is asked for trials, told of their epochs and of their ends.

    One thread at a time may use it. Whoever holds it renews its lease.

    Attributes:
        launch_id: Its number.
        study_id: Optuna's number of its study.
        trials: Number -> the trials that are open.
    """

    def __init__(
        self,
        store: Store,
        plan: Plan,
        *,
        worker: str,
        launch_id: int | None = None,
        is_alone: bool = True,
    ) -> None:
        """Open the study, or create it, and begin a launch.

        Args:
            store: The store.
            plan: What the launch is about.
            worker: What the store is to have for where epochs were trained.
            launch_id: A launch to go on with instead, which another process has begun, with the
                trials that are open in it.
            is_alone: Whether this process has no other launch.

        Raises:
            UserError: If the study or the store do not allow it.
        """
        self._store = store
        self._worker = worker
        self._reported: dict[int, tuple[int, float]] = {}
        """Run -> the last epoch that was reported here, and when."""
        self.trials: dict[int, AskedTrial] = {}
        opened = open_study(store, plan.space, plan.place.data)
        self._launch = OpenLaunch(plan, opened, launch_id)
        self.launch_id, self.study_id = self._launch.launch_id, opened.id
        self._ledger = Ledger(opened, self.launch_id, self)
        self._ledger.course.is_alone = is_alone
        self._launch.ledger = self._ledger
        self._launch.put_right()
        self._launch.actions.carry_out[STOP_TRIAL] = lambda action: self._ledger.stop_trial(
            action.trial_number, action
        )
        self._needed = dict.fromkeys(
            [*(each.metric for each in plan.space.objectives), *opened.measured.kept_by]
        )
        for assignment in () if launch_id is None else self._ledger.go_on():
            self._open(assignment)

    @property
    def is_finished(self) -> bool:
        """Whether no trial of the study is open, with any launch, or waits."""
        storage = self._store.optuna_storage
        states = (TrialState.RUNNING, TrialState.WAITING)
        with self._store.guarded():
            return storage.get_n_trials(self.study_id, states) == 0

    def ask(self) -> AskedTrial | None:
        """The next trial; None where there is none now."""
        assignment = self._ledger.next_assignment()
        return None if assignment is None else self._open(assignment)

    def _open(self, assignment: Assignment) -> AskedTrial:
        records = [record for record, _ in assignment.runs]
        opened = self._ledger.trial_of(records[0].run_id)
        now = time.monotonic()
        self._reported.update({record.run_id: (0, now) for record in records})
        trial = AskedTrial(
            number=opened.number,
            params=dict(opened.params),
            configs=tuple(config for _, config in assignment.runs),
            epochs=opened.epochs,
            n_known=tuple(record.n_epochs for record in records),
            _runs=tuple(record.run_id for record in records),
        )
        self.trials[trial.number] = trial
        return trial

    def report(
        self,
        run_id: int,
        metrics: Mapping[str, float],
        epoch: int | None,
        seconds: float | None = None,
    ) -> bool:
        """Hear an epoch of a run; say whether the run goes on.

        Args:
            run_id: The run, of a trial that was asked for here.
            metrics: Name -> value.
            epoch: Which epoch, from 1; None: the one after the last that was reported here.
            seconds: What it took; None: since the last report.

        Raises:
            UsageError: If a metric is missing or of the test split, or an epoch was left out.
        """
        self._check(metrics)
        last, at = self._reported.get(run_id, (0, time.monotonic()))
        epoch = last + 1 if epoch is None else epoch
        if self._ledger.is_open(run_id):
            known = self._ledger.trial_of(run_id).runs[run_id].n_epochs
            if epoch > known + 1:
                raise UsageError(f"epoch {epoch}: epoch {known + 1} is to be reported first")
        now = time.monotonic()
        self._reported[run_id] = (epoch, now)
        wrong = [name for name, value in metrics.items() if not math.isfinite(value)]
        report = Report(
            run_id=run_id,
            epoch=Epoch(
                epoch=epoch,
                metrics={name: float(value) for name, value in metrics.items()},
                seconds=now - at if seconds is None else seconds,
            ),
            failure=f"{wrong[0]} is not finite in epoch {epoch}" if wrong else None,
            worker=self._worker,
        )
        return run_id in self._ledger.report([report])

    def tell(self, number: int, failure: str | None) -> str:
        """How a trial ended, or that it cannot go on, for a reason.

        Raises:
            UsageError: If it has epochs left and no reason is given.
        """
        trial = self.trials.get(number)
        if trial is not None:
            run_id = next(each for each in trial._runs if self._ledger.is_open(each))
            if failure is None:
                done = self._ledger.trial_of(run_id).n_epochs
                raise UsageError(
                    f"trial {number} has {done} of {count(trial.epochs, 'epoch')}: report the "
                    "others, or say with a failure why it cannot go on"
                )
            self._ledger.fail(run_id, " ".join(failure.split()))
        return self.state_of(number)

    def state_of(self, number: int) -> str:
        """The state of a trial of the study.

        Raises:
            UsageError: If it has none of the number.
        """
        return "RUNNING" if number in self.trials else self._trial(number)[1]

    def has_trained(self, number: int) -> bool:
        """Whether a trial of the study is this launch's, open or ended.

        Raises:
            UsageError: If there is none of the number.
        """
        runs = self._store.runs(self.study_id, "search", trial_ids=[self._trial(number)[0]])
        return any(run.launch_id == self.launch_id for run in runs)

    def _trial(self, number: int) -> tuple[int, str]:
        storage = self._store.optuna_storage
        with self._store.guarded():
            try:
                found = storage.get_trial_id_from_study_id_trial_number(self.study_id, number)
                return found, storage.get_trial(found).state.name
            except KeyError as error:
                raise UsageError(f"the study has no trial {number}") from error

    def renew(self) -> bool:
        """Keep its lease and see to what it is asked for, if it is time to.

        Returns:
            Whether it goes on: not where somebody has asked to stop it, and it is ended.

        Raises:
            LeaseLostError: If it was taken for dead.
        """
        self._ledger.renew()
        self._launch.actions.look()
        if self._launch.actions.stop_asked:
            self.end("its launch was asked to stop")
            return False
        return True

    def end(self, reason: str) -> None:
        """Put what is open back into the queue, for a reason, and end the launch."""
        n_open = self._ledger.interrupt(reason)
        self._launch.end("interrupted" if n_open else "done")

    def leave(self) -> None:
        """Stop telling callbacks, and leave the launch in the store as it is."""
        self._launch.stop_telling()

    def on_trial_end(self, trial: OpenTrial) -> None:
        """It is open no more."""
        self.trials.pop(trial.number, None)

    def _check(self, metrics: Mapping[str, float]) -> None:
        missing = [name for name in self._needed if name not in metrics]
        if missing:
            raise UsageError(
                f"metrics: '{missing[0]}' is missing, which the study goes by; found "
                f"{', '.join(metrics) or 'none'}"
            )
        for name in metrics:
            if name.startswith("test_"):
                raise UsageError(f"metrics: '{name}': a search never sees the test split")
