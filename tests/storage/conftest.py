"""The store's contract holds on every database."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from storage import open_store
from tests.dashboards.made.bulk_study import add_study

from ..conftest import BACKENDS


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """The kind of database that `store` is."""
    return str(request.param)


@pytest.fixture(scope="session")
def made_file(tmp_path_factory: pytest.TempPathFactory, empty_file: Path) -> Path:
    """An SQLite store with a confirmed study "made", to be copied."""
    path = tmp_path_factory.mktemp("made") / "s.db"
    shutil.copyfile(empty_file, path)
    with closing(open_store(str(path))) as store:
        add_study(store, "made", 20, confirmed=True)
    assert not path.with_name("s.db-wal").exists()
    return path
