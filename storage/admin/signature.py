"""What tells one state of a study from another, in whatever store: no row's own number is in it."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from storage.tables import schema
from storage.tables.optuna_models import models

__all__ = ["StudySignature", "find_study", "read_signature"]


@dataclass(frozen=True, kw_only=True)
class StudySignature:
    """A study's state in brief.

    Attributes:
        created_at: When its first launch recorded its terms; None for a study of another tool's.
        directions: Objective -> direction.
        attributes: Its own attributes, by kind and key.
        trials: Number -> state, begin, end, reports, attributes.
        runs: Uid -> state, epochs.
        launches: Host, process and begin -> status, last heartbeat.
    """

    created_at: datetime.datetime | None
    directions: dict[int, str]
    attributes: dict[tuple[str, str], str]
    trials: dict[int, tuple[Any, ...]]
    runs: dict[str, tuple[str, int]]
    launches: dict[tuple[str, int, datetime.datetime], tuple[str, datetime.datetime]]

    def is_earlier_than(self, other: StudySignature) -> bool:
        """Whether the other may have come of this by going on, and nothing here is lost in it."""
        return (
            (self.created_at, self.directions) == (other.created_at, other.directions)
            and self.launches.keys() <= other.launches.keys()
            and all(
                uid in other.runs and n_epochs <= other.runs[uid][1]
                for uid, (_, n_epochs) in self.runs.items()
            )
            and all(
                number in other.trials and _may_become(trial, other.trials[number])
                for number, trial in self.trials.items()
            )
        )


def _may_become(trial: tuple[Any, ...], later: tuple[Any, ...]) -> bool:
    state, _, _, n_reports, _ = trial
    if state.is_finished():
        return trial[:4] == later[:4]
    return bool(n_reports <= later[3])


def find_study(connection: sa.Connection, name: str) -> int | None:
    """The number of a study in a store, or None."""
    table = models.StudyModel.__table__
    query = sa.select(table.c.study_id).where(table.c.study_name == name)
    return connection.execute(query).scalar()


def read_signature(connection: sa.Connection, study_id: int) -> StudySignature:
    """Read a study's signature.

    Args:
        connection: To its store.
        study_id: Its number there.
    """
    directions = models.StudyDirectionModel.__table__
    trials = models.TrialModel.__table__
    launches, runs, studies = schema.launches, schema.runs, schema.studies

    def rows(query: Any) -> list[Any]:
        return list(connection.execute(query))

    attributes = {}
    for kind, model in (
        ("user", models.StudyUserAttributeModel),
        ("system", models.StudySystemAttributeModel),
    ):
        table = model.__table__
        query = sa.select(table.c.key, table.c.value_json).where(table.c.study_id == study_id)
        attributes.update({(kind, key): value for key, value in rows(query)})

    def counted(model: Any) -> dict[int, int]:
        table = model.__table__
        query = sa.select(table.c.trial_id, sa.func.count())
        query = query.join(trials, trials.c.trial_id == table.c.trial_id)
        query = query.where(trials.c.study_id == study_id).group_by(table.c.trial_id)
        return {row[0]: row[1] for row in rows(query)}

    n_reports = counted(models.TrialIntermediateValueModel)
    n_attributes = counted(models.TrialUserAttributeModel)
    query = sa.select(
        trials.c.trial_id,
        trials.c.number,
        trials.c.state,
        trials.c.datetime_start,
        trials.c.datetime_complete,
    ).where(trials.c.study_id == study_id)
    return StudySignature(
        created_at=connection.execute(
            sa.select(studies.c.created_at).where(studies.c.study_id == study_id)
        ).scalar(),
        directions={
            row.objective: row.direction.name
            for row in rows(sa.select(directions).where(directions.c.study_id == study_id))
        },
        attributes=attributes,
        trials={
            number: (state, start, end, n_reports.get(key, 0), n_attributes.get(key, 0))
            for key, number, state, start, end in rows(query)
        },
        runs={
            row.uid: (row.state, row.n_epochs)
            for row in rows(
                sa.select(runs.c.uid, runs.c.state, runs.c.n_epochs).where(
                    runs.c.study_id == study_id
                )
            )
        },
        launches={
            (row.host, row.pid, row.started_at): (row.status, row.heartbeat_at)
            for row in rows(sa.select(launches).where(launches.c.study_id == study_id))
        },
    )
