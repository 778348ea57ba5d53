"""A store's database: Optuna's storage and our tables, opened as one, and its transactions."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import optuna
import sqlalchemy as sa

from space.errors import StorageError
from storage.connect.engine import redact, translated
from storage.connect.outage import ride_out
from storage.connect.versions import ensure_schema
from storage.locking import making_lock, study_lock
from storage.optuna_rows.opening import open_optuna_storage
from storage.optuna_rows.trial_cache import TrialCache
from storage.tables import schema

__all__ = ["Database"]

T = TypeVar("T")


class Database:
    """What `storage.store.Store` is built on; see there.

    Attributes:
        url: The database's URL with its password; show `name` instead.
        engine: The database's engine, shared with Optuna.
        optuna_storage: Optuna's own view of the same database.

    Raises:
        StorageError: From every method, when the database fails.
    """

    def __init__(self, url: sa.URL, *, create: bool, look: bool = False) -> None:
        """Open the store; prefer `open_store`."""
        self.url = url
        with making_lock(url) if create else nullcontext():
            self._rdb = open_optuna_storage(url, create=create, look=look)
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

    def locked(self, study_id: int | None) -> AbstractContextManager[None]:
        """Keep all other launches of a study, or of none, out: see `study_lock`."""
        return study_lock(self.engine, self.name, study_id)

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

    def rows(self, query: sa.Select[Any]) -> list[dict[str, Any]]:
        """What a query of our tables finds; nothing in a database that only Optuna has written."""

        def read(connection: sa.Connection) -> list[dict[str, Any]]:
            # The first launch may make the tables after a reader has opened the database.
            if not self._has_tables:
                self._has_tables = sa.inspect(connection).has_table(schema.runs.name)
            if not self._has_tables:
                return []
            found = connection.execute(query)
            names = tuple(found.keys())
            return [dict(zip(names, row, strict=True)) for row in found.all()]

        return self.transaction(read)

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
