"""Machines disagree about the time: a launch is judged by the store's clock alone."""

from __future__ import annotations

import dataclasses
import datetime
import os
import platform
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from optuna.trial import TrialState

import storage.optuna_rows.steady
import storage.tables.schema
from search.benchmark.configs import resolved
from search.launch.plan import Plan
from search.runs.lease import LEASE_SECONDS, is_alive, reclaim_runs
from search.runs.queue import QueuedRun, RunQueue
from search.trials.ledger import Ledger
from space.errors import StorageError
from storage import ResultRecord, Store
from storage.admin.check import check_store
from storage.admin.removal import study_removal
from storage.admin.upgrade import _refuse_living
from storage.leases import process_mark
from storage.summaries.overview import list_studies
from storage.tables import schema
from tests.search.conftest import new_launch

from ...conftest import BACKENDS
from ..conftest import Recorder, new_ledger, work
from ..results_store import begin_launch
from ..runs.test_run_queue import CONFIG, new_queue

MakePlan = Callable[..., Plan]
AHEAD = datetime.timedelta(minutes=10)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """The kind of database that `store` is."""
    return str(request.param)


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime.timedelta], None]:
    """Sets this machine's clock so far ahead of the store's."""
    true_time = time.time

    def to(ahead: datetime.timedelta) -> None:
        class Skewed(datetime.datetime):
            @classmethod
            def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
                return datetime.datetime.now(tz) + ahead

        clock = SimpleNamespace(datetime=Skewed, UTC=datetime.UTC)
        for module in (storage.tables.schema, storage.optuna_rows.steady):
            monkeypatch.setattr(module, "datetime", clock)
        monkeypatch.setattr("time.time", lambda: true_time() + ahead.total_seconds())

    return to


def elsewhere(plan: Plan, store: Store) -> Ledger:
    """The ledger of a launch on another machine, in the midst of two trials."""
    ledger, _ = new_ledger(plan, store, Recorder())
    with store.engine.begin() as connection:
        connection.execute(schema.launches.update().values(host="elsewhere"))
    work(ledger, plan, n_steps=4)
    return ledger


def fall_silent(store: Store, seconds: float) -> None:
    """Let every launch have been heard of last so long ago, by the store's clock."""
    with store.engine.begin() as connection:
        for launch in store.launches():
            heard = launch.heartbeat_at - datetime.timedelta(seconds=seconds)
            connection.execute(schema.launches.update().values(heartbeat_at=heard))


@pytest.mark.parametrize("ahead", [-AHEAD, AHEAD], ids=["behind", "ahead"])
def test_living_trials_are_left_alone_whatever_the_time_here(
    plan_for: MakePlan,
    store: Store,
    set_clock: Callable[[datetime.timedelta], None],
    ahead: datetime.timedelta,
) -> None:
    plan = plan_for(budget={"trials": 4})
    other = elsewhere(plan, store)
    set_clock(ahead)
    ledger, study = new_ledger(plan, store, Recorder())
    work(ledger, plan)
    running, complete = TrialState.RUNNING, TrialState.COMPLETE
    assert [trial.state for trial in study.trials] == [running, running, complete, complete]
    assert all(map(is_alive, store.launches()))
    (row,) = list_studies(store)
    assert (row["state"], row["trials"]["INTERRUPTED"]) == ("running", 0)
    assert check_store(store).findings == []
    store.beat(other._launch_id)  # PostgreSQL's next look finds its row behind the later launch's.
    for attempt in (
        lambda: study_removal(store, study._study_id, "closed"),
        lambda: _refuse_living(store.engine, store.url),
    ):
        with pytest.raises(StorageError, match="launch 1"):
            attempt()
    set_clock(datetime.timedelta())
    assert other.interrupt("stopped") == 2  # Nobody has taken its lease.
    work(ledger, plan)
    assert [trial.state for trial in study.trials] == [complete] * 4


@pytest.mark.parametrize("ahead", [-AHEAD, AHEAD], ids=["behind", "ahead"])
def test_a_launch_whose_own_clock_is_wrong_is_alive_for_as_long_as_it_beats(
    plan_for: MakePlan,
    store: Store,
    set_clock: Callable[[datetime.timedelta], None],
    ahead: datetime.timedelta,
) -> None:
    set_clock(ahead)
    other = elsewhere(plan_for(budget={"trials": 4}), store)
    store.beat(other._launch_id)
    set_clock(datetime.timedelta())
    (launch,) = store.launches()
    assert is_alive(launch)
    assert launch.silence < LEASE_SECONDS / 2
    fall_silent(store, LEASE_SECONDS)
    assert not is_alive(store.launches()[0])


@pytest.mark.parametrize("ahead", [-AHEAD, AHEAD], ids=["behind", "ahead"])
def test_the_dead_are_found_whatever_the_time_here(
    plan_for: MakePlan,
    store: Store,
    set_clock: Callable[[datetime.timedelta], None],
    ahead: datetime.timedelta,
) -> None:
    plan = plan_for(budget={"trials": 4})
    elsewhere(plan, store)
    set_clock(ahead)
    fall_silent(store, LEASE_SECONDS)
    ledger, study = new_ledger(plan, store, Recorder())
    ledger._lease._in_touch_since -= LEASE_SECONDS
    work(ledger, plan)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 4
    assert [launch.status for launch in store.launches()] == ["died", "running"]


@pytest.mark.parametrize("ahead", [-AHEAD, AHEAD], ids=["behind", "ahead"])
def test_a_queues_runs_are_neither_taken_over_nor_trained_twice_whatever_the_time_here(
    store: Store, set_clock: Callable[[datetime.timedelta], None], ahead: datetime.timedelta
) -> None:
    runs = [QueuedRun(label=f"seed {seed}", config=resolved(CONFIG, seed)) for seed in range(3)]

    def queue(n_runs: int) -> RunQueue:
        return new_queue(store, runs[:n_runs], [])

    others = queue(2)
    mine = queue(3)
    assert others.next_assignment() is not None
    second = others.next_assignment()
    assert second is not None
    set_clock(ahead)
    assert reclaim_runs(store, "benchmark") == 0
    ((run, _),) = second.runs
    store.record_result(
        ResultRecord(
            run_id=run.run_id,
            metrics={
                "train_error": 0.1,
                "val_error": 0.1,
                "test_error": 0.1,
                "train_loss": 0.1,
                "val_loss": 0.1,
                "test_loss": 0.1,
            },
            data_fingerprint="f",
        )
    )
    store.end_run(run.run_id, "complete")  # Since the queue was made, by another clock.
    set_clock(datetime.timedelta())
    assigned = mine.next_assignment()
    assert assigned is not None
    ((own, config),) = assigned.runs
    assert config == runs[2].config
    assert mine.n_elsewhere == 2
    assert begin_launch(store) > own.launch_id


def test_a_process_of_another_machine_of_this_name_is_not_looked_for_here(
    plan_for: MakePlan, store: Store
) -> None:
    study = new_ledger(plan_for(), store, Recorder())[1]
    mark = process_mark(os.getpid())
    if mark is None:
        pytest.skip("this system does not tell processes apart")
    boot, numbered_by, begun = mark.split()
    nobody = 2**22 + 1
    launch = dataclasses.replace(
        new_launch(plan_for(), study._study_id), host=platform.node(), pid=nobody
    )
    for process, alive in (
        (mark, False),
        (None, False),
        (f"{'0' * len(boot)} {numbered_by} {begun}", True),
        (f"{boot} pid:[7] {begun}", True),
    ):
        store.begin_launch(dataclasses.replace(launch, process=process))
        assert is_alive(store.launches()[-1]) is alive
    # Its number is another process's by now.
    again = dataclasses.replace(launch, pid=os.getpid(), process=f"{boot} {numbered_by} 7")
    store.begin_launch(again)
    assert not is_alive(store.launches()[-1])
