"""The version of our tables: which one a store has, which one this release needs, and the way."""

from __future__ import annotations

import functools
from pathlib import Path

import alembic.command
import alembic.config
import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext

from space.errors import StorageError
from storage.connect.engine import UPGRADE, redact, schema_transaction, translated
from storage.tables.ownership import guard_rows, is_guarded

__all__ = [
    "current_version",
    "ensure_schema",
    "known_versions",
    "migrate",
    "refuse_other_version",
]

VERSION_TABLE = "search_schema_version"
MIGRATIONS = Path(__file__).parents[1] / "migrations"


@functools.cache
def known_versions() -> tuple[str, ...]:
    """The versions that this release knows, oldest first; it needs the last one.

    A migration's file is named after its version: to run all of them, as Alembic does to say which
    there are, takes as long as to read a store.
    """
    files = (MIGRATIONS / "versions").glob("v*_*.py")
    return tuple(sorted(path.stem[1:].partition("_")[0] for path in files))


def current_version(connection: sa.Connection) -> str | None:
    """The version of our tables in a database; None where it has none."""
    options = {"version_table": VERSION_TABLE}
    return MigrationContext.configure(connection, opts=options).get_current_revision()


def migrate(connection: sa.Connection, version: str = "head") -> None:
    """Bring our tables to a version.

    Args:
        connection: Its transaction is left open, for the caller to commit.
        version: One of `known_versions`.
    """
    config = _config()
    config.attributes["connection"] = connection
    alembic.command.upgrade(config, version)


def ensure_schema(engine: sa.Engine, url: sa.URL, *, create: bool) -> None:
    """Check our tables' version, and make them in a store that has none.

    Args:
        engine: The store's engine.
        url: The store's URL, for the error.
        create: Whether the tables may be made.

    Raises:
        StorageError: If they are of another version, or cannot be made.
    """
    with translated(url), engine.connect() as connection:
        current = current_version(connection)
        guarded = current is None or is_guarded(connection)
        connection.rollback()
    if current is not None:
        refuse_other_version(current, url)
        if create and not guarded:
            with translated(url), schema_transaction(url) as connection:
                guard_rows(connection)
    elif create:
        # All or nothing: a launch that is killed meanwhile must not leave half a schema.
        with translated(url), schema_transaction(url) as connection:
            if current_version(connection) is None:  # Another launch may have been faster.
                migrate(connection)


def refuse_other_version(current: str, url: sa.URL, *, may_be_older: bool = False) -> None:
    """Refuse a store that is not of this release's version.

    Args:
        current: The store's version.
        url: Its URL, for the error.
        may_be_older: Let versions that can be upgraded pass.

    Raises:
        StorageError: If it is newer, or older.
    """
    versions = known_versions()
    if current not in versions:
        raise StorageError(
            f"storage {redact(url)}: its schema version is {current}, newer than this release's "
            f"{versions[-1]}; install the release that made it, or name another store."
        )
    if current != versions[-1] and not may_be_older:
        raise StorageError(
            f"storage {redact(url)}: its schema version is {current}, this release's is "
            f"{versions[-1]}; {UPGRADE}."
        )


def _config() -> alembic.config.Config:
    config = alembic.config.Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("version_table", VERSION_TABLE)
    return config
