"""Runs of a benchmark whose launch died, while others look at them, too."""

from __future__ import annotations

import os
import platform
from typing import Any

import pytest

from search.runs.lease import (
    reclaim_runs,
)
from storage import RunRecord, Store
from storage.leases import process_mark
from storage.tables.records import LaunchRecord
from tests.records import begin_run

from ...conftest import BACKENDS
from ..results_store import begin_launch

NO_PROCESS = 2**22 + 1  # above Linux's highest process number


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """The kind of database that `store` is."""
    return str(request.param)


def begin_benchmark(store: Store, *, pid: int) -> int:
    return begin_launch(store, host=platform.node(), pid=pid, process=process_mark(pid))


def train_benchmark(store: Store, launch_id: int, config_hash: str) -> int:
    """Let a launch have a benchmark's run in hand; say which."""
    return begin_run(store, launch_id, purpose="benchmark", config_hash=config_hash).run_id


def test_of_two_launches_that_free_a_run_at_once_the_slower_leaves_it_to_the_faster(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = train_benchmark(store, begin_benchmark(store, pid=NO_PROCESS), "x")
    read, taken = store.runs, []

    def read_slowly(*args: Any, **options: Any) -> list[RunRecord]:
        found = read(*args, **options)
        monkeypatch.undo()
        assert reclaim_runs(store, "benchmark") == 1
        taken.append(begin_benchmark(store, pid=os.getpid()))
        assert train_benchmark(store, taken[0], "x") == run_id
        return found

    monkeypatch.setattr(store, "runs", read_slowly)
    assert reclaim_runs(store, "benchmark") == 0
    (run,) = store.runs()
    assert (run.state, run.reason, run.launch_id) == ("running", None, taken[0])
    assert [launch.status for launch in store.launches()] == ["died", "running"]


def test_a_launch_that_begins_while_others_are_looked_at_is_not_taken_for_dead(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_benchmark(store, pid=NO_PROCESS)
    read = store.launches

    def read_slowly(*args: Any, **options: Any) -> list[LaunchRecord]:
        found = read(*args, **options)
        monkeypatch.undo()
        train_benchmark(store, begin_benchmark(store, pid=os.getpid()), "x")
        return found

    monkeypatch.setattr(store, "launches", read_slowly)
    assert reclaim_runs(store, "benchmark") == 0
    assert [launch.status for launch in store.launches()] == ["died", "running"]
    assert [run.state for run in store.runs()] == ["running"]
