"""Trials of launches that died go on; those of launches that live are left alone."""

from __future__ import annotations

import dataclasses
import datetime
import os
import platform
import time
from collections.abc import Callable

import optuna
import pytest
import sqlalchemy as sa
from optuna.trial import TrialState

from search.lease import HEARTBEAT_SECONDS, LEASE_SECONDS, Lease, is_alive, reclaim_stale
from search.plan import Plan
from search.study import open_study
from space.errors import LeaseLostError
from storage import Store, schema
from storage.schema import utc_now

MakePlan = Callable[..., Plan]
NO_PROCESS = 2**22 + 1  # above Linux's highest process number


def begin(plan: Plan, store: Store, study: optuna.Study, *, host: str, pid: int) -> int:
    launch = plan.new_launch(study._study_id, [])
    return store.begin_launch(dataclasses.replace(launch, host=host, pid=pid))


def age(store: Store, launch_id: int, seconds: float) -> None:
    then = utc_now() - datetime.timedelta(seconds=seconds)
    table = schema.launches
    with store.engine.begin() as connection:
        query = table.update().where(table.c.launch_id == launch_id)
        connection.execute(query.values(heartbeat_at=then))


@pytest.mark.parametrize(
    ("host", "pid", "seconds", "alive"),
    [
        ("elsewhere", NO_PROCESS, 0, True),
        ("elsewhere", NO_PROCESS, LEASE_SECONDS + 1, False),
        (platform.node(), os.getpid(), LEASE_SECONDS + 1, False),
        (platform.node(), os.getpid(), 0, True),
        (platform.node(), NO_PROCESS, 0, False),
    ],
)
def test_who_is_alive(
    plan_for: MakePlan, store: Store, host: str, pid: int, seconds: float, alive: bool
) -> None:
    plan = plan_for()
    study = open_study(plan, store)
    launch_id = begin(plan, store, study, host=host, pid=pid)
    age(store, launch_id, seconds)
    assert is_alive(store.launches()[0]) is alive
    store.end_launch(launch_id, "done")
    assert not is_alive(store.launches()[0])


def test_only_trials_of_the_dead_are_reclaimed(plan_for: MakePlan, store: Store) -> None:
    plan = plan_for()
    study = open_study(plan, store)
    dead = begin(plan, store, study, host=platform.node(), pid=NO_PROCESS)
    living = begin(plan, store, study, host="elsewhere", pid=1)
    trials = [study.ask() for _ in range(3)]
    for trial, launch_id in zip(trials, (dead, living), strict=False):
        store.begin_run(
            launch_id=launch_id,
            study_id=study._study_id,
            trial_id=trial._trial_id,
            purpose="search",
            replicate=0,
            config_hash="x",
            config={},
        )
    own = begin(plan, store, study, host=platform.node(), pid=os.getpid())
    assert reclaim_stale(study, store, launch_id=own) == 1
    running = TrialState.RUNNING
    assert [trial.state for trial in study.trials] == [TrialState.WAITING, running, running]
    assert [launch.status for launch in store.launches()] == ["died", "running", "running"]
    assert [run.state for run in store.runs()] == ["interrupted", "running"]

    # With the living one gone too, nobody can own the trial that has no run.
    store.end_launch(living, "done")
    with store.engine.begin() as connection:
        connection.execute(sa.delete(schema.runs).where(schema.runs.c.launch_id == living))
    assert reclaim_stale(study, store, launch_id=own) == 2
    assert {trial.state for trial in study.trials} == {TrialState.WAITING}


def test_a_launch_that_slept_and_lost_its_trials_writes_no_more(
    plan_for: MakePlan, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_for()
    study = open_study(plan, store)
    launch_id = begin(plan, store, study, host="elsewhere", pid=1)
    lease = Lease(store, launch_id)
    awake = time.time()
    monkeypatch.setattr("search.lease.time.time", lambda: awake + HEARTBEAT_SECONDS)
    age(store, launch_id, LEASE_SECONDS - 1)
    lease.renew()
    assert (utc_now() - store.launches()[0].heartbeat_at).total_seconds() < LEASE_SECONDS / 2

    age(store, launch_id, LEASE_SECONDS + 1)
    other = begin(plan, store, study, host="elsewhere", pid=2)
    reclaim_stale(study, store, launch_id=other)
    monkeypatch.setattr("search.lease.time.time", lambda: awake + 3 * LEASE_SECONDS)
    slept = 3 * LEASE_SECONDS - HEARTBEAT_SECONDS
    with pytest.raises(LeaseLostError, match=rf"launch 1 was not heard of for {slept:.0f} s"):
        lease.renew()
    store.end_launch(launch_id, "done")
    assert store.launches()[0].status == "died"
