"""A store in this process's memory: for searches that are replayed, and forgotten afterwards."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import optuna
import sqlalchemy as sa

from space.epochs import Epoch
from storage.connect.engine import MEMORY
from storage.store import Store
from storage.tables import schema
from storage.tables.records import (
    CourseRecord,
    LaunchRecord,
    NewLaunch,
    NewRun,
    NewStudy,
    RunEpoch,
    RunRecord,
    StudyRecord,
    TrialStep,
)

__all__ = ["MemoryStore"]


class MemoryStore(Store):
    """What a ledger needs of a store, without a database; see `Store` for what each method means.

    It belongs to one thread of one process, and what is asked of it must be there. It has no engine
    and answers no query: `transaction` and what is built on it are not available. A trial cannot be
    interrupted and taken up again, since Optuna's memory looks for waiting trials only forwards.
    """

    def __init__(self) -> None:
        """Make an empty store."""
        self.url = sa.make_url(f"sqlite:///{MEMORY}")
        self.optuna_storage = optuna.storages.InMemoryStorage()
        self._studies: dict[int, StudyRecord] = {}
        self._launches: list[LaunchRecord] = []
        self._runs: list[RunRecord] = []
        self._epochs: dict[int, list[Epoch]] = {}
        self._n_epochs: dict[int, int] = {}

    def close(self) -> None:
        """Nothing: there is no connection."""

    def guarded(self) -> AbstractContextManager[None]:
        """Nothing: there is no database that could fail."""
        return nullcontext()

    def locked(self, study_id: int | None) -> AbstractContextManager[None]:
        """Nothing: all others are out."""
        return nullcontext()

    def add_study(self, study: NewStudy) -> StudyRecord:
        """Record the terms of a study, unless they are recorded already."""
        record = StudyRecord(**vars(study), created_at=schema.utc_now())
        return self._studies.setdefault(study.study_id, record)

    def study_records(self) -> dict[int, StudyRecord]:
        """The terms of all studies, by Optuna's number."""
        return dict(self._studies)

    def begin_launch(self, launch: NewLaunch, also: object = None) -> int:
        """Record that a launch began, and return its number; nobody waits for what else is said."""
        now = schema.utc_now()
        record = LaunchRecord(
            **vars(launch),
            launch_id=len(self._launches) + 1,
            status="running",
            started_at=now,
            heartbeat_at=now,
            ended_at=None,
            silence=0.0,
        )
        self._launches.append(record)
        return record.launch_id

    def beat(self, launch_id: int, course: CourseRecord | None = None) -> bool:
        """Nobody else can take a launch of this store for dead."""
        return True

    def hold_study(self, study_id: int, launch_id: int, n_trials: int | None) -> None:
        """Nothing: nobody else asks for trials."""

    def require_runs(self, launch_id: int, run_ids: Iterable[int]) -> None:
        """Nothing: nobody else deletes any."""

    def launches(
        self, study_id: int | None = None, *, status: str | None = None
    ) -> list[LaunchRecord]:
        """The launches of one study or of all, of one status or of any, oldest first."""
        return [
            each
            for each in self._launches
            if study_id in (None, each.study_id) and status in (None, each.status)
        ]

    def begin_run(self, run: NewRun) -> RunRecord:
        """Record that a run began."""
        begun = RunRecord(
            **vars(run),
            run_id=len(self._runs) + 1,
            uid=uuid.uuid4().hex,
            state="running",
            reason=None,
            worker=None,
            started_at=schema.utc_now(),
            ended_at=None,
            n_epochs=0,
            best_epoch=None,
            train_seconds=0.0,
        )
        self._runs.append(begun)
        self._epochs[begun.run_id] = []
        return begun

    def record_epochs(
        self,
        launch_id: int,
        epochs: Sequence[RunEpoch],
        values: Sequence[TrialStep] = (),
        *,
        trials: Iterable[int] = (),
    ) -> None:
        """Record epochs of any runs, and what they make trials report to Optuna."""
        for each in epochs:
            run = self._runs[each.run_id - 1]
            if each.epoch.epoch <= run.n_epochs:
                continue
            self._epochs[run.run_id].append(each.epoch)
            self._runs[run.run_id - 1] = replace(
                run,
                n_epochs=each.epoch.epoch,
                best_epoch=each.best_epoch,
                other_epoch=each.other_epoch,
                worker=each.worker,
                train_seconds=run.train_seconds + each.epoch.seconds,
            )
            if run.study_id is not None and run.purpose == "search":
                self._n_epochs[run.study_id] = self.n_epochs(run.study_id) + 1
        for said in values:
            self.optuna_storage.set_trial_intermediate_value(said.trial_id, said.step, said.value)

    def end_runs(
        self,
        run_ids: Iterable[int],
        state: str,
        reason: str | None = None,
        traceback: str | None = None,
    ) -> None:
        """Record that some runs ended alike, and why."""
        for run_id in run_ids:
            run = self._runs[run_id - 1]
            how: dict[str, Any] = {"state": state, "reason": reason, "traceback": traceback}
            self._runs[run_id - 1] = replace(run, **how, ended_at=schema.utc_now())

    def runs(
        self,
        study_id: int | None = None,
        purpose: str | None = None,
        *,
        state: str | None = None,
        trial_ids: Collection[int] | None = None,
    ) -> list[RunRecord]:
        """The runs of one study, purpose, state or trial, or of all, oldest first."""
        return [
            run
            for run in self._runs
            if study_id in (None, run.study_id)
            and purpose in (None, run.purpose)
            and state in (None, run.state)
            and (trial_ids is None or run.trial_id in trial_ids)
        ]

    def n_epochs(self, study_id: int) -> int:
        """How many epochs the trials of a study have trained in all."""
        return self._n_epochs.get(study_id, 0)

    def epochs(self, run_ids: Iterable[int]) -> dict[int, list[Epoch]]:
        """The epochs of some runs, in order, by run."""
        return {run_id: list(self._epochs[run_id]) for run_id in run_ids}
