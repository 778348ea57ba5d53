"""Opening a store: the URL and the database engine."""

from __future__ import annotations

import functools
import os
import sqlite3
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from space.errors import NoStudiesError, StorageError
from space.files.places import is_url

__all__ = [
    "MEMORY",
    "UPGRADE",
    "engine_options",
    "missing_driver",
    "other_release",
    "parse_url",
    "redact",
    "require_sqlite_file",
    "require_tables",
    "schema_transaction",
    "translated",
]

MEMORY = ":memory:"
"""The database of a store that no other process can reach."""
BUSY_TIMEOUT_SECONDS = 30
_VERSIONS = {"alembic_version", "version_info"}
"""Optuna's tables that say which release made the others; it fills them last."""
UPGRADE = "run `python -m storage upgrade` with the same --storage first"


def parse_url(text: str) -> sa.URL:
    """Read a storage URL.

    Args:
        text: An SQLAlchemy URL, or the path of an SQLite file.

    Returns:
        The URL; an SQLite path in it is absolute.

    Raises:
        StorageError: If it is no URL, or one of a kind that is not supported.
    """
    if not text.isprintable():
        raise StorageError("--storage: a database URL has no line breaks or control characters.")
    is_path = "://" not in text
    if is_path and is_url(text):
        raise StorageError(
            "--storage: a database URL has '://' after its kind, e.g. "
            "postgresql+psycopg://user@host/database."
        )
    try:
        # A path is taken as it is written; in a URL some characters have another meaning.
        url = sa.URL.create("sqlite", database=text) if is_path else sa.make_url(text)
    except (ArgumentError, ValueError) as error:
        raise StorageError(
            "--storage: not a database URL; write e.g. sqlite:///results/search.db or "
            "postgresql+psycopg://user@host/database."
        ) from error
    if url.get_backend_name() == "sqlite":
        if not is_path and "?" in text:
            raise StorageError(
                "--storage: the URL of an SQLite file has no options after a '?'; write %3F for a "
                "'?' that belongs to the path."
            )
        if not url.database or url.database == MEMORY:
            raise StorageError(
                "--storage: an SQLite store needs a file, e.g. sqlite:///results/search.db."
            )
        url = url.set(database=str(Path(os.path.expanduser(url.database)).resolve()))
    elif "@" in (url.host or ""):
        # What would be taken for the host and shown is the end of a password.
        raise StorageError(
            "--storage: more than one '@'; write one that belongs to the user or the password "
            "as %40."
        )
    elif url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise StorageError(
            f"--storage: '{url.drivername}' is not supported; use sqlite or postgresql+psycopg."
        )
    return url


def redact(url: sa.URL) -> str:
    """The URL as it may be shown: without its password and its query."""
    return url.set(query={}).render_as_string(hide_password=True)


@contextmanager
def translated(url: sa.URL) -> Iterator[None]:
    """Turn the database's errors inside the block into one sentence.

    Raises:
        StorageError: For every error of SQLAlchemy, of the database driver or of Optuna's storage.
    """
    try:
        yield
    except optuna.exceptions.StorageInternalError as error:
        raise StorageError(_sentence(url, error.__cause__ or error)) from error
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise StorageError(_sentence(url, error)) from error
    except UnicodeError as error:
        if "idna" not in str(error):
            raise
        # So Python says that an empty or too long part makes it no name to look up.
        raise StorageError(
            f"storage {redact(url)}: its host has no name that can be looked up; check the URL."
        ) from error


def missing_driver(url: sa.URL, error: ImportError) -> StorageError:
    """What to raise where the database's driver is not installed."""
    return StorageError(_sentence(url, error))


def _sentence(url: sa.URL, error: BaseException) -> str:
    """Name the store, what the database said and what usually mends it."""
    cause = str(getattr(error, "orig", None) or error).strip().splitlines()
    said = cause[0] if cause else type(error).__name__
    lowered = said.lower()
    if isinstance(error, NoSuchModuleError | ModuleNotFoundError):
        mend = "install the driver: pip install 'psycopg[binary]'"
    elif "not a database" in lowered or "malformed" in lowered:
        mend = "the file is no SQLite database or is damaged; name another file"
    elif "locked" in lowered:
        mend = "another process holds it; wait or stop that process, then run the command again"
    elif "readonly" in lowered or "read-only" in lowered or "permission" in lowered:
        mend = "make the file and its directory writable"
    elif "unable to open" in lowered:
        mend = "it and its directory must be there and readable, and writable for what writes to it"
    elif "full" in lowered or "no space" in lowered:
        mend = "free some disk space, then run the same command again"
    elif "disk i/o" in lowered:
        mend = "check the disk, then run the same command again"
    else:
        mend = "check the URL and that the database is running"
    return f"storage {redact(url)}: {said}; {mend}."


@contextmanager
def schema_transaction(url: sa.URL) -> Iterator[sa.Connection]:
    """One transaction of changes of the schema, committed at the end of the block.

    In an SQLite file no other connection can read or write meanwhile.

    Args:
        url: The store's URL.

    Yields:
        A connection of its own.
    """
    connect_args = engine_options(url)["connect_args"]
    engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args=connect_args)
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            # Python's driver begins no transaction for changes of the schema.
            raw: Any = connection.connection.dbapi_connection
            raw.isolation_level = None
            connection.exec_driver_sql("BEGIN EXCLUSIVE")
        try:
            yield connection
        except SQLAlchemyError as error:
            # Alembic tidies up after whatever ends a migration, and fails itself where that was an
            # interruption: the interruption is what has to be heard of.
            cause = error.__context__
            while cause is not None and isinstance(cause, Exception):
                cause = cause.__context__
            if cause is not None:
                raise cause from None
            raise
        connection.commit()


def engine_options(url: sa.URL, *, look: bool = False) -> dict[str, Any]:
    """Arguments of `sqlalchemy.create_engine` for a store.

    Args:
        url: The store's URL.
        look: Leave an SQLite file and its directory as they are, to the byte. It has no connection
            but while something is read: so whoever writes to it, and not a reader, is the last to
            leave and puts the file in order.
    """
    if url.get_backend_name() == "sqlite":
        if look:
            opener = functools.partial(_connect_to_look, str(url.database))
            return {"poolclass": sa.NullPool, "creator": opener}
        return {"connect_args": {"timeout": BUSY_TIMEOUT_SECONDS}}
    connect = {
        "connect_timeout": 10,
        # A network that swallows everything looks like a server that thinks.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 15_000,
    }
    return {"pool_pre_ping": True, "connect_args": connect}


def _connect_to_look(path: str) -> sqlite3.Connection:
    """A connection to an SQLite file that changes nothing.

    The last connection that could write moves what the log holds into the file as it closes, and
    one that cannot write leaves an empty log behind where there was none. So it could write, and
    does not, only where there is no log. Where none could be made, the file is nobody's to write to
    either, and is taken as it stands.
    """
    if _has_log(path):
        mode = "ro"
    elif os.access(path, os.W_OK) and os.access(Path(path).parent, os.W_OK):
        mode = "rw"
    else:
        mode = "ro&immutable=1" if _has_log_mode(path) else "ro"
    connection = sqlite3.connect(
        f"file:{urllib.parse.quote(path)}?mode={mode}",
        uri=True,
        timeout=BUSY_TIMEOUT_SECONDS,
        check_same_thread=False,
    )
    connection.execute("PRAGMA query_only = ON")
    return connection


def _has_log(path: str) -> bool:
    """Whether there is a log beside an SQLite file with something in it.

    The last writer to leave takes it away at any moment, so it is looked at once.
    """
    try:
        return os.stat(f"{path}-wal").st_size > 0
    except FileNotFoundError:
        return False


def _has_log_mode(path: str) -> bool:
    """Whether an SQLite file is in WAL mode.

    Source: SQLite, Database File Format, 1.3.3: the read version is 2.
    """
    with open(path, "rb") as file:
        return file.read(20)[19:] == b"\x02"


def require_sqlite_file(url: sa.URL, *, create: bool) -> None:
    """Refuse a path that is no file, or make its directory.

    Raises:
        NoStudiesError: If it is absent, with `create` off.
        StorageError: If it is a directory, or its directory cannot be made.
    """
    path = Path(str(url.database))
    with translated(url):
        is_directory, exists = path.is_dir(), path.exists()
    if is_directory:
        raise StorageError(f"storage {redact(url)}: this is a directory; name a file in it.")
    if not exists:
        if not create:
            raise NoStudiesError(
                f"storage {redact(url)}: there is no such file; start a search with "
                "`python -m search.launch` or name the right one with --storage."
            )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"storage {redact(url)}: cannot make its directory ({error.strerror}); "
                "name a writable place with --storage."
            ) from error


def require_tables(url: sa.URL, *, look: bool = False) -> None:
    """Refuse a database that is not Optuna's before anything is written into it.

    Args:
        url: The store's URL.
        look: Whether it is only read; see `engine_options`.

    Raises:
        NoStudiesError: If it holds no studies, as one whose tables are just being made.
        StorageError: If Optuna would have to write into it to read it.
    """
    engine = sa.create_engine(url, **engine_options(url, look=look))
    try:
        with engine.connect() as connection:
            tables = set(sa.inspect(connection).get_table_names())
            filled = {
                name
                for name in tables & {"studies", *_VERSIONS}
                if connection.execute(sa.select(sa.exists().select_from(sa.table(name)))).scalar()
            }
    finally:
        engine.dispose()
    is_known = not look or filled >= _VERSIONS
    if not {"studies", "trials", "trial_params"} <= tables or not (is_known or "studies" in filled):
        raise NoStudiesError(
            f"storage {redact(url)}: this database holds no studies; name the right one with "
            "--storage."
        )
    if not is_known:
        raise other_release(url, is_older=True)


def other_release(url: sa.URL, *, is_older: bool) -> StorageError:
    """What is said of a store whose Optuna tables are another release's."""
    mend = UPGRADE if is_older else "install a newer Optuna, or name another store"
    return StorageError(
        f"storage {redact(url)}: its Optuna tables were made by "
        f"{'an older' if is_older else 'a newer'} release than {optuna.__version__}; {mend}."
    )
