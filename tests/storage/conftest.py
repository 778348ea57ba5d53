"""The store's contract holds on every database."""

from __future__ import annotations

import pytest

from ..conftest import BACKENDS


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """The kind of database that `store` is."""
    return str(request.param)
