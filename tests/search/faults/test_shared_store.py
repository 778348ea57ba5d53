"""Real searches on a PostgreSQL server that stops, and beside a launch that is killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from storage import Store

from ...harness.searches import make_space
from ...harness.shared_store import Found, Outage, SharedStore
from ...postgresql import PostgresqlServer

pytestmark = [pytest.mark.slow, pytest.mark.postgresql]


@pytest.fixture
def backend() -> str:
    return "postgresql"


@pytest.fixture
def found() -> Found:
    return Found()


@pytest.fixture
def shared(postgresql: PostgresqlServer, store: Store, tmp_path: Path) -> SharedStore:
    space: dict[str, Any] = make_space(n_trials=6, epochs=60)
    return SharedStore(server=postgresql, store=store, directory=tmp_path, space=space)


def test_a_stop_and_a_crash_of_the_server_lose_nothing(shared: SharedStore, found: Found) -> None:
    # Longer than a heartbeat, so that it cannot go unnoticed.
    outages = [Outage(at=0.1, seconds=6.0), Outage(at=0.4, seconds=0.0, mode="immediate")]
    shared.ride_outages("stopped", outages, found)
    assert not found.faults
    assert found.struck == 2
    assert found.notices >= 1


def test_a_launch_that_is_killed_beside_another_loses_nothing(
    shared: SharedStore, found: Found
) -> None:
    shared.kill_one_of_two("killed", 0.1, found)
    assert not found.faults
    assert found.struck == 1
    assert found.taken_over >= 1


def test_two_launches_that_are_cut_off_keep_their_trials(shared: SharedStore, found: Found) -> None:
    shared.cut_off("cut", Outage(at=0.1, seconds=6.0), found)
    assert not found.faults
    assert found.struck == 1
    assert found.notices >= 2
