"""Copying studies and benchmarks from one store to another, between SQLite and PostgreSQL.

The numbers of rows are a store's own and are given anew; what is the same everywhere tells rows
apart: a study's name, a trial's number, a launch's host, process and begin, a run's uid. Rows are
read in one snapshot and written in one transaction. Optuna's own `copy_study` goes trial by trial
and knows nothing of our rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from space.errors import StorageError, StudyMismatchError, StudyNotFoundError, nearest
from storage.admin.removal import OF_STUDY, OF_TRIAL, delete_study
from storage.admin.signature import find_study, read_signature
from storage.admin.snapshot import snapshot
from storage.store import Store
from storage.tables import schema
from storage.tables.optuna_models import models

__all__ = ["Copied", "copy_store"]

CHUNK = 5_000
"""Rows held in memory at a time."""

_STUDIES = models.StudyModel.__table__
_TRIALS = models.TrialModel.__table__


@dataclass(kw_only=True)
class Copied:
    """What a copy did.

    Attributes:
        studies: Name -> ``"copied"``, ``"brought up to date"`` or ``"there already"``.
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
    source: Store, target: Store, *, studies: Iterable[str] = (), benchmarks: bool = False
) -> Copied:
    """Copy studies and benchmarks; doing so again changes nothing.

    Args:
        source: The store to read; it may be in use.
        target: The store to write; where it holds an earlier state of a study, the study is
            brought up to date.
        studies: The studies' names. With none given and `benchmarks` off: all there is.
        benchmarks: Copy the benchmarks, with all benchmark runs.

    Returns:
        What was done.

    Raises:
        StudyNotFoundError: If a study is not there.
        StudyMismatchError: If the target has another study of the same name.
        StorageError: If a database fails, or the stores are one.
    """
    if source.url == target.url:
        raise StorageError(f"storage {source.name}: it cannot be copied into itself.")
    names = list(dict.fromkeys(studies))
    everything = not names and not benchmarks

    def copy(write: sa.Connection) -> Copied:
        with snapshot(source) as read:
            there = list(
                read.execute(sa.select(_STUDIES.c.study_name).order_by(_STUDIES.c.study_id))
                .scalars()
                .all()
            )
            copier = _Copier(read, write, source, target)
            for name in there if everything else names:
                if name not in there:
                    raise StudyNotFoundError(
                        f"storage {source.name}: no study '{name}'{nearest(name, there)}"
                    )
                copier.copy_study(name)
            if everything or benchmarks:
                copier.copy_benchmarks()
            return copier.done

    return target.transaction(copy)


class _Copier:
    """One copy, from a snapshot into a transaction."""

    def __init__(
        self, read: sa.Connection, write: sa.Connection, source: Store, target: Store
    ) -> None:
        self._read = read
        self._write = write
        self._source = source
        self._target = target
        self._launches: dict[int, int] = {}
        self._has_ours = sa.inspect(read).has_table(schema.runs.name)
        self.done = Copied(studies={}, benchmarks={})

    # -- studies -----------------------------------------------------------------------------

    def copy_study(self, name: str) -> None:
        """Copy a study with all that belongs to it, unless it is there already."""
        study_id = find_study(self._read, name)
        found = find_study(self._write, name)
        if study_id is None:
            raise StudyNotFoundError(f"storage {self._source.name}: no study '{name}'.")
        if found is not None:
            ours = read_signature(self._read, study_id)
            theirs = read_signature(self._write, found)
            if theirs == ours or ours.is_earlier_than(theirs):
                self.done.studies[name] = "there already"
                return
            if not theirs.is_earlier_than(ours):
                raise StudyMismatchError(
                    f"storage {self._target.name}: its study '{name}' is another than that of "
                    f"{self._source.name}, or has gone on without it; copy into another store, or "
                    "remove the one that is not wanted with `python -m storage remove`."
                )
            # No launch works on what is replaced: it would be one that the source has not.
            delete_study(self._write, found)
        new_id = self._insert_keyed(_STUDIES, [{"study_name": name}], "study_id")[0]
        for table in OF_STUDY:
            rows = self._rows(sa.select(table).where(table.c.study_id == study_id), table)
            self._insert(table, rows, study_id={study_id: new_id})
        trials = self._copy_trials(study_id, new_id)
        if self._has_ours:
            rows = self._rows(
                sa.select(schema.studies).where(schema.studies.c.study_id == study_id)
            )
            self._insert(schema.studies, rows, study_id={study_id: new_id})
            launches = schema.launches
            self._copy_launches(launches.c.study_id == study_id, {study_id: new_id})
            self._copy_runs(schema.runs.c.study_id == study_id, {study_id: new_id}, trials, name)
        self.done.studies[name] = "copied" if found is None else "brought up to date"

    def _copy_trials(self, study_id: int, new_id: int) -> dict[int, int]:
        """Copy a study's trials; say which number each has now."""
        # Optuna counts a new trial's number by the trials of a lower id.
        query = sa.select(_TRIALS).where(_TRIALS.c.study_id == study_id)
        numbers: dict[int, int] = {}
        for rows in self._rows(query.order_by(_TRIALS.c.number)):
            old = [row.pop("trial_id") for row in rows]
            new = self._insert_keyed(
                _TRIALS, [{**row, "study_id": new_id} for row in rows], "trial_id"
            )
            numbers.update(zip(old, new, strict=True))
        self.done.n_trials += len(numbers)
        for table in OF_TRIAL:
            key = next(iter(table.primary_key))
            query = sa.select(table).join(_TRIALS, _TRIALS.c.trial_id == table.c.trial_id)
            query = query.where(_TRIALS.c.study_id == study_id).order_by(key)
            self._insert(table, self._rows(query, table), trial_id=numbers)
        return numbers

    # -- benchmarks --------------------------------------------------------------------------

    def copy_benchmarks(self) -> None:
        """Copy the benchmarks' definitions and every benchmark run."""
        if not self._has_ours:
            return
        table = schema.benchmarks
        for rows in self._rows(sa.select(table).order_by(table.c.benchmark_id)):
            for row in rows:
                row.pop("benchmark_id")
                label = f"{row['name']} on {row['data_source']} {row['data_fingerprint']}"
                same = (table.c.name == row["name"]) & (
                    table.c.data_fingerprint == row["data_fingerprint"]
                )
                found = self._write.execute(sa.select(table.c.updated_at).where(same)).scalar()
                if found is None:
                    self._write.execute(table.insert().values(row))
                    self.done.benchmarks[label] = "copied"
                elif found < row["updated_at"]:
                    self._write.execute(table.update().where(same).values(row))
                    self.done.benchmarks[label] = "brought up to date"
                else:
                    self.done.benchmarks[label] = "there already"
        runs = schema.runs
        self._drop_outdated(runs.c.study_id.is_(None))
        uids = sa.select(runs.c.uid).where(runs.c.study_id.is_(None))
        there = set(self._write.execute(uids).scalars())
        self._copy_launches(schema.launches.c.study_id.is_(None), {})
        self._copy_runs(runs.c.study_id.is_(None), {}, {}, None, there)

    def _drop_outdated(self, which: sa.ColumnElement[bool]) -> None:
        """Delete the target's runs that have gone on in the source; they are written anew."""
        runs = schema.runs
        query = sa.select(runs.c.uid, runs.c.run_id, runs.c.n_epochs, runs.c.state).where(which)
        ours = {row.uid: row for row in self._read.execute(query)}
        outdated = [
            row.run_id
            for row in self._write.execute(query)
            if row.uid in ours
            and row.state != "complete"
            and (ours[row.uid].n_epochs, ours[row.uid].state == "complete") > (row.n_epochs, False)
        ]
        for start in range(0, len(outdated), 500):
            part = outdated[start : start + 500]
            self._write.execute(sa.delete(runs).where(runs.c.run_id.in_(part)))

    # -- launches and runs -------------------------------------------------------------------

    def _copy_launches(self, which: sa.ColumnElement[bool], studies: dict[int, int]) -> None:
        """Copy launches; those that the target has are known again by host, process and begin."""
        table = schema.launches
        key = (table.c.host, table.c.pid, table.c.started_at)
        known = {
            tuple(row[1:]): row[0]
            for row in self._write.execute(sa.select(table.c.launch_id, *key))
        }
        for rows in self._rows(sa.select(table).where(which).order_by(table.c.launch_id)):
            fresh = []
            for row in rows:
                there = known.get((row["host"], row["pid"], row["started_at"]))
                if there is None:
                    fresh.append(row)
                else:
                    self._launches[row["launch_id"]] = there
            old = [row.pop("launch_id") for row in fresh]
            moved = [{**row, "study_id": studies.get(row["study_id"])} for row in fresh]
            new = self._insert_keyed(table, moved, "launch_id")
            self._launches.update(zip(old, new, strict=True))

    def _copy_runs(
        self,
        which: sa.ColumnElement[bool],
        studies: dict[int, int],
        trials: dict[int, int],
        study: str | None,
        there: Iterable[str] = (),
    ) -> None:
        """Copy runs with their epochs and results, but for those that are there."""
        table = schema.runs
        skipped = set(there)
        elsewhere = set(self._write.execute(sa.select(table.c.uid)).scalars()) - skipped
        numbers: dict[int, int] = {}
        for rows in self._rows(sa.select(table).where(which).order_by(table.c.run_id)):
            fresh = [row for row in rows if row["uid"] not in skipped]
            if any(row["uid"] in elsewhere for row in fresh):
                raise StudyMismatchError(
                    f"storage {self._target.name}: it has runs of study '{study}' already, under "
                    "another study's name; copy into another store, or delete that study first."
                )
            old = [row.pop("run_id") for row in fresh]
            moved = [
                {
                    **row,
                    "study_id": studies.get(row["study_id"]),
                    "trial_id": trials.get(row["trial_id"]),
                    "launch_id": self._launch(row["launch_id"]),
                }
                for row in fresh
            ]
            numbers.update(zip(old, self._insert_keyed(table, moved, "run_id"), strict=True))
        self.done.n_runs += len(numbers)
        for child in (schema.epochs, schema.results):
            query = sa.select(child).join(table, table.c.run_id == child.c.run_id).where(which)
            for rows in self._rows(query.order_by(*child.primary_key)):
                moved = [
                    {**row, "run_id": numbers[row["run_id"]]}
                    for row in rows
                    if row["run_id"] in numbers
                ]
                if child is schema.epochs:
                    moved = [{**row, "launch_id": self._launch(row["launch_id"])} for row in moved]
                    self.done.n_epochs += len(moved)
                if moved:
                    self._write.execute(child.insert(), moved)

    def _launch(self, launch_id: int) -> int:
        if launch_id not in self._launches:
            raise StorageError(
                f"storage {self._source.name}: a run belongs to launch {launch_id}, which is not "
                "there; see `python -m storage check`."
            )
        return self._launches[launch_id]

    # -- rows --------------------------------------------------------------------------------

    def _rows(self, query: Any, table: Any = None) -> Iterator[list[dict[str, Any]]]:
        """The rows of a query in chunks; without the table's own number where it is given."""
        key = None if table is None else next(iter(table.primary_key)).name
        result = self._read.execute(query, execution_options={"yield_per": CHUNK})
        for chunk in result.mappings().partitions():
            yield [{name: row[name] for name in row if name != key} for row in chunk]

    def _insert(
        self, table: Any, chunks: Iterable[list[dict[str, Any]]], **numbers: dict[int, int]
    ) -> None:
        """Write rows, the numbers in some columns changed to what they are in the target."""
        for rows in chunks:
            for column, new in numbers.items():
                for row in rows:
                    row[column] = new[row[column]]
            if rows:
                self._write.execute(table.insert(), rows)

    def _insert_keyed(self, table: Any, rows: list[dict[str, Any]], key: str) -> list[int]:
        """Write rows, and say which number each was given."""
        if not rows:
            return []
        returning: Callable[..., Any] = table.insert().returning
        query = returning(table.c[key], sort_by_parameter_order=True)
        return list(self._write.execute(query, rows).scalars())
