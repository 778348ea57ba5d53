"""The study store: Optuna's storage and our tables behind one small interface.

One process, the driver, writes; any number may read. Every method is one transaction, and every
method that records something may be repeated without harm, so that a killed driver leaves nothing
half done and its successor may simply say again what it is not sure was heard.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from space.errors import DeletedError, StorageError, StudyNotFoundError, nearest
from storage.connect.engine import parse_url, redact, translated
from storage.connect.outage import await_server, is_unreachable
from storage.runs import RUN_STATES, RunTables
from storage.tables import schema
from storage.tables.clock import SecondsSince, StoreNow
from storage.tables.inserts import insert_new
from storage.tables.ownership import require_runs, runs_there
from storage.tables.records import CourseRecord, LaunchRecord, NewLaunch, NewStudy, StudyRecord

__all__ = ["LAUNCHES", "RUN_STATES", "Store", "ended", "open_store"]

LAUNCHES = sa.select(
    *(column for column in schema.launches.c if column.name != "course"),
    SecondsSince(schema.launches.c.heartbeat_at).label("silence"),
).order_by(schema.launches.c.launch_id)
"""The fields of `LaunchRecord`, oldest launch first."""


def ended(launch_id: int | None) -> str:
    """What answers an action that a launch has not carried out."""
    return f"launch {launch_id} had ended"


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

    def add_study(self, study: NewStudy) -> StudyRecord:
        """Record the terms of a study, unless they are recorded already.

        Args:
            study: The terms.

        Returns:
            The terms in the store: those given, or those recorded by the study's first launch.
        """
        values = {**vars(study), "created_at": schema.utc_now()}
        query = sa.select(schema.studies).where(schema.studies.c.study_id == study.study_id)

        def add(connection: sa.Connection) -> StudyRecord:
            connection.execute(insert_new(connection, schema.studies), values)
            return StudyRecord(**connection.execute(query).one()._mapping)

        return self.transaction(add)

    def hold_study(self, study_id: int, launch_id: int, n_trials: int | None) -> None:
        """Ask for trials of a study as this launch of it, whoever else asks for some.

        Args:
            study_id: The study.
            launch_id: The launch; once it is deleted with its study, another of its number is
                asked for none.
            n_trials: The study may have no more than so many.

        Raises:
            StudyFullError: Later, from asking for one more.
            DeletedError: Later, from asking for a trial of what was deleted.
        """
        self._rdb.held[study_id] = (launch_id, n_trials)

    def study_records(self) -> dict[int, StudyRecord]:
        """The terms of all studies, by Optuna's number."""
        rows = self.rows(sa.select(schema.studies))
        return {row["study_id"]: StudyRecord(**row) for row in rows}

    # -- launches ----------------------------------------------------------------------------

    def begin_launch(
        self,
        launch: NewLaunch,
        also: Callable[[sa.Connection, int], None] = lambda _connection, _launch_id: None,
    ) -> int:
        """Record that a launch began, and return its number.

        Args:
            launch: What is known of it.
            also: What is to be recorded in the same transaction, given the launch's number; what it
                raises undoes all of it.
        """
        table = schema.launches
        now: datetime.datetime | None = None

        def begin(connection: sa.Connection) -> int:
            nonlocal now
            if now is not None:
                # An attempt whose end was not heard of may have recorded it.
                same = (table.c.host == launch.host) & (table.c.pid == launch.pid)
                same &= table.c.started_at == now
                found = connection.execute(sa.select(table.c.launch_id).where(same)).scalar()
                if found is not None:
                    return int(found)
            now = connection.execute(sa.select(StoreNow())).scalar_one()
            values = {"status": "running", "started_at": now, "heartbeat_at": now}
            result = connection.execute(table.insert().values(**vars(launch), **values))
            launch_id = int(result.inserted_primary_key[0])  # type: ignore[index]
            also(connection, launch_id)
            return launch_id

        return self.transaction(begin)

    def beat(self, launch_id: int, course: CourseRecord | None = None) -> bool:
        """Record that a launch is alive; say whether it still counts as running.

        Args:
            launch_id: The launch.
            course: What it does; None leaves what it said last.

        Raises:
            DeletedError: If another program deleted it with its study.
        """
        said = {} if course is None else {"course": course.as_json()}
        if self._update_launch(launch_id, **said):
            return True
        self.require_runs(launch_id, ())
        return False

    def course(self, launch_id: int) -> CourseRecord | None:
        """What a launch said last of itself; None where it has not."""
        table = schema.launches
        rows = self.rows(sa.select(table.c.course).where(table.c.launch_id == launch_id))
        said = rows[0]["course"] if rows else None
        return None if said is None else CourseRecord.of_json(said)

    def require_runs(self, launch_id: int, run_ids: Iterable[int]) -> None:
        """Refuse to go on where a launch, or runs that it trains, are gone.

        Raises:
            DeletedError: If another program deleted them with their study or trial.
        """
        wanted = list(run_ids)
        self.transaction(lambda connection: require_runs(connection, launch_id, wanted))

    def runs_there(self, run_ids: Iterable[int]) -> set[int]:
        """Those of some runs that no other program deleted."""
        wanted = list(run_ids)
        return self.transaction(lambda connection: runs_there(connection, wanted))

    @contextmanager
    def holding(self, launch_id: int, run_ids: Callable[[], Iterable[int]]) -> Iterator[None]:
        """As `guarded`; what fails since another program deleted something says so.

        Args:
            launch_id: The launch that works inside the block.
            run_ids: The runs that it trains, asked for when something has failed.

        Raises:
            DeletedError: If the launch's study, or the trial of a run, was deleted.
        """
        try:
            with self.guarded():
                yield
        except (KeyError, ValueError, StorageError) as error:
            if not (isinstance(error, StorageError) and is_unreachable(error)):
                try:
                    self.require_runs(launch_id, run_ids())
                except DeletedError as deleted:
                    raise deleted from error
            raise

    def end_launch(self, launch_id: int, status: str, course: CourseRecord | None = None) -> None:
        """Record how a launch ended, unless its end is recorded already.

        What it was asked for and has not answered is refused, but for what its submission was asked
        for: see `storage.submissions`.

        Args:
            launch_id: The launch.
            status: How it ended.
            course: What it says of itself at its end; None leaves what it said last.

        Raises:
            DeletedError: If another program deleted it with its study.
        """
        actions = schema.actions.c
        open_ones = (actions.launch_id == launch_id) & (actions.state == "asked")
        refusal = (
            schema.actions.update()
            .where(open_ones, actions.submission_id.is_(None))
            .values(state="refused", answer=ended(launch_id), answered_at=StoreNow())
        )
        said = {} if course is None else {"course": course.as_json()}
        values: dict[str, Any] = {"status": status, "ended_at": StoreNow(), **said}
        if not self._update_launch(launch_id, refusal, **values):
            self.require_runs(launch_id, ())

    def record_told(self, launch_id: int, text: str) -> None:
        """Record what people were told of a launch's end."""
        table = schema.launches
        update = table.update().where(table.c.launch_id == launch_id).values(told=text)
        self.transaction(lambda connection: connection.execute(update))

    def launches(
        self, study_id: int | None = None, *, status: str | None = None
    ) -> list[LaunchRecord]:
        """The launches of one study or of all, of one status or of any, oldest first."""
        query = LAUNCHES
        if status is not None:
            query = query.where(schema.launches.c.status == status)
        if study_id is not None:
            query = query.where(schema.launches.c.study_id == study_id)
        return [LaunchRecord(**row) for row in self.rows(query)]

    def _update_launch(
        self, launch_id: int, *also: sa.Update, **values: StoreNow | str | dict[str, Any]
    ) -> bool:
        """Update a launch that counts as running, and something with it; say whether it does."""
        self._require_file()
        table = schema.launches
        running = (table.c.launch_id == launch_id) & (table.c.status == "running")
        update = table.update().where(running).values(heartbeat_at=StoreNow(), **values)

        def work(connection: sa.Connection) -> bool:
            is_running = connection.execute(update).rowcount > 0
            for each in also:
                connection.execute(each)
            return is_running

        return self.transaction(work)
