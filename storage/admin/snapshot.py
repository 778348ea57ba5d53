"""Reading a store as it is at one moment, while others write to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from storage.connect.engine import translated
from storage.store import Store

__all__ = ["snapshot"]


@contextmanager
def snapshot(store: Store) -> Iterator[sa.Connection]:
    """Open a connection all of whose queries see the same moment.

    Args:
        store: The store.

    Yields:
        The connection, for reading.

    Raises:
        StorageError: If the database fails inside the block.
    """
    with translated(store.url), store.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            # Python's driver begins no transaction for what only reads.
            connection.exec_driver_sql("BEGIN")
        else:
            connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection
