"""The trials of a study, read in a handful of statements.

Optuna's own interface builds an object for every report, which takes ten seconds for 10,000 trials
of 25 epochs: too long for a page that refreshes itself. So this reads Optuna's tables, whose
columns are the same in every release that this one runs with.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, json_to_distribution

from space import Value
from storage import RunRecord, Store
from storage.connect.engine import translated
from storage.tables.attributes import BASELINE, FAIL_REASON, STANDARD_ERROR

__all__ = ["Reports", "StudyTrial", "StudyTrials", "read_trials"]


def _table(name: str, *columns: str) -> Any:
    return sa.table(name, *(sa.column(column) for column in columns))


_TRIALS = _table(
    "trials", "trial_id", "number", "study_id", "state", "datetime_start", "datetime_complete"
)
_PARAMS = _table("trial_params", "trial_id", "param_name", "param_value", "distribution_json")
_VALUES = _table("trial_values", "trial_id", "objective", "value", "value_type")
_REPORTS = _table(
    "trial_intermediate_values",
    "trial_id",
    "step",
    "intermediate_value",
    "intermediate_value_type",
)
_ATTRIBUTES = _table("trial_user_attributes", "trial_id", "key", "value_json")


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyTrial:
    """One trial.

    Attributes:
        number: Optuna's number.
        trial_id: Optuna's number in the store.
        state: Optuna's state: COMPLETE, PRUNED, FAIL, RUNNING or WAITING.
        values: Objective values. Of a trial that is not complete: the last value that it reported,
            else nothing.
        standard_errors: Of the values over the trial's replicates, where there are several.
        params: Parameter -> value.
        is_baseline: Whether the space file asked for it.
        reason: Why it failed, if it did.
        n_epochs: Epochs trained, over its replicates; without runs in the store, its reports.
        seconds: Seconds of training, over its replicates.
        worker: Who trained it last.
        started_at: When it began, UTC.
        ended_at: When it ended, UTC.
    """

    number: int
    trial_id: int
    state: str
    values: tuple[float, ...]
    standard_errors: tuple[float, ...]
    params: dict[str, Value]
    is_baseline: bool
    reason: str | None
    n_epochs: int
    seconds: float
    worker: str | None
    started_at: datetime.datetime | None
    ended_at: datetime.datetime | None


class Reports(NamedTuple):
    """What trials reported to the pruner; R reports, ordered by trial, then step."""

    number_R: NDArray[np.int64]
    """The trial's number."""
    step_R: NDArray[np.int64]
    """The epoch, from 1; under the Wilcoxon pruner the replicate; in another tool's study any."""
    value_R: NDArray[np.float64]
    """The objective of the state kept; NaN where it is not finite."""


class StudyTrials(NamedTuple):
    """A study's trials and what goes with them."""

    trials: tuple[StudyTrial, ...]
    """Ascending by number."""
    reports: Reports
    """What they reported."""
    distributions: dict[str, BaseDistribution]
    """What each parameter was drawn from, last of all, in the order of the first trial's."""


def read_trials(store: Store, study_id: int, runs: Iterable[RunRecord]) -> StudyTrials:
    """Read a study's trials.

    Args:
        store: The store.
        study_id: The study.
        runs: Its search runs, which know epochs, seconds and workers.

    Returns:
        Its trials.

    Raises:
        StorageError: If the store cannot be read.
    """
    with translated(store.url), store.engine.connect() as connection:
        rows = connection.execute(
            sa.select(
                _TRIALS.c.trial_id,
                _TRIALS.c.number,
                sa.cast(_TRIALS.c.state, sa.String),
                sa.type_coerce(_TRIALS.c.datetime_start, sa.DateTime),
                sa.type_coerce(_TRIALS.c.datetime_complete, sa.DateTime),
            )
            .where(_TRIALS.c.study_id == study_id)
            .order_by(_TRIALS.c.number)
        ).all()
        numbers = {row[0]: row[1] for row in rows}
        params, distributions = _params(connection, study_id, numbers)
        values = _values(connection, study_id)
        reports = _reports(connection, study_id, numbers)
        attributes = _attributes(connection, study_id)
    last = dict(zip(reports.number_R.tolist(), reports.value_R.tolist(), strict=True))
    n_reports = dict(zip(*np.unique(reports.number_R, return_counts=True), strict=True))
    work = _work(runs)
    trials = []
    for trial_id, number, state, started_at, ended_at in rows:
        own = attributes.get(trial_id, {})
        found = values.get(trial_id) or (
            [last[number]] if np.isfinite(last.get(number, np.nan)) else []
        )
        n_epochs, seconds, worker = work.get(trial_id) or (int(n_reports.get(number, 0)), 0.0, None)
        trials.append(
            StudyTrial(
                number=number,
                trial_id=trial_id,
                state=state,
                values=tuple(found),
                standard_errors=tuple(own.get(STANDARD_ERROR, ())),
                params=params.get(trial_id, {}),
                is_baseline=BASELINE in own,
                reason=own.get(FAIL_REASON),
                n_epochs=n_epochs,
                seconds=seconds,
                worker=worker,
                started_at=_aware(started_at),
                ended_at=_aware(ended_at),
            )
        )
    return StudyTrials(tuple(trials), reports, distributions)


def _of_study(table: Any, study_id: int, *columns: Any) -> Any:
    return (
        sa.select(table.c.trial_id, *columns)
        .join(_TRIALS, _TRIALS.c.trial_id == table.c.trial_id)
        .where(_TRIALS.c.study_id == study_id)
    )


def _finite(value: Any, kind: Any) -> Any:
    """A stored number, NULL where it stands for an infinity or no number at all."""
    return sa.case((sa.cast(kind, sa.String) == "FINITE", value), else_=None)


def _params(
    connection: sa.Connection, study_id: int, numbers: dict[int, int]
) -> tuple[dict[int, dict[str, Value]], dict[str, BaseDistribution]]:
    columns = (_PARAMS.c.param_name, _PARAMS.c.param_value, _PARAMS.c.distribution_json)
    decoded: dict[str, BaseDistribution] = {}
    params: dict[int, dict[str, Value]] = {}
    latest: dict[str, tuple[int, str]] = {}
    for trial_id, name, value, text in connection.execute(_of_study(_PARAMS, study_id, *columns)):
        if text not in decoded:
            decoded[text] = json_to_distribution(text)
        params.setdefault(trial_id, {})[name] = decoded[text].to_external_repr(value)
        if name not in latest or numbers.get(trial_id, -1) >= latest[name][0]:
            latest[name] = numbers.get(trial_id, -1), text
    return params, {name: decoded[text] for name, (_, text) in latest.items()}


def _values(connection: sa.Connection, study_id: int) -> dict[int, list[float]]:
    value = _finite(_VALUES.c.value, _VALUES.c.value_type)
    query = _of_study(_VALUES, study_id, value).order_by(_VALUES.c.trial_id, _VALUES.c.objective)
    found: dict[int, list[float]] = {}
    for trial_id, each in connection.execute(query):
        found.setdefault(trial_id, []).append(np.nan if each is None else each)
    # A trial without a finite value is shown as one without any.
    return {trial_id: each for trial_id, each in found.items() if np.all(np.isfinite(each))}


def _reports(connection: sa.Connection, study_id: int, numbers: dict[int, int]) -> Reports:
    value = _finite(_REPORTS.c.intermediate_value, _REPORTS.c.intermediate_value_type)
    rows = connection.execute(_of_study(_REPORTS, study_id, _REPORTS.c.step, value)).all()
    rows = [row for row in rows if row[0] in numbers]
    number_R = np.array([numbers[row[0]] for row in rows], dtype=np.int64)
    step_R = np.array([row[1] for row in rows], dtype=np.int64)
    value_R = np.array([np.nan if row[2] is None else row[2] for row in rows], dtype=np.float64)
    order_R = np.lexsort((step_R, number_R))
    return Reports(number_R[order_R], step_R[order_R], value_R[order_R])


def _attributes(connection: sa.Connection, study_id: int) -> dict[int, dict[str, Any]]:
    query = _of_study(_ATTRIBUTES, study_id, _ATTRIBUTES.c.key, _ATTRIBUTES.c.value_json)
    query = query.where(_ATTRIBUTES.c.key.in_((BASELINE, FAIL_REASON, STANDARD_ERROR)))
    found: dict[int, dict[str, Any]] = {}
    for trial_id, key, text in connection.execute(query):
        found.setdefault(trial_id, {})[key] = json.loads(text)
    return found


def _work(runs: Iterable[RunRecord]) -> dict[int, tuple[int, float, str | None]]:
    """Epochs, seconds and the last worker by trial."""
    found: dict[int, tuple[int, float, str | None]] = {}
    for run in runs:
        if run.trial_id is not None:
            n_epochs, seconds, worker = found.get(run.trial_id, (0, 0.0, None))
            found[run.trial_id] = (
                n_epochs + run.n_epochs,
                seconds + run.train_seconds,
                run.worker or worker,
            )
    return found


def _aware(time: datetime.datetime | None) -> datetime.datetime | None:
    return None if time is None else time.replace(tzinfo=datetime.UTC)
