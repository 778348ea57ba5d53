"""Optuna's rows of a trial, written in transactions of ours.

Optuna's storage writes each thing it is told in a transaction of its own. Where something of
Optuna's and something of ours belong together, both are written in one, with the meaning that
Optuna's own methods have: what is there already is said anew, and a trial that has ended is not
changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.exceptions import UpdateFinishedTrialError

from storage.tables.inserts import insert_new, upsert
from storage.tables.optuna_models import PARAMS, REPORTS, TRIALS, USER_ATTRIBUTES, VALUES, models
from storage.tables.records import TrialStep

__all__ = [
    "next_number",
    "report_steps",
    "require_unfinished",
    "write_attribute",
    "write_param",
    "write_values",
]

_STATES = sa.select(TRIALS.c.trial_id, TRIALS.c.number, TRIALS.c.state).where(
    TRIALS.c.trial_id.in_(sa.bindparam("wanted", expanding=True))
)


def next_number(study_id: int) -> sa.ScalarSelect[Any]:
    """The number of a study's next trial: no other's, though one before it was deleted.

    It is that after the newest trial's, which an index leads to. Optuna counts the trials instead.
    """
    others = TRIALS.alias()
    newest = sa.select(others.c.number)
    newest = newest.where((others.c.study_id == study_id) & others.c.number.is_not(None))
    newest = newest.order_by(others.c.trial_id.desc()).limit(1)
    return sa.select(sa.func.coalesce(newest.scalar_subquery(), -1) + 1).scalar_subquery()


def require_unfinished(connection: sa.Connection, trial_ids: Iterable[int]) -> None:
    """Refuse to go on where a trial has ended.

    Raises:
        KeyError: If there is no such trial.
        UpdateFinishedTrialError: If one of them has ended.
    """
    wanted = set(trial_ids)
    found = connection.execute(_STATES, {"wanted": list(wanted)}).all()
    if len(found) < len(wanted):
        raise KeyError(models.NOT_FOUND_MSG)
    for trial in found:
        if trial.state.is_finished():
            raise UpdateFinishedTrialError(
                f"trial {trial.number} is {trial.state.name} and cannot be changed"
            )


def report_steps(connection: sa.Connection, steps: Sequence[TrialStep]) -> None:
    """Say what trials reported; see `Store.record_epochs`."""
    represent = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr
    rows = []
    for step in steps:
        value, kind = represent(step.value)
        rows.append(
            {
                "trial_id": step.trial_id,
                "step": step.step,
                "intermediate_value": value,
                "intermediate_value_type": kind,
            }
        )
    connection.execute(upsert(connection, REPORTS, "trial_id", "step"), rows)


def write_values(connection: sa.Connection, trial_id: int, values: Sequence[float]) -> None:
    """Write the objectives' values of a trial, in order."""
    rows = []
    for objective, each in enumerate(values):
        value, kind = models.TrialValueModel.value_to_stored_repr(each)
        rows.append(
            {"trial_id": trial_id, "objective": objective, "value": value, "value_type": kind}
        )
    connection.execute(upsert(connection, VALUES, "trial_id", "objective"), rows)


def write_attribute(connection: sa.Connection, trial_id: int, key: str, value: Any) -> None:
    """Write a user attribute of a trial; JSON."""
    row = {"trial_id": trial_id, "key": key, "value_json": json.dumps(value)}
    connection.execute(upsert(connection, USER_ATTRIBUTES, "trial_id", "key"), [row])


def write_param(
    connection: sa.Connection,
    trial_id: int,
    name: str,
    value: float,
    distribution: BaseDistribution,
) -> None:
    """Write a parameter, unless it is there; its value is the distribution's internal one."""
    row = {
        "trial_id": trial_id,
        "param_name": name,
        "param_value": value,
        "distribution_json": distribution_to_json(distribution),
    }
    connection.execute(insert_new(connection, PARAMS), [row])
