"""Launches that share a study on a PostgreSQL server that stops, and of which one is killed."""

from __future__ import annotations

from pathlib import Path

import pytest
import ray

from storage import Store

from ...harness.searches import make_space
from ...harness.shared_store import Found, Outage, SharedStore
from ...postgresql import PostgresqlServer

pytestmark = [pytest.mark.slow, pytest.mark.postgresql]

SPACE = {
    **{key: part for key, part in make_space(n_trials=4).items() if key not in ("model", "data")},
    "trainable": "closed-form",
    "options": {"sleep": 0.05},
    "training": {"epochs": 60},
    "concurrency": 1,
}


@pytest.fixture
def backend() -> str:
    return "postgresql"


def test_stops_and_a_crash_of_the_server_and_the_death_of_one_launch_lose_nothing(
    postgresql: PostgresqlServer, store: Store, tmp_path: Path, one_ray: Path
) -> None:
    shared = SharedStore(
        server=postgresql,
        store=store,
        directory=tmp_path,
        space=SPACE,
        options=("--ray-address", ray.get_runtime_context().gcs_address),
    )
    found = Found()
    # The first is longer than a heartbeat, so that it cannot go unnoticed.
    outages = [Outage(at=0.1, seconds=6.0), Outage(at=0.3, seconds=0.0, mode="immediate")]
    shared.disturb("shared", found, n_launches=2, outages=outages, kill_at=0.5)
    assert not found.faults
    assert found.struck == 3
    assert found.notices >= 2
    assert found.taken_over >= 1
