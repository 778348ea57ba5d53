"""A study held by one launch at a time, for the moment of a decision."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from storage.engine import translated
from storage.store import Store

__all__ = ["study_lock"]

ADVISORY_CLASS = 0x5EA2C4
"""What tells our advisory locks from those of others in one PostgreSQL database."""


@contextmanager
def study_lock(store: Store, study_id: int) -> Iterator[None]:
    """Keep all other launches of a study out, on whatever machine, until the block is left.

    The lock dies with its process: a file lock beside an SQLite file, an advisory lock of the
    transaction in PostgreSQL.

    Args:
        store: The store.
        study_id: The study.

    Raises:
        StorageError: If the database fails, or the lock file cannot be written.
    """
    if store.url.get_backend_name() == "sqlite":
        with translated(store.url), Path(f"{store.url.database}.lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        return
    take = sa.select(sa.func.pg_advisory_xact_lock(ADVISORY_CLASS, study_id))
    with translated(store.url), store.engine.begin() as connection:
        connection.execute(take)
        yield
