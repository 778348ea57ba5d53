"""Optuna's storage as our launches need it: it rides outages out, and a trial has one owner.

Each method of Optuna's storage is one transaction. Most may simply be repeated when a server died
in the middle of one; `storage.outage` says what becomes of those that may not.
"""

from __future__ import annotations

import datetime
import functools
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import optuna
import sqlalchemy as sa
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState, create_trial

from storage.outage import ride_out

__all__ = ["SteadyStorage", "StudyFullError"]

T = TypeVar("T")

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
    "get_trial",
    "set_trial_intermediate_value",
    "set_trial_user_attr",
    "set_trial_system_attr",
    "_get_trials",
    "_get_best_trial_id",
    "_set_trial_param",
)


class StudyFullError(Exception):
    """A study holds as many trials as it may; there is no other."""


class SteadyStorage(optuna.storages.RDBStorage):
    """Optuna's storage over a server that may restart, shared by launches that may not collide.

    Attributes:
        limits: Study -> how many trials it may hold for a new one to be asked for.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str,
        guard: Callable[[], AbstractContextManager[None]],
        engine_kwargs: dict[str, Any],
    ) -> None:
        """Open it; here an outage is an error.

        Args:
            url: The database's URL.
            name: The URL as it may be shown.
            guard: Turns the database's errors inside its block into ours: Optuna, which calls
                from everywhere, is to meet no others.
            engine_kwargs: For `sqlalchemy.create_engine`.
        """
        self._name = name
        self._guard = guard
        self._tried: set[int] = set()
        self.limits: dict[int, int | None] = {}
        super().__init__(url, engine_kwargs=engine_kwargs, skip_compatibility_check=True)

    def check_version(self) -> None:
        """Compare the version of Optuna's tables with that of the Optuna installed.

        Raises:
            RuntimeError: If they differ.
        """
        self._version_manager.check_table_schema_compatibility()

    def _create_new_trial(
        self, study_id: int, template_trial: FrozenTrial | None = None
    ) -> FrozenTrial:
        """Create a trial, once, however often it takes."""
        template = template_trial or create_trial(state=TrialState.RUNNING)
        create = functools.partial(super()._create_new_trial, study_id, template)
        try:
            return self._ride_out(create)
        finally:
            self._tried.discard(id(template))

    def _get_prepared_new_trial(
        self, study_id: int, template_trial: FrozenTrial | None, session: Any
    ) -> Any:
        """Called by each attempt of Optuna's own and of ours, the study's row being locked."""
        if template_trial is None:
            raise TypeError("_create_new_trial gives every trial a template")
        if id(template_trial) in self._tried:
            made = self._made_before(study_id, template_trial, session)
            if made is not None:
                return made
        # Counted in the transaction that adds to the count: no lock that a server's restart takes
        # away lets another launch in between.
        limit = self.limits.get(study_id)
        if limit is not None and template_trial.state == TrialState.RUNNING:
            n_trials = session.query(models.TrialModel).filter_by(study_id=study_id).count()
            if n_trials >= limit:
                raise StudyFullError
        self._tried.add(id(template_trial))
        return super()._get_prepared_new_trial(study_id, template_trial, session)

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
        say = functools.partial(super().set_trial_state_values, trial_id, state, values)
        n_attempts = 0

        def attempt() -> bool:
            nonlocal n_attempts
            n_attempts += 1
            try:
                return say()
            except UpdateFinishedTrialError:
                found = self.get_trial(trial_id)
                said = None if values is None else list(values)
                if n_attempts > 1 and (found.state, found.values) == (state, said):
                    return True
                raise

        return self._ride_out(attempt)

    def _take(self, trial_id: int) -> bool:
        """Take a waiting trial up, once; Optuna's own reads first and then writes."""
        table = models.TrialModel.__table__
        moment = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        waiting = (table.c.trial_id == trial_id) & (table.c.state == TrialState.WAITING)
        take = (
            sa.update(table).where(waiting).values(state=TrialState.RUNNING, datetime_start=moment)
        )
        look = sa.select(table.c.state, table.c.datetime_start).where(table.c.trial_id == trial_id)

        def attempt() -> bool:
            with self.engine.begin() as connection:
                if connection.execute(take).rowcount:
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


def _steady(method: Callable[..., Any]) -> Callable[..., Any]:
    """The method, repeated until the database answers."""

    @functools.wraps(method)
    def repeated(self: SteadyStorage, *args: Any, **kwargs: Any) -> Any:
        return self._ride_out(lambda: method(self, *args, **kwargs))

    return repeated


for _method in _REPEATABLE:
    setattr(SteadyStorage, _method, _steady(getattr(optuna.storages.RDBStorage, _method)))
