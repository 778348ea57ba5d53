"""A real PostgreSQL server for tests: made, started, stopped and thrown away by them."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa

__all__ = ["PASSWORD", "PostgresqlServer", "programs"]

PASSWORD = "hunter2:a/b@c%d"
"""Of the user that needs one; every sign that a URL must escape is in it."""

_TABLES = """
    WITH others AS (
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()
    )
    SELECT (SELECT count(*) FROM others) >= 0,
        (SELECT string_agg(concat_ws(' ', c.oid, relname, relnatts, relhastriggers), ','
            ORDER BY c.oid) FROM pg_class c WHERE relnamespace = 'public'::regnamespace),
        (SELECT string_agg(v::text, ',') FROM search_schema_version v),
        (SELECT string_agg(v::text, ',') FROM alembic_version v),
        (SELECT string_agg(v::text, ',') FROM version_info v)
"""
"""Ends who else works on the database; its tables, and what those of versions say."""
_EMPTY = """
    DO $$ DECLARE named text; BEGIN
        SET LOCAL session_replication_role = replica;
        FOR named IN SELECT tablename FROM pg_tables
            WHERE schemaname = 'public' AND tablename NOT LIKE '%version%'
        LOOP EXECUTE 'DELETE FROM ' || named; END LOOP;
        FOR named IN SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'
        LOOP EXECUTE 'ALTER SEQUENCE ' || named || ' RESTART'; END LOOP;
    END $$
"""


def programs() -> Path | None:
    """The directory of ``initdb`` and ``pg_ctl``, the newest release's; None without them."""
    found = shutil.which("pg_ctl")
    places = [Path(found).resolve().parent] if found else []
    releases = Path("/usr/lib/postgresql").glob("*/bin")
    places += sorted(releases, key=lambda path: float(path.parent.name), reverse=True)
    return next((place for place in places if (place / "initdb").exists()), None)


class PostgresqlServer:
    """A server on a free port of the loopback interface, as a user other than root.

    Attributes:
        port: Its port, the same over all its starts.
    """

    def __init__(self, directory: Path, binaries: Path, *, fsync: bool = False) -> None:
        """Make its cluster of databases, and start it.

        Args:
            directory: An empty directory that everybody may enter.
            binaries: From `programs`.
            fsync: Wait for the disk, as a server that matters would.
        """
        # PostgreSQL refuses to run as root; its packages bring a user of that name.
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            shutil.chown(directory, "postgres")
            self._as = {"user": "postgres", "group": "postgres", "extra_groups": []}
        self._binaries = binaries
        self._data = directory / "data"
        self._log = directory / "log"
        self._numbers = itertools.count()
        self._copies: list[tuple[str, str]] = []
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._run("initdb", "-A", "trust", "-U", "tester", "-E", "UTF8", "--locale=C", "--no-sync")
        settings = {
            "port": self.port,
            "listen_addresses": "'127.0.0.1'",
            "unix_socket_directories": f"'{directory}'",
            "fsync": "on" if fsync else "off",
            "max_connections": 50,
            # What is thrown away needs neither.
            "autovacuum": "off",
            "full_page_writes": "on" if fsync else "off",
        }
        lines = "".join(f"{key} = {value}\n" for key, value in settings.items())
        with (self._data / "postgresql.conf").open("a") as file:
            file.write(lines)
        access = self._data / "pg_hba.conf"
        guarded = "host all guarded 127.0.0.1/32 scram-sha-256\n"
        access.write_text(guarded + access.read_text())
        self.start()
        self._execute(f"CREATE ROLE guarded SUPERUSER LOGIN PASSWORD '{PASSWORD}'")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._run("pg_ctl", "start", "-w", "-l", str(self._log))

    def stop(self, mode: str = "fast") -> None:
        """Stop it; in mode ``immediate`` as if it had crashed."""
        self._run("pg_ctl", "stop", "-w", "-m", mode)

    def url(self, database: str = "postgres") -> str:
        """The URL of one of its databases."""
        return f"postgresql+psycopg://tester@127.0.0.1:{self.port}/{database}"

    def guarded_url(self, database: str = "postgres", password: str = PASSWORD) -> str:
        """The URL of one of its databases for the user that needs a password."""
        url = sa.make_url(self.url(database)).set(username="guarded", password=password)
        return url.render_as_string(hide_password=False)

    @contextmanager
    def database(self) -> Iterator[str]:
        """A new database, which is empty; its URL."""
        name = f"test_{next(self._numbers)}"
        self._execute(f"CREATE DATABASE {name}")
        try:
            yield self.url(name)
        finally:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def owned(self, name: str, password: str) -> Iterator[str]:
        """A user, and a database of the same name that is theirs; the server's host and port."""
        self._execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
        self._execute(f"CREATE DATABASE {name} OWNER {name}")
        try:
            yield f"127.0.0.1:{self.port}"
        finally:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")
            self._execute(f"DROP ROLE {name}")

    @contextmanager
    def copy(self, template: str) -> Iterator[str]:
        """A copy of a database whose tables are empty but for those of versions; its URL.

        Making one takes long: it is emptied and given out again, unless its tables were changed.
        """
        name, made = self._copies.pop() if self._copies else ("", "")
        if not name:
            name = f"copy_{next(self._numbers)}"
            self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
            made = self._tables(name)
        yield self.url(name)
        if self._tables(name) == made:
            self._execute(_EMPTY, name)
            self._copies.append((name, made))
        else:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _tables(self, database: str) -> str:
        """What tells whether a database's tables are as they were, once nobody works on it."""
        return str(self._execute(_TABLES, database))

    def _execute(self, statement: str, database: str = "postgres") -> Any:
        """Execute a statement; the first value of what it finds."""
        url = self.url(database).replace("+psycopg", "")
        with psycopg.connect(url, autocommit=True) as connection:
            done = connection.execute(statement.encode())
            return done.fetchone() if done.description else None

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._binaries / program), "-D", str(self._data), *arguments]
        # The server inherits what pg_ctl has open; a pipe would never come to its end.
        with self._log.with_name("commands").open("a") as file:
            subprocess.run(command, check=True, stdout=file, stderr=file, cwd="/", **self._as)
