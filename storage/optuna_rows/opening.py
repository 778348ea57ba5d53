"""Opening Optuna's storage: its tables in place, of the version that is installed."""

from __future__ import annotations

import functools
import logging
import sqlite3
from contextlib import closing
from typing import Any

import sqlalchemy as sa
from optuna.storages._rdb import models

from storage.connect.engine import (
    engine_options,
    missing_driver,
    other_release,
    redact,
    require_sqlite_file,
    require_tables,
    schema_transaction,
    translated,
)
from storage.optuna_rows.steady import SteadyStorage

__all__ = ["open_optuna_storage"]


def open_optuna_storage(url: sa.URL, *, create: bool, look: bool = False) -> SteadyStorage:
    """Open the database for Optuna and for us: both use the engine of the storage returned.

    Args:
        url: From `parse_url`.
        create: Whether a database that is absent may be made, and an SQLite file put into WAL mode,
            where a killed process loses nothing it has committed.
        look: Whether it is only read; see `engine_options`.

    Returns:
        Optuna's storage, its tables in place.

    Raises:
        StorageError: If the database is absent (and `create` is off), cannot be reached, is no
            store of ours or of Optuna's, or is of another version.
    """
    is_sqlite = url.get_backend_name() == "sqlite"
    if is_sqlite:
        require_sqlite_file(url, create=create)
    kwargs = engine_options(url, look=look)
    with translated(url):
        try:
            if not create:
                require_tables(url, look=look)
            elif is_sqlite:
                _make_tables(url)
            storage = SteadyStorage(
                url.render_as_string(hide_password=False),
                name=redact(url),
                guard=functools.partial(translated, url),
                engine_kwargs=kwargs,
                skip_table_creation=not create,
            )
        except ImportError as error:
            raise missing_driver(url, error) from error
        try:
            storage.check_version()
        except RuntimeError as error:
            storage.engine.dispose()
            # Optuna's words for a schema that it knows, but that is not its own.
            raise other_release(url, is_older="storage upgrade" in str(error)) from error
        if is_sqlite and create:
            sa.event.listen(storage.engine, "connect", _tune_sqlite)
            storage.engine.dispose()
    return storage


def _make_tables(url: sa.URL) -> None:
    """Make Optuna's tables in an SQLite file in one transaction.

    Optuna makes them one by one. Killed in between, it would never make the indexes of a table that
    is there, and without them one name may have two studies.
    """
    metadata = models.BaseModel.metadata
    engine = sa.create_engine(url, poolclass=sa.NullPool, **engine_options(url))
    if not metadata.tables.keys() <= set(sa.inspect(engine).get_table_names()):
        with schema_transaction(url) as connection:
            metadata.create_all(connection)


def _tune_sqlite(connection: Any, _record: Any) -> None:
    with closing(connection.cursor()) as cursor:
        cursor.execute("PRAGMA foreign_keys=ON")
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=NORMAL")
        except sqlite3.Error:
            # Another process reads the file just now: it serves as it is.
            logging.getLogger(__name__).debug("SQLite pragmas were refused", exc_info=True)
