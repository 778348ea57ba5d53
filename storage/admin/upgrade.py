"""Bringing a store of an older release up to this one, with a way back."""

from __future__ import annotations

import contextlib
import datetime
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy as sa

from space.errors import StorageError
from storage.connect.engine import (
    engine_options,
    parse_url,
    redact,
    require_sqlite_file,
    require_tables,
    schema_transaction,
    translated,
)
from storage.connect.versions import (
    current_version,
    known_versions,
    migrate,
    refuse_other_version,
)
from storage.leases import is_alive
from storage.tables import schema
from storage.tables.clock import SecondsSince
from storage.tables.ownership import guard_rows, is_guarded, lost_rows
from storage.tables.records import LaunchRecord

__all__ = ["Upgrade", "upgrade_store"]


@dataclass(frozen=True, kw_only=True)
class Upgrade:
    """What an upgrade did.

    Attributes:
        store: The store's URL as it may be shown.
        before: The version of our tables before; None where there were none.
        after: The version of our tables now.
        optuna_before: The version of Optuna's tables before.
        optuna_after: The version of Optuna's tables now.
        backup: The copy made of an SQLite store, if anything had to be done.
    """

    store: str
    before: str | None
    after: str | None
    optuna_before: str
    optuna_after: str
    backup: Path | None


def upgrade_store(text: str) -> Upgrade:
    """Bring a store's tables, ours and Optuna's, to the versions that this release needs.

    Ours change in one transaction; an SQLite file is copied first, and put back as it was if
    anything fails. In PostgreSQL Optuna's tables change in a transaction of their own before ours.

    Args:
        text: The store's URL, or the path of an SQLite file.

    Returns:
        What was done; nothing where the store is up to date.

    Raises:
        StorageError: If it is absent, no store, of a newer release, written by a launch that is
            alive, or cannot be upgraded.
    """
    url = parse_url(text)
    is_sqlite = url.get_backend_name() == "sqlite"
    with translated(url):
        if is_sqlite:
            require_sqlite_file(url, create=False)
        require_tables(url)
        engine = sa.create_engine(url, poolclass=sa.NullPool, **_connect_only(url))
        with engine.connect() as connection:
            before = current_version(connection)
        if before is not None:
            refuse_other_version(before, url, may_be_older=True)
        theirs = _optuna_storage(url)
        optuna_before = theirs.get_current_version()
        if optuna_before not in theirs.get_all_versions():
            raise StorageError(
                f"storage {redact(url)}: its Optuna tables were made by a newer release than "
                f"{optuna.__version__}; install a newer Optuna, or name another store."
            )
        ours_needed = before is not None and before != known_versions()[-1]
        theirs_needed = optuna_before != theirs.get_head_version()
        with engine.connect() as connection:
            guarded = (
                before is None
                or ours_needed
                or (is_guarded(connection) and not lost_rows(connection))
            )
        backup = None
        if ours_needed or theirs_needed or not guarded:
            if before is not None:
                _refuse_living(engine, url)
            if is_sqlite:
                backup = _back_up(Path(str(url.database)), before or optuna_before)
            try:
                if theirs_needed:
                    theirs.upgrade()
                if ours_needed:
                    with schema_transaction(url) as connection:
                        migrate(connection)
                elif before is not None:
                    # Optuna's migrations may make its tables anew.
                    with schema_transaction(url) as connection:
                        guard_rows(connection)
            except BaseException:
                theirs.engine.dispose()
                if backup is not None:
                    _copy_sqlite(backup, Path(str(url.database)))
                raise
        with engine.connect() as connection:
            after = current_version(connection)
        optuna_after = theirs.get_current_version()
        theirs.engine.dispose()
    return Upgrade(
        store=redact(url),
        before=before,
        after=after,
        optuna_before=optuna_before,
        optuna_after=optuna_after,
        backup=backup,
    )


def _connect_only(url: sa.URL) -> dict[str, Any]:
    return {"connect_args": engine_options(url)["connect_args"]}


def _optuna_storage(url: sa.URL) -> optuna.storages.RDBStorage:
    """Optuna's storage whatever its version, nothing made."""
    return optuna.storages.RDBStorage(
        url.render_as_string(hide_password=False),
        engine_kwargs={"poolclass": sa.NullPool, **_connect_only(url)},
        skip_compatibility_check=True,
        skip_table_creation=True,
    )


def _refuse_living(engine: sa.Engine, url: sa.URL) -> None:
    """Refuse while a launch may still write."""
    table = schema.launches
    # What every version has, and what tells whether a launch is alive.
    names = ("launch_id", "status", "host", "pid")
    silence = SecondsSince(table.c.heartbeat_at).label("silence")
    absent: dict[str, Any] = dict.fromkeys(LaunchRecord.__dataclass_fields__)
    with engine.connect() as connection:
        query = sa.select(silence, *(table.c[name] for name in names)).order_by(table.c.launch_id)
        for row in connection.execute(query):
            launch = LaunchRecord(**{**absent, **row._mapping})
            if is_alive(launch):
                raise StorageError(
                    f"storage {redact(url)}: launch {launch.launch_id} on {launch.host} is still "
                    "writing to it; stop it, then upgrade."
                )


def _back_up(path: Path, version: str) -> Path:
    """Copy an SQLite store beside itself, under a name that nothing has."""
    time = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    for suffix in ("", *(f"-{number}" for number in range(2, 100))):
        backup = path.with_name(f"{path.name}.bak-{version}-{time}{suffix}")
        with contextlib.suppress(FileExistsError):
            os.close(os.open(backup, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            _copy_sqlite(path, backup)
            return backup
    raise StorageError(f"storage {path}: {backup} and its like exist; move them elsewhere.")


def _copy_sqlite(source: Path, target: Path) -> None:
    """Copy a whole SQLite database into another file, what is in its log included."""
    with (
        contextlib.closing(sqlite3.connect(source)) as read,
        contextlib.closing(sqlite3.connect(target)) as write,
    ):
        read.backup(write)
