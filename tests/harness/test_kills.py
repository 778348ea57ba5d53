"""A kill of a worker and one of a driver; the harness runs hundreds by itself."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.harness.kills import Harness

pytestmark = pytest.mark.slow


def test_a_search_under_fire_loses_nothing() -> None:
    # Ray's sockets lie beneath, and their paths must be short.
    with tempfile.TemporaryDirectory(prefix="kills-", dir="/tmp") as directory:
        harness = Harness(seed=0, directory=Path(directory), n_trials=4, epochs=12)
        harness.run(2, lambda _: None)
    assert harness.findings.kills == {"worker": 1, "driver": 1}
    assert harness.findings.faults == {}
