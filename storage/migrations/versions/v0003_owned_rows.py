"""Rows of ours go with their study or trial; what deleted studies had left before is cleared.

SQLite hands the numbers of a deleted study and of its trials out again, so rows that were left
behind may seem to belong to another study by now. What tells them apart is said at each statement;
where nothing does, a row stays.
"""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from alembic import op

from storage.tables.ownership import make_triggers, names_none

revision = "0003"
down_revision = "0002"

_KEYS = {
    "search_studies": (("study_id", "studies"),),
    "search_launches": (("study_id", "studies"),),
    "search_runs": (("study_id", "studies"), ("trial_id", "trials")),
    "search_epochs": (("run_id", "search_runs"),),
    "search_results": (("run_id", "search_runs"),),
}
"""Table -> its keys into others."""

_NUMBERED = ("search_launches", "search_runs")
"""SQLite is never to hand one of their numbers out again."""

_OF_NO_TRIAL = """
    SELECT r.run_id FROM search_runs r LEFT JOIN trials t ON t.trial_id = r.trial_id
    WHERE r.trial_id IS NOT NULL AND (t.study_id IS NULL OR t.study_id <> r.study_id)
"""
"""A run's trial is there, and of the run's study."""

_OF_A_TRIAL_NOT_BEGUN = """
    SELECT r.run_id FROM search_runs r JOIN trials t ON t.trial_id = r.trial_id
    WHERE r.purpose = 'search' AND t.state = 'WAITING' AND t.datetime_start IS NULL
"""
"""A run begins after its trial."""

_REPORTING = """
    SELECT s.study_id FROM studies s
    WHERE 1 = (SELECT COUNT(*) FROM study_directions d WHERE d.study_id = s.study_id)
    AND NOT EXISTS (
        SELECT 1 FROM search_runs r
        WHERE r.study_id = s.study_id AND r.purpose = 'search' AND r.replicate > 0
    )
"""
"""Studies whose trials report each epoch of their run: those with one objective and one run a
trial. The last report is missing where a launch was killed between recording it and making it."""

_OLDER_THAN_ITS_TRIAL = """
    SELECT r.run_id, t.study_id FROM search_runs r JOIN trials t ON t.trial_id = r.trial_id
    WHERE r.purpose = 'search' AND t.state IN ('COMPLETE', 'PRUNED', 'FAIL')
    AND r.started_at < t.datetime_start AND r.ended_at < t.datetime_start
    AND NOT EXISTS (
        SELECT 1 FROM search_epochs e
        WHERE e.run_id = r.run_id AND e.reported_at >= t.datetime_start
    )
    AND (
        SELECT COUNT(*) FROM trial_intermediate_values v WHERE v.trial_id = t.trial_id
    ) NOT IN (r.n_epochs, r.n_epochs - 1)
"""
"""A run ends after its trial was last taken up. Clocks may have been set back meanwhile, so what
the trial has reported has to disagree with the run, too."""

_FAILED_BY_IT = """
    SELECT t.trial_id, t.study_id FROM trials t
    JOIN search_runs r ON r.trial_id = t.trial_id AND r.purpose = 'search'
    JOIN trial_user_attributes a ON a.trial_id = t.trial_id AND a.key = 'fail_reason'
    WHERE t.state = 'FAIL' AND r.n_epochs > 1
    AND a.value_json LIKE '"its config was changed by the space file after it was interrupted"'
    AND NOT EXISTS (SELECT 1 FROM trial_intermediate_values v WHERE v.trial_id = t.trial_id)
    AND NOT EXISTS (
        SELECT 1 FROM search_epochs e
        WHERE e.run_id = r.run_id AND e.reported_at >= t.datetime_start
    )
"""
"""New trials that were taken for those that had their numbers before: they have reported nothing of
their run, so they have trained none of it, and are tried again."""


_NOT_BEGUN = """
    SELECT s.study_id FROM studies s WHERE NOT EXISTS (
        SELECT 1 FROM trials t WHERE t.study_id = s.study_id AND t.datetime_start IS NOT NULL
    )
"""

_OVER_BEFORE_ITS_STUDY = """
    SELECT l.launch_id FROM search_launches l WHERE l.study_id IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM search_runs r WHERE r.launch_id = l.launch_id)
    AND NOT EXISTS (SELECT 1 FROM search_epochs e WHERE e.launch_id = l.launch_id)
    AND NOT EXISTS (
        SELECT 1 FROM trials t
        WHERE t.study_id = l.study_id AND t.datetime_start <= l.heartbeat_at
    )
"""
"""Launches that have trained nothing that is left, over before their study's first trial began."""

_STUDIES = sa.table("search_studies", sa.column("study_id"))
_LAUNCHES = sa.table("search_launches", sa.column("launch_id"), sa.column("study_id"))
_RUNS = sa.table("search_runs", sa.column("run_id"), sa.column("study_id"), sa.column("trial_id"))
_EPOCHS = sa.table("search_epochs", sa.column("run_id"))
_RESULTS = sa.table("search_results", sa.column("run_id"))
_THEIRS = sa.table("studies", sa.column("study_id"))
_TRIALS = sa.table(
    "trials", sa.column("trial_id"), sa.column("state"), sa.column("datetime_complete")
)
_ATTRIBUTES = sa.table("trial_user_attributes", sa.column("trial_id"), sa.column("key"))


def upgrade() -> None:
    """Clear what deleted studies have left, and let the database see to it from now on."""
    connection = op.get_bind()
    _clear_leftovers(connection)
    for table, keys in _KEYS.items():
        numbered = {"sqlite_autoincrement": True} if table in _NUMBERED else {}
        with op.batch_alter_table(table, recreate="auto", table_kwargs=numbered) as batch:
            if table == "search_launches":
                batch.add_column(sa.Column("process", sa.String(128)))
            for key, owner in keys:
                batch.create_foreign_key(
                    f"fk_{table}_{key}", owner, [key], [key], ondelete="CASCADE"
                )
    make_triggers(connection)


def _clear_leftovers(connection: sa.Connection) -> None:
    """Delete what belongs to studies and trials that are gone."""

    def numbers(query: Any, studies: set[int] | None = None) -> set[int]:
        query = sa.text(query) if isinstance(query, str) else query
        rows = connection.execute(query)
        return {row[0] for row in rows if studies is None or row.study_id in studies}

    for table in (_RUNS, _LAUNCHES, _STUDIES):
        gone = names_none((table.c.study_id, _THEIRS.c.study_id))
        connection.execute(sa.delete(table).where(gone))
    reporting = numbers(_REPORTING)
    failed = numbers(_FAILED_BY_IT, reporting)
    left = numbers(_OF_NO_TRIAL) | numbers(_OF_A_TRIAL_NOT_BEGUN)
    left |= numbers(_OLDER_THAN_ITS_TRIAL, reporting)
    renumbered = numbers(_NOT_BEGUN)
    for part in _parts(failed):
        left |= numbers(sa.select(_RUNS.c.run_id).where(_RUNS.c.trial_id.in_(part)))
        failing = (_ATTRIBUTES.c.key == "fail_reason") & _ATTRIBUTES.c.trial_id.in_(part)
        connection.execute(sa.delete(_ATTRIBUTES).where(failing))
        waiting = sa.update(_TRIALS).where(_TRIALS.c.trial_id.in_(part))
        waiting = waiting.values(state=sa.literal_column("'WAITING'"), datetime_complete=None)
        connection.execute(waiting)
    for table in (_EPOCHS, _RESULTS):
        gone = names_none((table.c.run_id, _RUNS.c.run_id))
        connection.execute(sa.delete(table).where(gone))
    for part in _parts(left):
        renumbered |= numbers(sa.select(_RUNS.c.study_id).where(_RUNS.c.run_id.in_(part)))
        for table in (_EPOCHS, _RESULTS, _RUNS):
            connection.execute(sa.delete(table).where(table.c.run_id.in_(part)))
    # The number of these was another study's before, or may have been: what is left of no use to
    # them goes. Terms that no launch is left of are said anew by the next one.
    over = numbers(_OVER_BEFORE_ITS_STUDY)
    for part in _parts(renumbered):
        for few in _parts(over):
            gone = _LAUNCHES.c.launch_id.in_(few) & _LAUNCHES.c.study_id.in_(part)
            connection.execute(sa.delete(_LAUNCHES).where(gone))
        gone = names_none((_STUDIES.c.study_id, _LAUNCHES.c.study_id))
        gone &= _STUDIES.c.study_id.in_(part)
        connection.execute(sa.delete(_STUDIES).where(gone))


def _parts(numbers: Iterable[int]) -> list[list[int]]:
    """Few at a time: databases bound the number of parameters a statement may have."""
    wanted = sorted(numbers)
    return [wanted[start : start + 400] for start in range(0, len(wanted), 400)]
