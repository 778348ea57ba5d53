"""Optuna's trials, read whole and many at a time.

Optuna's own reading makes an object of every row and a distribution of every parameter, which takes
nine times as long. What comes out here is the same.
"""

from __future__ import annotations

import datetime
import functools
import json
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from optuna.distributions import BaseDistribution, FloatDistribution, json_to_distribution
from optuna.trial import FrozenTrial, TrialState

from space.study.steps import on_step
from storage.tables.optuna_models import (
    PARAMS,
    REPORTS,
    STUDIES,
    SYSTEM_ATTRIBUTES,
    TRIALS,
    USER_ATTRIBUTES,
    VALUES,
    models,
)

__all__ = ["Seen", "local_time", "read_states", "read_trials"]

PART = 1_000
"""Rows that are fetched at a time: to fetch each by itself takes a fifth longer in all."""

Seen = tuple[int, TrialState, datetime.datetime | None]
"""A trial by Optuna's number, its state and when it began (UTC)."""


_SEEN = (TRIALS.c.trial_id, TRIALS.c.state, TRIALS.c.datetime_start)
# Not one query with OR: a database may take it for a reason to scan all trials.
_STATES = sa.union_all(
    sa.select(sa.literal(-1), *(sa.cast(sa.null(), column.type) for column in _SEEN[1:])).where(
        sa.exists().where(STUDIES.c.study_id == sa.bindparam("study"))
    ),
    sa.select(*_SEEN).where(
        (TRIALS.c.study_id == sa.bindparam("study")) & (TRIALS.c.trial_id > sa.bindparam("newest"))
    ),
    sa.select(*_SEEN).where(
        TRIALS.c.trial_id.in_(sa.bindparam("named", expanding=True))
        & (TRIALS.c.trial_id <= sa.bindparam("newest"))
    ),
)
"""A study's sign of life and what may have changed in it: see `read_states`."""

_value = models.TrialValueModel.stored_repr_to_value
_step_value = models.TrialIntermediateValueModel.stored_repr_to_intermediate_value
# Distributions are never changed, and a study has few of them.
_distribution = functools.lru_cache(maxsize=1024)(json_to_distribution)


def local_time(utc: datetime.datetime | None) -> datetime.datetime | None:
    """A moment as Optuna's trials give it, from the way its tables hold it."""
    if utc is None:
        return None
    return utc.replace(tzinfo=datetime.UTC).astimezone().replace(tzinfo=None)


def read_states(
    connection: sa.Connection, study_id: int, newer_than: int, trial_ids: Collection[int]
) -> list[Seen]:
    """Read in one statement what may have changed in a study.

    Args:
        connection: Of the store.
        study_id: The study.
        newer_than: All trials after this one are looked at.
        trial_ids: These are looked at, too.

    Returns:
        The trials, in order.

    Raises:
        KeyError: If there is no such study.
    """
    asked = {"study": study_id, "newest": newer_than, "named": list(trial_ids)}
    seen = sorted((row[0], row[1], row[2]) for row in connection.execute(_STATES, asked))
    if not seen or seen[0][0] != -1:
        raise KeyError(models.NOT_FOUND_MSG)
    return seen[1:]


def read_trials(
    connection: sa.Connection,
    study_id: int,
    *,
    states: Collection[TrialState] | None = None,
    trial_ids: Collection[int] = (),
    newer_than: int | None = -1,
) -> list[FrozenTrial]:
    """Read trials of a study.

    Args:
        connection: Of the store.
        study_id: The study.
        states: Only trials in these; default: in any.
        trial_ids: Trials to read, by Optuna's number.
        newer_than: All trials after this one are read, too; None: no others.

    Returns:
        The trials, in order.

    Raises:
        KeyError: If there is no such study.
    """
    study = sa.select(STUDIES.c.study_id).where(STUDIES.c.study_id == study_id)
    if connection.execute(study).scalar() is None:
        raise KeyError(models.NOT_FOUND_MSG)
    # With the study as a condition, too, SQLite goes through all of its trials for a few of them.
    wanted: Any = TRIALS.c.trial_id.in_(list(trial_ids))
    if newer_than is not None:
        newer = TRIALS.c.trial_id > newer_than
        wanted = newer | wanted if trial_ids else newer
        wanted &= TRIALS.c.study_id == study_id
    if states is not None:
        wanted &= TRIALS.c.state.in_(states)
    query = sa.select(TRIALS).where(wanted).order_by(TRIALS.c.trial_id)
    trials = {row.trial_id: row for row in connection.execute(query) if row.study_id == study_id}
    if not trials:
        return []
    # Few are named one by one, since a database may take a subquery for a reason to scan.
    of_these: Any = list(trials)
    if len(of_these) > 100:
        of_these = sa.select(TRIALS.c.trial_id).where(wanted)

    def children(table: sa.Table, order: str, *columns: str) -> Any:
        query = sa.select(table.c.trial_id, *(table.c[name] for name in columns))
        query = query.where(table.c.trial_id.in_(of_these))
        # What came after the trials were read belongs to the next reading.
        rows = connection.execute(query.order_by(table.c.trial_id, table.c[order]))
        return (row for part in rows.partitions(PART) for row in part if row[0] in trials)

    values: dict[int, list[float]] = {}
    for trial_id, value, kind in children(VALUES, "objective", "value", "value_type"):
        values.setdefault(trial_id, []).append(_value(value, kind))
    params: dict[int, dict[str, Any]] = {}
    distributions: dict[int, dict[str, BaseDistribution]] = {}
    for trial_id, name, value, text in children(
        PARAMS, "param_id", "param_name", "param_value", "distribution_json"
    ):
        distribution = _distribution(text)
        params.setdefault(trial_id, {})[name] = _spelled(distribution, value)
        distributions.setdefault(trial_id, {})[name] = distribution
    attributes: list[dict[int, dict[str, Any]]] = []
    for table in (USER_ATTRIBUTES, SYSTEM_ATTRIBUTES):
        found: dict[int, dict[str, Any]] = {}
        for trial_id, key, text in children(table, "key", "key", "value_json"):
            found.setdefault(trial_id, {})[key] = json.loads(text)
        attributes.append(found)
    steps: dict[int, dict[int, float]] = {}
    for trial_id, step, value, kind in children(
        REPORTS, "step", "step", "intermediate_value", "intermediate_value_type"
    ):
        steps.setdefault(trial_id, {})[step] = _step_value(value, kind)
    user, system = attributes
    return [
        FrozenTrial(
            number=row.number,
            state=row.state,
            value=None,
            values=values.get(trial_id),
            datetime_start=local_time(row.datetime_start),
            datetime_complete=local_time(row.datetime_complete),
            params=params.get(trial_id, {}),
            distributions=distributions.get(trial_id, {}),
            user_attrs=user.get(trial_id, {}),
            system_attrs=system.get(trial_id, {}),
            intermediate_values=steps.get(trial_id, {}),
            trial_id=trial_id,
        )
        for trial_id, row in trials.items()
    ]


def _spelled(distribution: BaseDistribution, internal: float) -> Any:
    """A parameter's value; one of a range with steps as people write it, however it was stored.

    Optuna's samplers add steps up, which makes 0.7000000000000001 of 0.7.
    """
    value = distribution.to_external_repr(internal)
    if isinstance(distribution, FloatDistribution) and distribution.step is not None:
        point = on_step(value, distribution.low, distribution.step)
        return value if point is None else point
    return value
