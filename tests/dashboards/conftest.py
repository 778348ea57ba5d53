"""A site that anyone may use, and an environment in which nobody has set a password."""

from __future__ import annotations

import pytest

from dashboards.pages.credentials import PASSWORD_VARIABLE, USER_VARIABLE
from dashboards.pages.guard import Guard
from dashboards.pages.site import Site
from storage import Store


@pytest.fixture
def _no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have set a password; the test begins without."""
    monkeypatch.delenv(USER_VARIABLE, raising=False)
    monkeypatch.delenv(PASSWORD_VARIABLE, raising=False)


@pytest.fixture
def open_site(store: Store) -> Guard:
    """A site without a password."""
    return Guard(Site(store), None)
