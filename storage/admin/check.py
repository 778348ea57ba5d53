"""Whether a store agrees with itself: ``python -m storage check``.

Everything is read in one snapshot, so a search may write meanwhile. It writes in many small steps,
and a snapshot may fall between two of them: a trial that was just asked for has no run yet, one
that was just told has runs that say ``running``. Where a launch of the study is alive such steps
are no findings; where none is, they are what a killed launch left, and the next one mends them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from space.metrics import Measured
from storage.admin.check_study import AGAIN, Finding, check_epochs, check_study
from storage.admin.snapshot import snapshot
from storage.leases import is_alive
from storage.store import LAUNCHES, Store
from storage.submissions import SUBMISSIONS, is_held, submission_record
from storage.tables import schema
from storage.tables.optuna_models import STUDIES, TRIALS
from storage.tables.ownership import is_guarded, lost_rows
from storage.tables.records import LaunchRecord

__all__ = ["Checked", "check_store"]


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What was looked at, and what was found.

    Attributes:
        n_studies: Studies.
        n_trials: Their trials.
        n_runs: Runs, of studies and of benchmarks.
        findings: What does not agree; empty for a sound store.
    """

    n_studies: int
    n_trials: int
    n_runs: int
    findings: list[Finding]


def check_store(store: Store) -> Checked:
    """Check a store; nothing is changed.

    Args:
        store: The store; searches may write to it meanwhile.

    Returns:
        What was found.

    Raises:
        StorageError: If the database fails.
    """
    # A launch may end between the snapshot and the look at its process.
    alive = {launch.launch_id for launch in store.launches() if is_alive(launch)}
    with snapshot(store) as connection:

        def count(column: sa.Column[int]) -> int:
            return int(connection.execute(sa.select(sa.func.count(column))).scalar_one())

        studies = connection.execute(sa.select(STUDIES).order_by(STUDIES.c.study_id)).all()
        has_ours = sa.inspect(connection).has_table(schema.runs.name)
        launches = []
        if has_ours:
            launches = [LaunchRecord(**row._mapping) for row in connection.execute(LAUNCHES)]
        alive |= {launch.launch_id for launch in launches if is_alive(launch)}
        findings = list(_launches(launches, alive))
        for study_id, name in studies:
            own = [launch for launch in launches if launch.study_id == study_id]
            findings += check_study(connection, study_id, name, own, alive, has_ours=has_ours)
        if has_ours:
            findings += check_epochs(connection, _measured(connection))
            findings += _benchmarks(connection, alive)
            findings += _service(connection, alive)
            findings += _unguarded(connection)
        return Checked(
            n_studies=len(studies),
            n_trials=count(TRIALS.c.trial_id),
            n_runs=count(schema.runs.c.run_id) if has_ours else 0,
            findings=findings,
        )


def _launches(launches: list[LaunchRecord], alive: set[int]) -> Iterator[Finding]:
    for launch in launches:
        if launch.status == "running" and launch.launch_id not in alive:
            heard = launch.heartbeat_at.isoformat(sep=" ", timespec="seconds")
            yield Finding(
                table=schema.launches.name,
                key=f"launch {launch.launch_id}",
                what=f"it died on {launch.host}: nothing was heard of it since {heard}",
                mend=AGAIN,
            )


def _measured(connection: sa.Connection) -> dict[str, Measured]:
    """Config hash -> what the benchmark that has it measures."""
    table = schema.benchmarks
    rows = connection.execute(sa.select(table.c.configs, table.c.measured))
    return {
        config_hash: measured
        for configs, measured in rows
        for config in configs
        for config_hash in config["config_hashes"]
    }


def _benchmarks(connection: sa.Connection, alive: set[int]) -> Iterator[Finding]:
    """Runs of benchmarks that are in nobody's hands, or that have lost what they ended in."""
    runs, results = schema.runs, schema.results
    query = sa.select(runs.c.run_id, runs.c.state, runs.c.launch_id, results.c.run_id).outerjoin(
        results, results.c.run_id == runs.c.run_id
    )
    for run_id, state, launch_id, result in connection.execute(
        query.where(runs.c.purpose == "benchmark").order_by(runs.c.run_id)
    ):
        if state == "running" and launch_id not in alive:
            yield Finding(
                table=runs.name,
                key=f"run {run_id}",
                what=f"it is running, but launch {launch_id} is not alive",
                mend="run the benchmark's command again: it goes on with the run",
            )
        if state == "complete" and result is None:
            yield Finding(
                table=runs.name,
                key=f"run {run_id}",
                what="it is complete, but its errors are not recorded",
                mend=f"DELETE FROM {runs.name} WHERE run_id = {run_id}, and run the benchmark's "
                "command again",
            )


def _service(connection: sa.Connection, alive: set[int]) -> Iterator[Finding]:
    """Submissions in nobody's hands, and actions that nobody is left to answer."""
    for row in connection.execute(SUBMISSIONS.where(schema.submissions.c.state == "running")):
        submission = submission_record(row._mapping)
        if submission.launch_id not in alive and not is_held(submission):
            yield Finding(
                table=schema.submissions.name,
                key=f"submission {submission.submission_id}",
                what="it is running, but neither its agent nor a launch of it is alive",
                mend="start an agent, `python -m search agent`: it puts it back into the queue",
            )
    actions = schema.actions.c
    asked = sa.select(actions.action_id, actions.launch_id).where(
        actions.state == "asked", actions.submission_id.is_(None)
    )
    for action_id, launch_id in connection.execute(asked.order_by(actions.action_id)):
        if launch_id not in alive:
            yield Finding(
                table=schema.actions.name,
                key=f"action {action_id}",
                what=f"it is open, but launch {launch_id} is not alive",
                mend=AGAIN,
            )


def _unguarded(connection: sa.Connection) -> Iterator[Finding]:
    """Whether rows of ours may lose, or have lost, the study, trial or run they belong to."""
    mend = "run `python -m storage upgrade`: it puts this right, after a backup"
    if not is_guarded(connection):
        yield Finding(
            table="sqlite_master",
            key="triggers",
            what="another program took triggers of ours away with one of Optuna's tables",
            mend=mend,
        )
    for (table, owner), n_rows in sorted(lost_rows(connection).items()):
        rows = "1 row names" if n_rows == 1 else f"{n_rows} rows name"
        what = f"{rows} a row of {owner} that is not there"
        yield Finding(table=table, key=owner, what=what, mend=mend)
