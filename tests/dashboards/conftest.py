"""A site that anyone may use, no password from outside, and what tests only look at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboards.pages.credentials import PASSWORD_VARIABLE, USER_VARIABLE
from dashboards.pages.guard import Guard
from dashboards.pages.site import Site
from storage import Store
from tests.dashboards.made.shelf import Shelf


@pytest.fixture
def _no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have set a password; the test begins without."""
    monkeypatch.delenv(USER_VARIABLE, raising=False)
    monkeypatch.delenv(PASSWORD_VARIABLE, raising=False)


@pytest.fixture
def open_site(store: Store) -> Guard:
    """A site without a password."""
    return Guard(Site(store), None)


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory, empty_file: Path) -> Iterator[Shelf]:
    """Studies and benchmarks that tests only look at."""
    made = Shelf(tmp_path_factory.mktemp("shelf"), empty_file)
    yield made
    made.close()
