"""For every test: a slow machine is no failure, and a fresh store is one fixture away."""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from storage import Store, open_store

from .one_cache import share_statements

if TYPE_CHECKING:
    from .postgresql import PostgresqlServer

# Tiny networks are slower with more threads, and much slower on a busy machine. This holds for what
# tests start, too.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A process that compiles all that it imports takes half as long again to start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")

BACKENDS = ("sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql))
"""The databases that a store may be; a module tests both by a fixture `backend` of its own."""


def pytest_configure() -> None:
    """Collect no garbage while modules are imported, and compile each statement once."""
    gc.disable()
    share_statements()


def pytest_collection_finish() -> None:
    """Let no garbage collection go through what was imported: that is a tenth of the suite."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    """A running PostgreSQL server."""
    from .postgresql import PostgresqlServer, programs  # The driver may not be installed.

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


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite store that holds nothing, to be copied: making one takes long."""
    path = tmp_path_factory.mktemp("empty") / "s.db"
    open_store(str(path)).close()
    return path


@pytest.fixture(scope="session")
def empty_database(postgresql: PostgresqlServer) -> Iterator[str]:
    """The name of a PostgreSQL database with a store that holds nothing, to be copied."""
    with postgresql.database() as url:
        open_store(url).close()
        yield url.rpartition("/")[2]


@pytest.fixture
def store_url(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a store that is not there yet; that is there, and empty, for `store`'s users."""
    is_there = "store" in request.fixturenames
    with ExitStack() as stack:
        if backend == "sqlite":
            path = tmp_path / "deep" / "er" / "s.db"
            if is_there:
                path.parent.mkdir(parents=True)
                shutil.copyfile(request.getfixturevalue("empty_file"), path)
            yield f"sqlite:///{path}"
        else:
            server: PostgresqlServer = request.getfixturevalue("postgresql")
            made = server.database()
            if is_there:
                made = server.copy(request.getfixturevalue("empty_database"))
            yield stack.enter_context(made)


@pytest.fixture
def no_ray_ahead() -> Iterator[None]:
    """Lets launches in this process start Ray where they train, if they do, as those in Python."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("search.launch.ahead.ray_ahead", lambda *_: nullcontext())
        yield


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An empty store."""
    opened = open_store(store_url)
    yield opened
    opened.close()
