"""Our rows go with the study or the trial they belong to, whichever program deletes that.

PostgreSQL sees to it by the foreign keys of `storage.tables.schema`. SQLite enforces foreign keys
only for connections that ask it to, as ours do, but runs triggers for every program. A program that
makes one of Optuna's tables anew, as Optuna's migrations may, takes its triggers away: `guard_rows`
puts them back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from space.errors import DeletedError
from storage.tables import schema
from storage.tables.optuna_models import TRIALS

__all__ = [
    "drop_triggers",
    "guard_rows",
    "is_guarded",
    "lost_rows",
    "make_triggers",
    "names_none",
    "require_launch",
    "require_runs",
    "require_trial",
    "restore_launches",
    "runs_there",
    "take_up",
]


_LAUNCHED = {
    constraint
    for table in (schema.runs, schema.epochs)
    for constraint in table.foreign_key_constraints
    if constraint.referred_table is schema.launches
}
"""What says which launch trained something; a launch does not go while anything says so."""

_TRIGGERS = {
    "search_rows_go_with_studies": """
        AFTER DELETE ON studies BEGIN
            DELETE FROM search_runs WHERE study_id = OLD.study_id;
            DELETE FROM search_launches WHERE study_id = OLD.study_id;
            DELETE FROM search_studies WHERE study_id = OLD.study_id;
        END""",
    "search_rows_go_with_trials": """
        AFTER DELETE ON trials BEGIN
            DELETE FROM search_runs WHERE trial_id = OLD.trial_id;
        END""",
    "search_rows_go_with_search_runs": """
        AFTER DELETE ON search_runs BEGIN
            DELETE FROM search_epochs WHERE run_id = OLD.run_id;
            DELETE FROM search_results WHERE run_id = OLD.run_id;
        END""",
    "search_rows_go_with_search_epochs": """
        AFTER DELETE ON search_epochs BEGIN
            DELETE FROM search_epoch_metrics WHERE run_id = OLD.run_id AND epoch = OLD.epoch;
        END""",
    "search_rows_go_with_search_results": """
        AFTER DELETE ON search_results BEGIN
            DELETE FROM search_result_metrics WHERE run_id = OLD.run_id;
        END""",
}


_MISSING = """
    SELECT n.launch_id, MAX(n.study_id) AS study_id, MIN(n.started_at) AS started_at FROM (
        SELECT launch_id, study_id, started_at FROM search_runs
        UNION SELECT e.launch_id, r.study_id, r.started_at
        FROM search_epochs e JOIN search_runs r ON r.run_id = e.run_id
    ) n
    WHERE NOT EXISTS (SELECT 1 FROM search_launches l WHERE l.launch_id = n.launch_id)
    GROUP BY n.launch_id
"""
"""Launches of which a run or an epoch is there, but they are not."""


def is_guarded(connection: sa.Connection) -> bool:
    """Whether the database itself deletes rows of ours that lose what they belong to."""
    if connection.dialect.name != "sqlite":
        return True
    query = sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
    return set(connection.execute(query).scalars()) >= _TRIGGERS.keys()


def lost_rows(connection: sa.Connection) -> Counter[tuple[str, str]]:
    """Our table, and the one that it has lost something in -> how many rows have."""
    if connection.dialect.name != "sqlite":
        return Counter()  # PostgreSQL lets no such row be.
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check")
    return Counter(
        (table, owner) for table, _, owner, _ in broken if table in schema.metadata.tables
    )


def guard_rows(connection: sa.Connection) -> None:
    """Delete rows of which what they belong to is gone, and have the database do so from now on.

    Runs and epochs whose launch is gone stay.

    Args:
        connection: Its transaction is left open, for the caller to commit.
    """
    restore_launches(connection)
    for table in schema.metadata.sorted_tables:  # Owners come before what belongs to them.
        for constraint in table.foreign_key_constraints - _LAUNCHED:
            keys = [(key.parent, key.column) for key in constraint.elements]
            connection.execute(sa.delete(table).where(names_none(*keys)))
    make_triggers(connection)


def restore_launches(connection: sa.Connection) -> None:
    """Put a launch in the place of each that is missing: nothing is known of it but its number."""
    json = dict.fromkeys(("config", "versions", "hardware"), "{}") | {"changes": "[]"}
    text = dict.fromkeys(("host", "data_source", "data_fingerprint"), "unknown")
    known = {"status": "died", "pid": 0, "command": "unknown: its row was deleted", **text, **json}
    for launch_id, study_id, started_at in connection.execute(sa.text(_MISSING)).all():
        values = {**known, "launch_id": launch_id, "study_id": study_id}
        values |= dict.fromkeys(("started_at", "heartbeat_at", "ended_at"), started_at)
        table = sa.table("search_launches", *map(sa.column, values))
        connection.execute(sa.insert(table).values(values))


def names_none(
    *keys: tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]],
) -> sa.ColumnElement[bool]:
    """Whether a key is set, but no row has it; `NOT IN` compares all with all in PostgreSQL.

    Args:
        keys: Each column of the key, and the one of the owner's that it names.
    """
    found = sa.exists().where(*(owner == key for key, owner in keys))
    return sa.and_(~found, *(key.is_not(None) for key, _ in keys))


def make_triggers(connection: sa.Connection) -> None:
    """Make the triggers that are not there, where the database needs them."""
    if connection.dialect.name == "sqlite":
        for name, does in _TRIGGERS.items():
            connection.exec_driver_sql(f"CREATE TRIGGER IF NOT EXISTS {name} {does}")


def drop_triggers(connection: sa.Connection) -> None:
    """Take the triggers away, for a migration that makes tables of ours anew."""
    if connection.dialect.name == "sqlite":
        for name in _TRIGGERS:
            connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}")


def require_launch(connection: sa.Connection, launch_id: int) -> None:
    """Refuse to write for a launch that is gone; no other ever has its number.

    Raises:
        DeletedError: If its row was deleted.
    """
    table = schema.launches
    query = sa.select(table.c.launch_id).where(table.c.launch_id == launch_id)
    if connection.execute(query).scalar() is None:
        raise DeletedError(
            f"another program deleted the study that launch {launch_id} worked on; run the same "
            "command again to begin it anew."
        )


def take_up(connection: sa.Connection, launch_id: int, study_id: int, number: int) -> None:
    """Say which launch has taken a trial up; until the trial has a run, nothing else does.

    Args:
        connection: In the transaction that makes or takes the trial.
        launch_id: The launch.
        study_id: Its study.
        number: Optuna's number of the trial in the study.

    Raises:
        DeletedError: If the launch's row was deleted.
    """
    table = schema.launches
    own = table.c.launch_id == launch_id
    # It was perhaps another's that is alive and has put it back.
    theirs = (table.c.study_id == study_id) & (table.c.last_trial == number)
    said = table.update().where(own | theirs).values(last_trial=sa.case((own, number)))
    connection.execute(said)
    require_launch(connection, launch_id)


def require_trial(connection: sa.Connection, trial_id: int) -> None:
    """Refuse to train a trial that is gone.

    Raises:
        DeletedError: If its row was deleted.
    """
    query = sa.select(TRIALS.c.trial_id).where(TRIALS.c.trial_id == trial_id)
    if connection.execute(query).scalar() is None:
        raise DeletedError(
            "another program deleted a trial that was about to be trained; run the same command "
            "again to go on with the others."
        )


def require_runs(connection: sa.Connection, launch_id: int, run_ids: Iterable[int]) -> None:
    """Refuse to go on where runs of a launch are gone, and their trials with them.

    Raises:
        DeletedError: If its row, or one of the runs, was deleted.
    """
    require_launch(connection, launch_id)
    missing = sorted(set(run_ids) - runs_there(connection, run_ids))
    if missing:
        raise DeletedError(
            f"another program deleted the trial of run {missing[0]} while launch {launch_id} "
            "trained it; run the same command again to go on with the others."
        )


def runs_there(connection: sa.Connection, run_ids: Iterable[int]) -> set[int]:
    """Those of some runs that were not deleted."""
    table = schema.runs
    query = sa.select(table.c.run_id).where(table.c.run_id.in_(list(run_ids)))
    return set(connection.execute(query).scalars())
