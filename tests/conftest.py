"""For every test: a slow machine is no failure, and a fresh store is one fixture away."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from storage import Store, open_store

from .postgresql import PostgresqlServer, programs

settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")

BACKENDS = ("sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql))
"""The databases that a store may be; a module tests both by a fixture `backend` of its own."""


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    """A running PostgreSQL server."""
    binaries = programs()
    if binaries is None:
        pytest.skip("PostgreSQL's programs initdb and pg_ctl are not installed")
    # A socket's path must be short, and the server's user must be allowed to enter.
    with tempfile.TemporaryDirectory(prefix="search-postgresql-") as directory:
        Path(directory).chmod(0o755)
        server = PostgresqlServer(Path(directory), binaries)
        yield server
        server.stop("immediate")


@pytest.fixture
def backend() -> str:
    """The kind of database that `store` is."""
    return "sqlite"


@pytest.fixture
def store_url(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a store that is not there yet."""
    with ExitStack() as stack:
        if backend == "sqlite":
            yield f"sqlite:///{tmp_path / 'deep' / 'er' / 's.db'}"
        else:
            server: PostgresqlServer = request.getfixturevalue("postgresql")
            yield stack.enter_context(server.database())


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An empty store."""
    opened = open_store(store_url)
    yield opened
    opened.close()
