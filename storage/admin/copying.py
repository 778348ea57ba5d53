"""Copying studies and benchmarks from one store to another, between SQLite and PostgreSQL.

The numbers of rows are a store's own and are given anew; what is the same everywhere tells rows
apart: a study's name, a trial's number, a launch's host, process and begin, a run's uid. Rows are
read in one snapshot and written in one transaction. Optuna's own `copy_study` goes trial by trial
and knows nothing of our rows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from space.errors import StorageError, StudyMismatchError, StudyNotFoundError, nearest
from storage.admin.removal import delete_study
from storage.admin.snapshot import snapshot
from storage.leases import is_alive
from storage.store import LAUNCHES, Store
from storage.tables import schema
from storage.tables.optuna_models import OF_STUDY, OF_TRIAL, STUDIES, TRIALS
from storage.tables.parts import in_parts
from storage.tables.records import LaunchRecord

__all__ = ["Copied", "copy_store"]

CHUNK = 5_000
"""Rows held in memory at a time."""

_BENCHMARKS = schema.benchmarks
_LAUNCHES = schema.launches
_RUNS = schema.runs

_NUMBERED = {
    STUDIES: "study_id",
    TRIALS: "trial_id",
    _LAUNCHES: "launch_id",
    _RUNS: "run_id",
    schema.submissions: "submission_id",
}
"""Tables by whose numbers other rows name theirs, and what the number is called there as here."""


@dataclass(kw_only=True)
class Copied:
    """What a copy did.

    Attributes:
        studies: Name -> ``"copied"`` or ``"replaced"``.
        benchmarks: Name and data -> the same.
        n_trials: Trials written.
        n_runs: Runs written, of studies and of benchmarks.
        n_epochs: Epochs written.
    """

    studies: dict[str, str]
    benchmarks: dict[str, str]
    n_trials: int = 0
    n_runs: int = 0
    n_epochs: int = 0


def copy_store(
    source: Store,
    target: Store,
    *,
    studies: Iterable[str] = (),
    benchmarks: bool = False,
    replace: bool = False,
) -> Copied:
    """Copy studies and benchmarks: all of them, or nothing.

    Args:
        source: The store to read; it may be in use.
        target: The store to write.
        studies: The studies' names. With none given and `benchmarks` off: all there is, the
            queue and the record of actions among it.
        benchmarks: Copy the benchmarks, with all benchmark runs.
        replace: Replace what the target has of the same name; otherwise it is refused.

    Returns:
        What was done.

    Raises:
        StudyNotFoundError: If a study is not there.
        StudyMismatchError: If the target has one of them already.
        StorageError: If a database fails, the stores are one, or a launch works on what would be
            replaced.
    """
    if source.url == target.url:
        raise StorageError(f"storage {source.name}: it cannot be copied into itself.")
    names = list(dict.fromkeys(studies))
    everything = not names and not benchmarks

    def copy(write: sa.Connection) -> Copied:
        with snapshot(source) as read:
            query = sa.select(STUDIES.c.study_name, STUDIES.c.study_id)
            rows = read.execute(query.order_by(STUDIES.c.study_id))
            there = {row.study_name: row.study_id for row in rows}
            for name in names:
                if name not in there:
                    raise StudyNotFoundError(
                        f"storage {source.name}: no study '{name}'{nearest(name, there)}"
                    )
            copier = _Copier(read, write, source, target, replace=replace)
            for name in there if everything else names:
                copier.copy_study(name, there[name])
            if (everything or benchmarks) and copier.has_ours:
                copier.copy_benchmarks()
            if everything and copier.has_ours:
                copier.copy_service()
            return copier.done

    return target.transaction(copy)


class _Copier:
    """One copy, from a snapshot into a transaction."""

    def __init__(
        self,
        read: sa.Connection,
        write: sa.Connection,
        source: Store,
        target: Store,
        *,
        replace: bool,
    ) -> None:
        self._read = read
        self._write = write
        self._source = source
        self._target = target
        self._replace = replace
        self._numbers: dict[str, dict[int, int]] = {key: {} for key in _NUMBERED.values()}
        """Which number a row of the source has in the target."""
        self.has_ours = sa.inspect(read).has_table(_RUNS.name)
        self.done = Copied(studies={}, benchmarks={})

    def copy_study(self, name: str, study_id: int) -> None:
        """Copy a study with all that belongs to it."""
        query = sa.select(STUDIES.c.study_id).where(STUDIES.c.study_name == name)
        found = self._write.execute(query).scalar()
        label = f"study '{name}'"
        if found is not None:
            self._refuse_unless_replacing(label, _LAUNCHES.c.study_id == found)
            delete_study(self._write, found)
        trials = sa.select(TRIALS.c.trial_id).where(TRIALS.c.study_id == study_id)
        for table in (STUDIES, *OF_STUDY, TRIALS):
            self._copy(table, table.c.study_id == study_id)
        for table in OF_TRIAL:
            self._copy(table, table.c.trial_id.in_(trials))
        if self.has_ours:
            for table in (schema.studies, _LAUNCHES):
                self._copy(table, table.c.study_id == study_id)
            self._copy_runs(_RUNS.c.study_id == study_id, label)
        self.done.studies[name] = "copied" if found is None else "replaced"

    def copy_benchmarks(self) -> None:
        """Copy the benchmarks' definitions and every benchmark run."""
        table, of_none = _BENCHMARKS, _RUNS.c.study_id.is_(None)
        for row in self._read.execute(sa.select(table).order_by(table.c.benchmark_id)).mappings():
            label = f"{row['name']} on {row['data_source']} {row['data_fingerprint']}"
            same = (table.c.name == row["name"]) & (
                table.c.data_fingerprint == row["data_fingerprint"]
            )
            is_there = self._write.execute(sa.select(sa.exists().where(same))).scalar()
            if is_there:
                self._refuse_unless_replacing(f"benchmark {label}", _LAUNCHES.c.study_id.is_(None))
            write = table.update().where(same) if is_there else table.insert()
            values = {key: value for key, value in row.items() if key != "benchmark_id"}
            self._write.execute(write.values(values))
            self.done.benchmarks[label] = "replaced" if is_there else "copied"
        if self._replace:
            uids = self._read.execute(sa.select(_RUNS.c.uid).where(of_none)).scalars().all()
            for part in in_parts(uids):
                self._write.execute(sa.delete(_RUNS).where(_RUNS.c.uid.in_(part)))
        # A launch that has trained for several benchmarks may be there.
        of_nobody, numbers = _LAUNCHES.c.study_id.is_(None), self._numbers["launch_id"]
        theirs = {_same_launch(row): row["launch_id"] for row in _launches(self._write, of_nobody)}
        for row in self._read.execute(sa.select(_LAUNCHES).where(of_nobody)).mappings().all():
            if _same_launch(row) in theirs:
                known = numbers[row["launch_id"]] = theirs[_same_launch(row)]
                said = {c.name: row[c.name] for c in _LAUNCHES.c if c.name != "launch_id"}
                update = _LAUNCHES.update().where(_LAUNCHES.c.launch_id == known)
                self._write.execute(update.values(said))
        self._copy(_LAUNCHES, of_nobody & _LAUNCHES.c.launch_id.not_in(list(numbers)))
        self._copy_runs(of_none, "a benchmark")
        self._copy_looks()

    def _copy_looks(self) -> None:
        """Copy every look that the target does not know of."""
        looks = schema.looks
        theirs = set(self._write.execute(sa.select(looks.c.uid)).scalars())
        for part in in_parts(self._read.execute(sa.select(looks)).mappings()):
            new = [dict(row) for row in part if row["uid"] not in theirs]
            if new:
                self._write.execute(looks.insert(), new)

    def copy_service(self) -> None:
        """Copy the submissions and actions that the target does not know of.

        What has not ended is paused there, and an open action is refused: nothing runs twice.
        """
        for table, key in ((schema.submissions, "submission_id"), (schema.actions, "action_id")):
            theirs = {
                row.uid: row[1] for row in self._write.execute(sa.select(table.c.uid, table.c[key]))
            }
            for row in self._read.execute(sa.select(table).order_by(table.c[key])).mappings():
                if row["uid"] not in theirs:
                    # What an action is about may be gone.
                    values = {
                        name: self._numbers[name].get(value) if name in self._numbers else value
                        for name, value in {**row, **_left_there(table, row["state"])}.items()
                        if name != key
                    }
                    insert = table.insert().values(values).returning(table.c[key])
                    theirs[row["uid"]] = self._write.execute(insert).scalar_one()
                if key in self._numbers:
                    self._numbers[key][row[key]] = theirs[row["uid"]]

    def _refuse_unless_replacing(self, label: str, works_on_it: sa.ColumnElement[bool]) -> None:
        """Refuse what is there already, or is in use.

        Raises:
            StudyMismatchError: If nothing is to be replaced.
            StorageError: If a launch works on it that the source does not know.
        """
        if not self._replace:
            raise StudyMismatchError(
                f"storage {self._target.name}: it has {label} already; say --replace to replace it "
                f"by that of {self._source.name}, or copy into another store."
            )
        known = {_same_launch(row) for row in _launches(self._read, sa.true())}
        for row in _launches(self._write, works_on_it):
            if is_alive(LaunchRecord(**row)) and _same_launch(row) not in known:
                raise StorageError(
                    f"storage {self._target.name}: launch {row['launch_id']} works on {label} now "
                    f"(process {row['pid']} on {row['host']}); stop it with Ctrl-C first, then "
                    "copy again."
                )

    def _copy_runs(self, which: sa.ColumnElement[bool], label: str) -> None:
        """Copy runs with their epochs and results.

        Raises:
            StudyMismatchError: If the target has one of them under another name.
        """
        there = set(self._write.execute(sa.select(_RUNS.c.uid)).scalars())
        if not there.isdisjoint(self._read.execute(sa.select(_RUNS.c.uid).where(which)).scalars()):
            raise StudyMismatchError(
                f"storage {self._target.name}: it has runs of {label} already, under another name; "
                "copy into another store, or remove them first with `python -m storage remove`."
            )
        self._copy(_RUNS, which)
        runs = sa.select(_RUNS.c.run_id).where(which)
        for table in (schema.epochs, schema.epoch_metrics, schema.results, schema.result_metrics):
            self._copy(table, table.c.run_id.in_(runs))

    def _copy(self, table: Any, which: sa.ColumnElement[bool]) -> None:
        """Copy rows of a table, after those that they name; their numbers become the target's."""
        key = _NUMBERED.get(table)
        # Optuna counts a new trial's number by the trials of a lower id.
        order = (table.c.number,) if table is TRIALS else tuple(table.primary_key)
        # A number that no other row names is given by the target.
        own = {key} if key or len(order) > 1 else {order[0].name} - self._numbers.keys()
        names = [column.name for column in table.c if column.name not in own]
        numbered = [name for name in names if name in self._numbers]
        columns = [table.c[name] for name in (*names, *([key] if key else []))]
        query = sa.select(*columns).where(which).order_by(*order)
        counted = {TRIALS: "n_trials", _RUNS: "n_runs", schema.epochs: "n_epochs"}.get(table)
        result = self._read.execute(query, execution_options={"yield_per": CHUNK})
        for chunk in result.partitions():
            rows = [dict(zip(names, row, strict=False)) for row in chunk]
            for name in numbered:
                for row in rows:
                    row[name] = self._renumbered(name, row[name])
            if counted:
                setattr(self.done, counted, getattr(self.done, counted) + len(rows))
            if key is None:
                self._write.execute(table.insert(), rows)
            else:
                insert = table.insert().returning(table.c[key], sort_by_parameter_order=True)
                new = self._write.execute(insert, rows).scalars()
                self._numbers[key].update(zip((row[-1] for row in chunk), new, strict=True))

    def _renumbered(self, column: str, value: Any) -> Any:
        """What a column of a row says in the target.

        Raises:
            StorageError: If it names a row that the source does not have.
        """
        if value is None:
            return None
        numbers = self._numbers[column]
        if value not in numbers:
            raise StorageError(
                f"storage {self._source.name}: a row belongs to {column} {value}, which is not "
                "there; see `python -m storage check`."
            )
        return numbers[value]


def _left_there(table: sa.Table, state: str) -> dict[str, Any]:
    """What a row of the queue or of the actions says otherwise in a store it was copied to."""
    said = "it was copied from another store"
    if table is schema.submissions and state in ("queued", "running"):
        return {"state": "paused", "reason": said, "hold": None}
    if table is schema.actions and state == "asked":
        return {"state": "refused", "answer": said, "answered_at": schema.utc_now()}
    return {}


def _launches(connection: sa.Connection, which: sa.ColumnElement[bool]) -> Collection[Any]:
    if not sa.inspect(connection).has_table(_LAUNCHES.name):
        return ()
    return connection.execute(LAUNCHES.where(which)).mappings().all()


def _same_launch(row: Any) -> tuple[Any, ...]:
    """What tells a launch from all others, in whatever store."""
    return row["host"], row["pid"], row["started_at"]
