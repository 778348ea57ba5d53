"""The study store: Optuna's storage and our tables behind one small interface.

One process, the driver, writes; any number may read. Every method is one transaction, and every
method that records something may be repeated without harm, so that a killed driver leaves nothing
half done and its successor may simply say again what it is not sure was heard.
"""

from __future__ import annotations

import datetime
import math
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import optuna
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from space.errors import StorageError, StudyNotFoundError, nearest
from storage import schema
from storage.engine import open_optuna_storage, parse_url, redact, translated
from storage.locking import making_lock
from storage.outage import await_server, ride_out
from storage.records import (
    EpochRecord,
    LaunchRecord,
    NewLaunch,
    ResultRecord,
    RunEpoch,
    RunRecord,
    StudyRecord,
    TrialStep,
)
from storage.trial_cache import TrialCache
from storage.trial_rows import report_steps, require_unfinished
from storage.versions import ensure_schema

__all__ = ["RUN_STATES", "Store", "open_store"]

T = TypeVar("T")

RUN_STATES = ("running", "complete", "pruned", "failed", "interrupted")
"""interrupted: stopped before its end and waiting to go on from its last checkpoint."""

_RUNS = schema.runs.c
_PROGRESS = (
    schema.runs.update()
    .where((_RUNS.run_id == sa.bindparam("of_run")) & (_RUNS.n_epochs < sa.bindparam("so_far")))
    .values(
        n_epochs=sa.bindparam("so_far"),
        best_epoch=sa.bindparam("kept"),
        worker=sa.bindparam("where"),
        train_seconds=_RUNS.train_seconds + sa.bindparam("took"),
    )
)
"""What an epoch changes in its run, unless it was recorded already."""


def open_store(url: str, *, create: bool = True) -> Store:
    """Open a study store.

    Args:
        url: An SQLAlchemy URL of SQLite or PostgreSQL, or the path of an SQLite file.
        create: Make the database, its directory and its tables where they are absent.

    Returns:
        The store.

    Raises:
        StorageError: If it cannot be opened, or is not a store of this release.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        return Store(parsed, create=create)
    return await_server(redact(parsed), lambda: Store(parsed, create=create))


class Store:
    """A study store; see the module's docstring for its contract.

    Attributes:
        url: The database's URL with its password; show `name` instead.
        engine: The database's engine, shared with Optuna.
        optuna_storage: Optuna's own view of the same database.

    Raises:
        StorageError: From every method, when the database fails.
    """

    def __init__(self, url: sa.URL, *, create: bool) -> None:
        """Open the store; prefer `open_store`."""
        self.url = url
        with making_lock(url) if create else nullcontext():
            self._rdb = open_optuna_storage(url, create=create)
            self.engine = self._rdb.engine
            try:
                ensure_schema(self.engine, url, create=create)
            except BaseException:
                self.close()
                raise
        self._trials = TrialCache(self._rdb)
        self.optuna_storage: optuna.storages.BaseStorage = self._trials
        self._has_tables = False
        self._file = self._identity()

    @property
    def name(self) -> str:
        """The URL as it may be shown."""
        return redact(self.url)

    def close(self) -> None:
        """Give every database connection back."""
        self.engine.dispose()

    def guarded(self) -> AbstractContextManager[None]:
        """Turn the errors of Optuna's side of the database into `StorageError`, too."""
        return translated(self.url)

    def transaction(self, work: Callable[[sa.Connection], T]) -> T:
        """Do some work in one transaction, again from its beginning if the database goes away.

        Args:
            work: Harmless to repeat, whether or not an earlier attempt was committed.

        Returns:
            What the work returns.

        Raises:
            StorageError: If the database fails, or does not come back in time.
        """

        def attempt() -> T:
            with self.engine.begin() as connection:
                return work(connection)

        with translated(self.url):
            return ride_out(self.name, attempt)

    # -- studies -----------------------------------------------------------------------------

    def study_id(self, name: str) -> int:
        """The number of a study.

        Raises:
            StudyNotFoundError: If the store does not hold it.
        """
        with translated(self.url):
            try:
                return self.optuna_storage.get_study_id_from_name(name)
            except KeyError as error:
                names = [study.study_name for study in self.optuna_storage.get_all_studies()]
                held = f"it holds {', '.join(sorted(names))}" if names else "it holds none"
                raise StudyNotFoundError(
                    f"storage {self.name}: no study '{name}'; {held}{nearest(name, names)}"
                ) from error

    def add_study(
        self,
        study_id: int,
        *,
        identity: dict[str, Any],
        metrics: list[str],
        data_source: str,
        data_fingerprint: str,
    ) -> StudyRecord:
        """Record the terms of a study, unless they are recorded already.

        Args:
            study_id: Optuna's number of the study.
            identity: The terms that may not change within the study.
            metrics: The objectives' metrics in order.
            data_source: Which data set its runs see.
            data_fingerprint: What that data set's content hashes to.

        Returns:
            The terms in the store: those given, or those recorded by the study's first launch.
        """
        values = {
            "study_id": study_id,
            "created_at": schema.utc_now(),
            "identity": identity,
            "metrics": metrics,
            "data_source": data_source,
            "data_fingerprint": data_fingerprint,
        }
        query = sa.select(schema.studies).where(schema.studies.c.study_id == study_id)

        def add(connection: sa.Connection) -> StudyRecord:
            connection.execute(self._insert_new(schema.studies, values))
            return StudyRecord(**connection.execute(query).one()._mapping)

        return self.transaction(add)

    def limit_trials(self, study_id: int, n_trials: int | None) -> None:
        """Let no more trials be asked for in a study than so many, whoever else asks for some.

        Raises:
            StudyFullError: Later, from asking for one more.
        """
        self._rdb.limits[study_id] = n_trials

    def study_records(self) -> dict[int, StudyRecord]:
        """The terms of all studies, by Optuna's number."""
        rows = self.rows(sa.select(schema.studies))
        return {row["study_id"]: StudyRecord(**row) for row in rows}

    # -- launches ----------------------------------------------------------------------------

    def begin_launch(self, launch: NewLaunch) -> int:
        """Record that a launch began, and return its number."""
        table = schema.launches
        now = schema.utc_now()
        values = {**vars(launch), "status": "running", "started_at": now, "heartbeat_at": now}
        same = (table.c.host == launch.host) & (table.c.pid == launch.pid)
        same &= table.c.started_at == now

        def begin(connection: sa.Connection) -> int:
            found = connection.execute(sa.select(table.c.launch_id).where(same)).scalar()
            if found is None:
                result = connection.execute(table.insert().values(values))
                found = result.inserted_primary_key[0]  # type: ignore[index]
            return int(found)

        return self.transaction(begin)

    def beat(self, launch_id: int) -> bool:
        """Record that a launch is alive; say whether it still counts as running."""
        return self._update_launch(launch_id)

    def end_launch(self, launch_id: int, status: str) -> None:
        """Record how a launch ended, unless its end is recorded already."""
        self._update_launch(launch_id, status=status, ended_at=schema.utc_now())

    def launches(
        self, study_id: int | None = None, *, status: str | None = None
    ) -> list[LaunchRecord]:
        """The launches of one study or of all, of one status or of any, oldest first."""
        query = sa.select(schema.launches).order_by(schema.launches.c.launch_id)
        if status is not None:
            query = query.where(schema.launches.c.status == status)
        if study_id is not None:
            query = query.where(schema.launches.c.study_id == study_id)
        return [LaunchRecord(**row) for row in self.rows(query)]

    # -- runs and epochs ---------------------------------------------------------------------

    def begin_run(
        self,
        *,
        launch_id: int,
        study_id: int | None,
        trial_id: int | None,
        purpose: str,
        replicate: int,
        config_hash: str,
        config: dict[str, Any],
        n_parameters: int | None = None,
    ) -> RunRecord:
        """Record that a run began, or that an interrupted one goes on.

        Args:
            launch_id: The launch that trains it now.
            study_id: Its study, if any.
            trial_id: Optuna's number of its trial, if any.
            purpose: ``"search"``, ``"confirm"`` or ``"benchmark"``.
            replicate: Which of the trial's runs for that purpose it is, from 0.
            config_hash: `RunConfig.config_hash()`.
            config: The whole `RunConfig`.
            n_parameters: Trainable parameters of its network.

        Returns:
            The run as the store knows it; `n_epochs` says how many epochs are recorded already.
        """
        table = schema.runs
        new = {
            "uid": uuid.uuid4().hex,
            "launch_id": launch_id,
            "study_id": study_id,
            "trial_id": trial_id,
            "purpose": purpose,
            "replicate": replicate,
            "config_hash": config_hash,
            "config": config,
            "state": "running",
            "started_at": schema.utc_now(),
            "n_epochs": 0,
            "train_seconds": 0.0,
            "n_parameters": n_parameters,
        }
        again = {"launch_id": launch_id, "state": "running", "reason": None, "ended_at": None}
        if trial_id is not None:
            key = (
                (table.c.trial_id == trial_id)
                & (table.c.purpose == purpose)
                & (table.c.replicate == replicate)
            )
        else:
            # Without a trial the config itself, seeds and all, is what goes on.
            key = (
                (table.c.config_hash == config_hash)
                & (table.c.purpose == purpose)
                & (table.c.state == "interrupted")
            )
        tried: int | None = None

        def begin(connection: sa.Connection) -> RunRecord:
            nonlocal tried
            # An attempt whose end was not heard of may have begun it already.
            mine = (table.c.uid == new["uid"]) | (
                (table.c.run_id == tried) & (table.c.launch_id == launch_id)
            )
            query = sa.select(table.c.run_id).where(key if tried is None else key | mine)
            first = query.order_by(sa.case((mine, 0), else_=1)).limit(1)
            found = connection.execute(first).scalar()
            if found is None:
                result = connection.execute(table.insert().values(new))
                found = result.inserted_primary_key[0]  # type: ignore[index]
            else:
                connection.execute(table.update().where(table.c.run_id == found).values(again))
            tried = int(found)
            row = connection.execute(sa.select(table).where(table.c.run_id == found)).one()
            return RunRecord(**row._mapping)

        return self.transaction(begin)

    def record_epoch(
        self, run_id: int, launch_id: int, epoch: EpochRecord, *, best_epoch: int, worker: str
    ) -> None:
        """Record an epoch of a run; one that is there already stays as it is.

        Args:
            run_id: The run.
            launch_id: The launch that trained the epoch.
            epoch: Its metrics.
            best_epoch: The epoch whose state the run keeps so far.
            worker: Where it was trained, e.g. ``"host pid device"``.
        """
        report = RunEpoch(run_id=run_id, epoch=epoch, best_epoch=best_epoch, worker=worker)
        self.record_epochs(launch_id, [report])

    def record_epochs(
        self, launch_id: int, epochs: Sequence[RunEpoch], values: Sequence[TrialStep] = ()
    ) -> None:
        """Record what one step of the workers made known: all of it, or nothing.

        Args:
            launch_id: The launch that trained the epochs.
            epochs: Epochs of any runs, those of one run in order; what is there already stays as it
                is.
            values: What the epochs make trials report to Optuna; what is there already is said
                anew.

        Raises:
            UpdateFinishedTrialError: If one of the trials has ended.
        """
        now = schema.utc_now()
        rows = [
            {
                "run_id": each.run_id,
                "launch_id": launch_id,
                "reported_at": now,
                **{key: _finite(value) for key, value in vars(each.epoch).items()},
            }
            for each in epochs
        ]
        progress = [
            {
                "of_run": each.run_id,
                "so_far": each.epoch.epoch,
                "kept": each.best_epoch,
                "where": each.worker,
                "took": each.epoch.seconds,
            }
            for each in epochs
        ]

        def record(connection: sa.Connection) -> None:
            if rows:
                connection.execute(self._insert_new(schema.epochs), rows)
                connection.execute(_PROGRESS, progress)
            if values:
                require_unfinished(connection, (each.trial_id for each in values))
                report_steps(connection, values)

        self.transaction(record)
        self._trials.note_steps(values)

    def end_run(self, run_id: int, state: str, reason: str | None = None) -> None:
        """Record how a run ended: one of `RUN_STATES` but for running, and why."""
        self.end_runs([run_id], state, reason)

    def end_runs(self, run_ids: Iterable[int], state: str, reason: str | None = None) -> None:
        """Record that some runs ended alike: all of them, or none."""
        query = schema.runs.update().where(schema.runs.c.run_id == sa.bindparam("of_run"))
        query = query.values(state=state, reason=reason, ended_at=schema.utc_now())
        ended = [{"of_run": run_id} for run_id in run_ids]
        if ended:
            self.transaction(lambda connection: connection.execute(query, ended))

    def free_run(self, run_id: int, launch_id: int, state: str, reason: str) -> bool:
        """End a run that a launch left behind, unless it is another's by now; say whether it was.

        Args:
            run_id: The run.
            launch_id: The launch that had it.
            state: As for `end_run`.
            reason: As for `end_run`.
        """
        table = schema.runs
        left = (table.c.run_id == run_id) & (table.c.launch_id == launch_id)
        query = table.update().where(left & (table.c.state == "running"))
        query = query.values(state=state, reason=reason, ended_at=schema.utc_now())
        return self.transaction(lambda connection: connection.execute(query).rowcount > 0)

    def record_result(self, result: ResultRecord) -> None:
        """Record what a benchmark run ended in; what is there already stays as it is."""
        query = self._insert_new(schema.results, dict(vars(result)))
        self.transaction(lambda connection: connection.execute(query))

    def results(self, config_hashes: Iterable[str]) -> list[tuple[RunRecord, ResultRecord]]:
        """The benchmark runs of some configs that reached their end, oldest first."""
        wanted = list(config_hashes)
        found = []
        for start in range(0, len(wanted), 500):
            part = wanted[start : start + 500]
            query = (
                sa.select(schema.runs.c.run_id)
                .join(schema.results, schema.results.c.run_id == schema.runs.c.run_id)
                .where(schema.runs.c.config_hash.in_(part))
            )
            ids = [row["run_id"] for row in self.rows(query)]
            runs = sa.select(schema.runs).where(schema.runs.c.run_id.in_(ids))
            results = sa.select(schema.results).where(schema.results.c.run_id.in_(ids))
            by_run = {row["run_id"]: ResultRecord(**row) for row in self.rows(results)}
            found += [
                (RunRecord(**row), by_run[row["run_id"]])
                for row in self.rows(runs.order_by(schema.runs.c.run_id))
            ]
        return found

    def runs(
        self, study_id: int | None = None, purpose: str | None = None, *, state: str | None = None
    ) -> list[RunRecord]:
        """The runs of one study or of all, for one purpose or for all, in a state, oldest first."""
        table = schema.runs
        query = sa.select(table).order_by(table.c.run_id)
        wanted = {table.c.study_id: study_id, table.c.purpose: purpose, table.c.state: state}
        for column, value in wanted.items():
            if value is not None:
                query = query.where(column == value)
        return [RunRecord(**row) for row in self.rows(query)]

    def ended_uids(self, study_id: int) -> set[str]:
        """The uids of a study's runs that will not go on."""
        table = schema.runs
        query = sa.select(table.c.uid).where(
            (table.c.study_id == study_id) & table.c.state.not_in(("running", "interrupted"))
        )
        return {row["uid"] for row in self.rows(query)}

    def runs_of_config(
        self, config_hash: str, *, purpose: str, study_id: int | None
    ) -> list[RunRecord]:
        """The runs of one config, seeds and all, for a purpose within a study or without one."""
        table = schema.runs
        query = sa.select(table).where(
            (table.c.config_hash == config_hash)
            & (table.c.purpose == purpose)
            & table.c.study_id.is_not_distinct_from(study_id)
        )
        return [RunRecord(**row) for row in self.rows(query.order_by(table.c.run_id))]

    def n_epochs(self, study_id: int) -> int:
        """How many epochs the trials of a study have trained in all."""
        query = sa.select(sa.func.coalesce(sa.func.sum(schema.runs.c.n_epochs), 0))
        query = query.where(
            (schema.runs.c.study_id == study_id) & (schema.runs.c.purpose == "search")
        )
        return self.transaction(lambda connection: int(connection.execute(query).scalar_one()))

    def epochs(self, run_ids: Iterable[int]) -> dict[int, list[EpochRecord]]:
        """The epochs of some runs, in order, by run."""
        wanted = list(run_ids)
        found: dict[int, list[EpochRecord]] = {run_id: [] for run_id in wanted}
        table = schema.epochs
        columns = [table.c[name] for name in EpochRecord.__dataclass_fields__]
        # Databases bound the number of parameters a statement may have.
        for start in range(0, len(wanted), 500):
            part = wanted[start : start + 500]
            query = sa.select(table.c.run_id, *columns).where(table.c.run_id.in_(part))
            for row in self.rows(query.order_by(table.c.run_id, table.c.epoch)):
                found[row.pop("run_id")].append(EpochRecord(**row))
        return found

    # -- helpers -----------------------------------------------------------------------------

    def rows(self, query: sa.Select[Any]) -> list[dict[str, Any]]:
        """What a query of our tables finds; nothing in a database that only Optuna has written."""

        def read(connection: sa.Connection) -> list[dict[str, Any]]:
            # The first launch may make the tables after a reader has opened the database.
            if not self._has_tables:
                self._has_tables = sa.inspect(connection).has_table(schema.runs.name)
            if not self._has_tables:
                return []
            return [dict(row._mapping) for row in connection.execute(query)]

        return self.transaction(read)

    def _insert_new(self, table: sa.Table, values: dict[str, Any] | None = None) -> sa.Insert:
        """An insert that leaves a row with the same primary key as it is."""
        if self.engine.dialect.name == "postgresql":
            into = postgresql.insert(table)
            return (into if values is None else into.values(values)).on_conflict_do_nothing()
        insert = sqlite.insert(table)
        return (insert if values is None else insert.values(values)).on_conflict_do_nothing()

    def _identity(self) -> tuple[int, int] | None:
        """What tells an SQLite file from any other of its name; None where there is none."""
        if self.engine.dialect.name != "sqlite":
            return None
        try:
            found = Path(str(self.url.database)).stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _require_file(self) -> None:
        """Refuse to go on writing to a file that is not there any more: nobody could read it.

        Raises:
            StorageError: If the SQLite file was deleted, moved or replaced since it was opened.
        """
        if self._identity() != self._file:
            raise StorageError(
                f"storage {self.name}: the file was deleted, moved or replaced under the launch; "
                "put it back, then run the same command again to go on, or run it without to begin "
                "anew."
            )

    def _update_launch(self, launch_id: int, **values: datetime.datetime | str) -> bool:
        """Update a launch that counts as running; say whether it does."""
        self._require_file()
        table = schema.launches
        running = (table.c.launch_id == launch_id) & (table.c.status == "running")
        update = table.update().where(running)

        def beat(connection: sa.Connection) -> bool:
            # The time of this attempt: after an outage the launch is as alive as before.
            now = update.values(heartbeat_at=schema.utc_now(), **values)
            return connection.execute(now).rowcount > 0

        return self.transaction(beat)


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value
