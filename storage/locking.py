"""A study held by one launch at a time, for the moment of a decision; a store, while it is made."""

from __future__ import annotations

import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from storage.connect.engine import (
    engine_options,
    missing_driver,
    require_sqlite_file,
    translated,
)
from storage.connect.outage import ride_out

__all__ = ["making_lock", "study_lock"]

logger = logging.getLogger(__name__)

ADVISORY_CLASS = 0x5EA2C4
"""What tells our advisory locks from those of others in one PostgreSQL database."""

NO_STUDY = 0
"""Stands for the study of a run that has none; no database gives a row that number."""
MAKING = -1
"""Neither the number of a study nor what stands for none."""

HELD_SECONDS = 60.0
"""A decision that takes longer is taken without the lock; a launch that waited for it still has its
lease."""


@contextmanager
def making_lock(url: sa.URL) -> Iterator[None]:
    """Keep all others that would make the same store's tables out until the block is left.

    Databases do not: of two that find no table and make it, one fails.

    Args:
        url: The store; the directory of an SQLite file is made.

    Raises:
        StorageError: If the database cannot be reached, or the lock file cannot be written.
    """
    if url.get_backend_name() == "sqlite":
        require_sqlite_file(url, create=True)
        with _file_lock(url):
            yield
        return
    with translated(url):
        try:
            engine = sa.create_engine(url, **engine_options(url))
        except ModuleNotFoundError as error:
            raise missing_driver(url, error) from error
        try:
            with engine.begin() as connection:
                connection.execute(_advisory_lock(MAKING))
                yield
        finally:
            engine.dispose()


@contextmanager
def _file_lock(url: sa.URL) -> Iterator[None]:
    """Hold the lock file beside an SQLite file."""
    with translated(url), Path(f"{url.database}.lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _advisory_lock(number: int) -> sa.Select[tuple[None]]:
    return sa.select(sa.func.pg_advisory_xact_lock(ADVISORY_CLASS, number))


@contextmanager
def study_lock(engine: sa.Engine, name: str, study_id: int | None) -> Iterator[None]:
    """Keep all other launches of a study out, on whatever machine, until the block is left.

    The lock dies with its process: a file lock beside an SQLite file, an advisory lock of the
    transaction in PostgreSQL. There it dies with the server, too, and after `HELD_SECONDS`, as the
    server does not hear of a machine that vanished: the block goes on without it.

    Args:
        engine: The store's.
        name: What to call the store.
        study_id: The study; None: that of all runs that have none.

    Raises:
        StorageError: If the database fails, or the lock file cannot be written.
    """
    if engine.dialect.name == "sqlite":
        with _file_lock(engine.url):
            yield
        return
    bound = sa.func.set_config(
        "idle_in_transaction_session_timeout", str(round(1000 * HELD_SECONDS)), True
    )

    def acquire() -> sa.Connection:
        connection = engine.connect()
        try:
            connection.execute(sa.select(bound))
            connection.execute(_advisory_lock(study_id or NO_STUDY))
        except DBAPIError:
            connection.close()
            raise
        return connection

    with translated(engine.url):
        connection = ride_out(name, acquire)
        try:
            yield
        finally:
            try:
                connection.commit()
            except DBAPIError:
                # The server went away, and the lock with it; what was done in it is done.
                logger.debug("a lock was lost with its connection", exc_info=True)
            finally:
                connection.close()
