"""Optuna's storage as our launches need it: it rides outages out, and a trial has one owner.

Each method of Optuna's storage is one transaction. Most may simply be repeated when a server died
in the middle of one; `storage.connect.outage` says what becomes of those that may not.
"""

from __future__ import annotations

import datetime
import functools
import json
from collections.abc import Callable, Collection, Container, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, TypeVar

import optuna
import sqlalchemy as sa
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from storage.connect.outage import ride_out
from storage.optuna_rows.trial_reading import Seen, local_time, read_states, read_trials
from storage.optuna_rows.trial_rows import (
    next_number,
    require_unfinished,
    write_param,
    write_values,
)
from storage.tables.optuna_models import STUDIES, TRIALS, models
from storage.tables.ownership import take_up

__all__ = ["SteadyStorage", "StudyFullError"]

T = TypeVar("T")

_ENDED = [state for state in TrialState if state.is_finished()]

_REPEATABLE = (
    "create_new_study",
    "set_study_user_attr",
    "set_study_system_attr",
    "get_study_id_from_name",
    "get_study_name_from_id",
    "get_study_directions",
    "get_study_user_attrs",
    "get_study_system_attrs",
    "get_all_studies",
    "get_trial_id_from_study_id_trial_number",
    "_set_trial_param",
    "set_trial_intermediate_value",
    "set_trial_user_attr",
    "set_trial_system_attr",
    "_get_best_trial_id",
)


class StudyFullError(Exception):
    """A study holds as many trials as it may; there is no other."""


class SteadyStorage(optuna.storages.RDBStorage):
    """Optuna's storage over a server that may restart, shared by launches that may not collide.

    Attributes:
        held: Study -> the launch of this process that asks for its trials, and how many it may
            hold for a new one to be asked for.
    """

    _newest: ClassVar[str] = ""

    def __init__(
        self,
        url: str,
        *,
        name: str,
        guard: Callable[[], AbstractContextManager[None]],
        engine_kwargs: dict[str, Any],
        skip_table_creation: bool = False,
    ) -> None:
        """Open it; here an outage is an error.

        Args:
            url: The database's URL.
            name: The URL as it may be shown.
            guard: Turns the database's errors inside its block into ours: Optuna, which calls
                from everywhere, is to meet no others.
            engine_kwargs: For `sqlalchemy.create_engine`.
            skip_table_creation: Whether Optuna's tables are known to be there.
        """
        self._name = name
        self._guard = guard
        self._tried: set[int] = set()
        self.held: dict[int, tuple[int, int | None]] = {}
        super().__init__(
            url,
            engine_kwargs=engine_kwargs,
            skip_compatibility_check=True,
            skip_table_creation=skip_table_creation,
        )

    def check_version(self) -> None:
        """Compare the version of Optuna's tables with that of the Optuna installed.

        Raises:
            RuntimeError: If they differ.
        """
        manager = self._version_manager
        # Optuna runs the scripts of all its versions to say which is the newest; once will do.
        SteadyStorage._newest = SteadyStorage._newest or manager.get_head_version()
        if manager.get_current_version() != SteadyStorage._newest:
            manager.check_table_schema_compatibility()

    def _create_new_trial(
        self, study_id: int, template_trial: FrozenTrial | None = None
    ) -> FrozenTrial:
        """Create a trial, once, however often it takes."""
        if template_trial is None:
            return self._create_running(study_id)
        create = functools.partial(super()._create_new_trial, study_id, template_trial)
        try:
            return self._ride_out(create)
        finally:
            self._tried.discard(id(template_trial))

    def _create_running(self, study_id: int) -> FrozenTrial:
        """Create a trial that runs and of which nothing is known yet."""
        moment = _now()
        of_study = TRIALS.c.study_id == study_id
        study = sa.select(STUDIES.c.study_id).where(STUDIES.c.study_id == study_id)
        n_trials = sa.select(sa.func.count()).select_from(TRIALS).where(of_study)
        # One statement numbers and inserts: no other launch comes between, on SQLite either.
        insert = TRIALS.insert().values(
            study_id=study_id,
            number=next_number(study_id),
            state=TrialState.RUNNING,
            datetime_start=moment,
        )
        launch_id, limit = self.held.get(study_id, (None, None))
        n_attempts = 0

        def attempt() -> tuple[int, int]:
            nonlocal n_attempts
            n_attempts += 1
            query = sa.select(TRIALS.c.trial_id, TRIALS.c.number)
            with self.engine.begin() as connection:
                if connection.execute(study.with_for_update()).scalar() is None:
                    raise KeyError(models.NOT_FOUND_MSG)
                if n_attempts > 1:
                    mine = query.where(of_study & (TRIALS.c.datetime_start == moment))
                    made = connection.execute(mine).first()
                    if made is not None:
                        return made.trial_id, made.number
                trial_id: int = connection.execute(insert).inserted_primary_key[0]  # type: ignore[index]
                row = connection.execute(query.where(TRIALS.c.trial_id == trial_id)).one()
                # Counted in the transaction that adds to the count: no lock that a server's
                # restart takes away lets another launch in between.
                if limit is not None and connection.execute(n_trials).scalar_one() > limit:
                    raise StudyFullError
                if launch_id is not None:
                    take_up(connection, launch_id, study_id, row.number)
                return row.trial_id, row.number

        made_id, number = self._ride_out(attempt)
        return FrozenTrial(
            number=number,
            state=TrialState.RUNNING,
            value=None,
            datetime_start=local_time(moment),
            datetime_complete=None,
            params={},
            distributions={},
            user_attrs={},
            system_attrs={},
            intermediate_values={},
            trial_id=made_id,
        )

    def _get_prepared_new_trial(
        self, study_id: int, template_trial: FrozenTrial | None, session: Any
    ) -> Any:
        """Called by each attempt of Optuna's own and of ours, the study's row being locked."""
        if template_trial is None:
            raise TypeError("a trial without a template is made by _create_running")
        if id(template_trial) in self._tried:
            made = self._made_before(study_id, template_trial, session)
            if made is not None:
                return made
        self._tried.add(id(template_trial))
        trial = super()._get_prepared_new_trial(study_id, template_trial, session)
        trial.number = next_number(study_id)  # In the database it has none so far.
        session.flush()
        return trial

    @staticmethod
    def _made_before(study_id: int, template: FrozenTrial, session: Any) -> Any:
        """The trial that an earlier attempt made of a template, or None.

        It began in the same microsecond; or it waits with the same parameters, and one is enough.
        """
        query = session.query(models.TrialModel).filter_by(study_id=study_id, state=template.state)
        if template.datetime_start is not None:
            moment = template.datetime_start.astimezone(datetime.UTC).replace(tzinfo=None)
            return query.filter(models.TrialModel._datetime_start_utc == moment).first()
        for trial in query:
            found = {each.key: json.loads(each.value_json) for each in trial.system_attributes}
            if found == template.system_attrs:
                return trial
        return None

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Set a trial's state; of all that want to run a waiting trial, one is told that it may."""
        if state == TrialState.RUNNING and values is None:
            return self._take(trial_id)
        self.put_down(trial_id, state, values, _now())
        return True

    def put_down(
        self,
        trial_id: int,
        state: TrialState,
        values: Sequence[float] | None,
        moment: datetime.datetime,
    ) -> None:
        """End a trial, or put it back into the queue.

        Args:
            trial_id: Optuna's number of the trial.
            state: Its new state.
            values: The objectives' values, or None to leave them as they are.
            moment: When it ended, if it did, in UTC without saying so; tells an attempt whose end
                was not heard of from somebody else's.

        Raises:
            KeyError: If there is no such trial.
            UpdateFinishedTrialError: If it has ended.
        """
        said: dict[str, Any] = {"state": state}
        if state.is_finished():
            said["datetime_complete"] = moment
        unfinished = (TRIALS.c.trial_id == trial_id) & TRIALS.c.state.not_in(_ENDED)
        look = sa.select(TRIALS.c.state, TRIALS.c.datetime_complete)
        look = look.where(TRIALS.c.trial_id == trial_id)

        def attempt() -> None:
            with self.engine.begin() as connection:
                if connection.execute(TRIALS.update().where(unfinished).values(said)).rowcount:
                    if values is not None:
                        write_values(connection, trial_id, values)
                    return
                found = connection.execute(look).one_or_none()
            if found is None:
                raise KeyError(models.NOT_FOUND_MSG)
            if (found.state, found.datetime_complete) != (state, moment):
                self.check_trial_is_updatable(trial_id, found.state)

        self._ride_out(attempt)

    def _take(self, trial_id: int) -> bool:
        """Take a waiting trial up, once; Optuna's own reads first and then writes."""
        moment = _now()
        waiting = (TRIALS.c.trial_id == trial_id) & (TRIALS.c.state == TrialState.WAITING)
        take = TRIALS.update().where(waiting)
        take = take.values(state=TrialState.RUNNING, datetime_start=moment)
        look = sa.select(TRIALS.c.state, TRIALS.c.datetime_start)
        look = look.where(TRIALS.c.trial_id == trial_id)
        taken = sa.select(TRIALS.c.study_id, TRIALS.c.number).where(TRIALS.c.trial_id == trial_id)

        def attempt() -> bool:
            with self.engine.begin() as connection:
                if connection.execute(take).rowcount:
                    study_id, number = connection.execute(taken).one()
                    launch_id, _ = self.held.get(study_id, (None, None))
                    if launch_id is not None:
                        take_up(connection, launch_id, study_id, number)
                    return True
                found = connection.execute(look).one_or_none()
            if found is None:
                raise KeyError(models.NOT_FOUND_MSG)
            self.check_trial_is_updatable(trial_id, found.state)
            return (found.state, found.datetime_start) == (TrialState.RUNNING, moment)

        return self._ride_out(attempt)

    def _ride_out(self, attempt: Callable[[], T]) -> T:
        with self._guard():
            return ride_out(self._name, attempt)

    def write_params(
        self, trial_id: int, params: Mapping[str, tuple[float, BaseDistribution]]
    ) -> None:
        """Set parameters, unless they are set; see `TrialCache.set_trial_params`."""

        def attempt() -> None:
            with self.engine.begin() as connection:
                require_unfinished(connection, [trial_id])
                for name, (value, distribution) in params.items():
                    write_param(connection, trial_id, name, value, distribution)

        self._ride_out(attempt)

    def look(self, study_id: int, newer_than: int, trial_ids: Collection[int]) -> list[Seen]:
        """What may have changed in a study, in one statement: see `read_states`."""

        def attempt() -> list[Seen]:
            with self.engine.connect() as connection:
                return read_states(connection, study_id, newer_than, trial_ids)

        return self._ride_out(attempt)

    def get_trials(
        self, study_id: int, trial_ids: Collection[int], newer_than: int | None = None
    ) -> list[FrozenTrial]:
        """Some trials of a study, and all after one of them.

        Args:
            study_id: The study.
            trial_ids: These are read.
            newer_than: All trials after this one are read, too, if it is given.

        Raises:
            KeyError: If there is no such study.
        """
        return self._read(study_id, None, trial_ids, newer_than)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """A trial, as it is now."""
        query = sa.select(TRIALS.c.study_id).where(TRIALS.c.trial_id == trial_id)

        def attempt() -> list[FrozenTrial]:
            with self.engine.connect() as connection:
                study_id = connection.execute(query).scalar()
                if study_id is None:
                    return []
                return read_trials(connection, study_id, trial_ids=[trial_id], newer_than=None)

        found = self._ride_out(attempt)
        if not found:
            raise KeyError(models.NOT_FOUND_MSG)
        return found[0]

    def _get_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        wanted = None if states is None else [each for each in TrialState if each in states]
        return self._read(study_id, wanted, included_trial_ids, trial_id_greater_than)

    def _read(
        self,
        study_id: int,
        states: Collection[TrialState] | None,
        trial_ids: Collection[int],
        newer_than: int | None,
    ) -> list[FrozenTrial]:
        def attempt() -> list[FrozenTrial]:
            with self.engine.connect() as connection:
                return read_trials(
                    connection, study_id, states=states, trial_ids=trial_ids, newer_than=newer_than
                )

        return self._ride_out(attempt)


def _now() -> datetime.datetime:
    """The moment as Optuna's tables hold it: UTC, without saying so."""
    return datetime.datetime.now(datetime.UTC).replace(tzinfo=None)


def _steady(method: Callable[..., Any]) -> Callable[..., Any]:
    """The method, repeated until the database answers."""

    @functools.wraps(method)
    def repeated(self: SteadyStorage, *args: Any, **kwargs: Any) -> Any:
        return self._ride_out(lambda: method(self, *args, **kwargs))

    return repeated


for _method in _REPEATABLE:
    setattr(SteadyStorage, _method, _steady(getattr(optuna.storages.RDBStorage, _method)))
