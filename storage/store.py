"""The study store: Optuna's storage and our tables behind one small interface.

One process, the driver, writes; any number may read. Every method is one transaction, and every
method that records something may be repeated without harm, so that a killed driver leaves nothing
half done and its successor may simply say again what it is not sure was heard.
"""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa

from space.errors import StudyNotFoundError, nearest
from storage.connect.engine import parse_url, redact, translated
from storage.connect.outage import await_server
from storage.runs import RUN_STATES, RunTables
from storage.tables import schema
from storage.tables.records import LaunchRecord, NewLaunch, StudyRecord

__all__ = ["RUN_STATES", "Store", "open_store"]


def open_store(url: str, *, create: bool = True, look: bool = False) -> Store:
    """Open a study store.

    Args:
        url: An SQLAlchemy URL of SQLite or PostgreSQL, or the path of an SQLite file.
        create: Make the database, its directory and its tables where they are absent.
        look: Only read: an SQLite file that is there stays as it is to the byte, with nothing left
            beside it, and may lie where nobody can write. Nothing is made.

    Returns:
        The store.

    Raises:
        StorageError: If it cannot be opened, or is not a store of this release.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        return Store(parsed, create=create and not look, look=look)
    return await_server(redact(parsed), lambda: Store(parsed, create=create and not look))


class Store(RunTables):
    """A study store; see the module's docstring for its contract.

    Attributes:
        url: The database's URL with its password; show `name` instead.
        engine: The database's engine, shared with Optuna.
        optuna_storage: Optuna's own view of the same database.

    Raises:
        StorageError: From every method, when the database fails.
    """

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
