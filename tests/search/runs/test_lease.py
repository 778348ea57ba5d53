"""Trials of launches that died go on; those of launches that live are left alone."""

from __future__ import annotations

import dataclasses
import datetime
import math
import os
import platform
import subprocess
import time
from collections.abc import Callable

import optuna
import pytest
import sqlalchemy as sa
from optuna.trial import TrialState

from search.launch.plan import Plan
from search.runs.lease import (
    HEARTBEAT_SECONDS,
    LEASE_SECONDS,
    TOUCH_SECONDS,
    Lease,
    is_alive,
    reclaim_runs,
    reclaim_stale,
)
from search.runs.protocol import Report
from search.trials.open_trial import OpenTrial
from space.errors import LeaseLostError
from storage import Store
from storage.connect.outage import OUTAGE_SECONDS
from storage.leases import process_mark
from storage.tables import schema
from storage.tables.records import CourseRecord
from storage.tables.schema import utc_now
from tests.records import begin_run
from tests.search.conftest import new_launch, open_study

from ...conftest import BACKENDS
from ..conftest import Recorder, new_ledger, reports_in_our_tables, work

MakePlan = Callable[..., Plan]
NO_PROCESS = 2**22 + 1  # above Linux's highest process number


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """The kind of database that `store` is."""
    return str(request.param)


def begin(plan: Plan, store: Store, study: optuna.Study, *, host: str, pid: int) -> int:
    launch = new_launch(plan, study._study_id)
    mark = process_mark(pid)
    return store.begin_launch(dataclasses.replace(launch, host=host, pid=pid, process=mark))


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
    ids=["far", "far and silent", "here and silent", "here", "gone"],
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


def test_a_process_that_nobody_has_waited_for_is_dead(plan_for: MakePlan, store: Store) -> None:
    plan = plan_for()
    process = subprocess.Popen(["sleep", "60"])
    begin(plan, store, open_study(plan, store), host=platform.node(), pid=process.pid)
    assert is_alive(store.launches()[0])
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not is_alive(store.launches()[0])
    process.wait()


def test_only_trials_of_the_dead_are_reclaimed(plan_for: MakePlan, store: Store) -> None:
    plan = plan_for()
    study = open_study(plan, store)
    dead = begin(plan, store, study, host=platform.node(), pid=NO_PROCESS)
    living = begin(plan, store, study, host="elsewhere", pid=1)
    trials = [study.ask() for _ in range(2)]
    store.hold_study(study._study_id, living, None)
    study.ask()
    for trial, launch_id in zip(trials, (dead, living), strict=True):
        begin_run(store, launch_id, trial._trial_id, study_id=study._study_id)
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
    monkeypatch.setattr("search.runs.lease.time.time", lambda: awake + HEARTBEAT_SECONDS)
    age(store, launch_id, LEASE_SECONDS - 1)
    lease.renew()
    assert (utc_now() - store.launches()[0].heartbeat_at).total_seconds() < LEASE_SECONDS / 2

    age(store, launch_id, LEASE_SECONDS + 1)
    other = begin(plan, store, study, host="elsewhere", pid=2)
    reclaim_stale(study, store, launch_id=other)
    monkeypatch.setattr("search.runs.lease.time.time", lambda: awake + 3 * LEASE_SECONDS)
    slept = 3 * LEASE_SECONDS - HEARTBEAT_SECONDS
    with pytest.raises(LeaseLostError, match=rf"launch 1 was not heard of for {slept:.0f} s"):
        lease.renew()
    store.end_launch(launch_id, "done")
    assert store.launches()[0].status == "died"


def hold(store: Store, launch_id: int, trial: optuna.Trial) -> int:
    """Let a launch train a trial; the run's number."""
    run = begin_run(store, launch_id, trial._trial_id, study_id=trial.study._study_id)
    return run.run_id


def test_a_trial_that_was_taken_up_and_not_yet_begun_is_left_to_who_took_it(
    plan_for: MakePlan, store: Store
) -> None:
    plan = plan_for()
    study = open_study(plan, store)
    running, waiting = TrialState.RUNNING, TrialState.WAITING

    def ask(launch_id: int) -> optuna.Trial:
        store.hold_study(study._study_id, launch_id, None)
        return study.ask()

    own = begin(plan, store, study, host=platform.node(), pid=os.getpid())
    other = begin(plan, store, study, host="elsewhere", pid=1)
    dead = begin(plan, store, study, host=platform.node(), pid=NO_PROCESS)
    study.ask()  # By nobody who said so.
    interrupted = ask(other)
    store.end_run(hold(store, other, interrupted), "interrupted")
    store.optuna_storage.set_trial_state_values(interrupted._trial_id, waiting)
    # Taken up again, and not got as far as its run; who had it before goes on and has it no more.
    assert ask(dead).number == interrupted.number
    assert [launch.last_trial for launch in store.launches()] == [None, None, 1]
    assert ask(own).number == 2
    assert ask(other).number == 3
    assert [launch.last_trial for launch in store.launches()] == [2, 3, 1]
    assert [trial.state for trial in study.trials] == [running] * 4
    # Its own has none either: whoever goes on with the launch, or ends it, asks for none meanwhile.
    assert reclaim_stale(study, store, launch_id=own) == 3
    assert [trial.state for trial in study.trials] == [waiting, waiting, waiting, running]


def test_a_run_that_another_took_over_meanwhile_is_not_ended(
    plan_for: MakePlan, store: Store
) -> None:
    plan = plan_for()
    study = open_study(plan, store)
    dead = begin(plan, store, study, host=platform.node(), pid=NO_PROCESS)
    other = begin(plan, store, study, host="elsewhere", pid=1)
    trial = study.ask()
    run_id = hold(store, dead, trial)
    assert hold(store, other, trial) == run_id
    assert not store.free_run(run_id, dead, "interrupted", "x")
    assert store.runs()[0].state == "running"
    assert store.free_run(run_id, other, "interrupted", "x")
    assert not store.free_run(run_id, other, "interrupted", "x")


class Witness(Recorder):
    """An observer in whose fifth report the first launch dies."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store

    def on_trial_report(self, trial: OpenTrial, report: Report) -> None:
        super().on_trial_report(trial, report)
        if self.n_reports == 5:  # It ran on this machine, and its process is gone.
            with self._store.engine.begin() as connection:
                query = schema.launches.update().where(schema.launches.c.launch_id == 1)
                connection.execute(query.values(host=platform.node(), pid=NO_PROCESS))


@pytest.mark.parametrize(
    ("seconds", "order"),
    [
        pytest.param(0.0, [2, 3, 0, 1, 4, 5, 6], id="with its next trial"),
        pytest.param(1e9, [2, 3, 4, 5, 6, 0, 1], id="before it ends"),
    ],
)
def test_a_surviving_launch_goes_on_with_the_trials_of_one_that_dies_beside_it(
    plan_for: MakePlan,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    order: list[int],
) -> None:
    monkeypatch.setattr("search.trials.asking.HEARTBEAT_SECONDS", seconds)
    plan = plan_for(budget={"trials": 7})
    doomed, study = new_ledger(plan, store, Recorder())
    work(doomed, plan, n_steps=4)
    recorder = Witness(store)
    survivor, _ = new_ledger(plan, store, recorder)
    work(survivor, plan)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 7
    assert reports_in_our_tables(store, study) == {n: list(range(1, 10)) for n in range(7)}
    assert {run.launch_id for run in store.runs()} == {2}
    started = [number for event, number in recorder.events if event == "start"]
    assert started == order
    assert [launch.status for launch in store.launches()] == ["died", "running"]
    doomed._lease._renewed -= HEARTBEAT_SECONDS
    with pytest.raises(LeaseLostError):
        doomed.next_assignment()


def test_the_last_launch_waits_for_no_other_that_lives(
    plan_for: MakePlan, store: Store, recorder: Recorder
) -> None:
    plan = plan_for(budget={"trials": 4})
    other, study = new_ledger(plan, store, Recorder())
    work(other, plan, n_steps=4)
    ledger, _ = new_ledger(plan, store, recorder)
    work(ledger, plan)
    running, complete = TrialState.RUNNING, TrialState.COMPLETE
    assert [trial.state for trial in study.trials] == [running, running, complete, complete]
    assert ledger.next_assignment() is None
    other.interrupt("stopped")
    work(ledger, plan)
    assert [trial.state for trial in study.trials] == [complete] * 4


def test_who_was_cut_off_does_not_call_others_dead_that_were_cut_off_with_it(
    plan_for: MakePlan, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_for()
    study = open_study(plan, store)
    other = begin(plan, store, study, host="elsewhere", pid=1)
    hold(store, other, study.ask())
    own = begin(plan, store, study, host=platform.node(), pid=os.getpid())
    now = time.time()
    monkeypatch.setattr("search.runs.lease.time.time", lambda: now)
    lease = Lease(store, own)

    def pass_time(seconds: float) -> None:
        nonlocal now
        now += seconds
        lease.renew()

    for _ in range(math.ceil(TOUCH_SECONDS / HEARTBEAT_SECONDS)):
        pass_time(HEARTBEAT_SECONDS)
    assert lease.allowed_silence == LEASE_SECONDS
    assert not lease.outlives_others(study._study_id)

    # Two outages with a moment between them in which only this launch was heard.
    age(store, other, 2 * OUTAGE_SECONDS)
    pass_time(OUTAGE_SECONDS)
    assert lease.allowed_silence == math.inf
    assert not lease.outlives_others(study._study_id)
    assert reclaim_stale(study, store, launch_id=own, allowed_silence=lease.allowed_silence) == 0
    # The other one had all the time it needs and was not heard.
    for _ in range(math.ceil(TOUCH_SECONDS / HEARTBEAT_SECONDS)):
        pass_time(HEARTBEAT_SECONDS)
    assert lease.outlives_others(study._study_id)
    assert reclaim_stale(study, store, launch_id=own, allowed_silence=lease.allowed_silence) == 1


def test_a_beat_that_waited_for_the_database_is_an_absence(
    plan_for: MakePlan, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_for()
    study = open_study(plan, store)
    lease = Lease(store, begin(plan, store, study, host=platform.node(), pid=os.getpid()))
    now = time.time() + LEASE_SECONDS
    monkeypatch.setattr("search.runs.lease.time.time", lambda: now)
    lease._renewed = now - HEARTBEAT_SECONDS
    assert lease.allowed_silence == LEASE_SECONDS
    beat = store.beat

    def beat_after_an_outage(launch_id: int, course: CourseRecord | None) -> bool:
        nonlocal now
        now += OUTAGE_SECONDS
        return beat(launch_id, course)

    monkeypatch.setattr(store, "beat", beat_after_an_outage)
    lease.renew()
    assert lease.allowed_silence == math.inf


def test_another_studys_dead_launch_is_left_to_its_own_study(
    plan_for: MakePlan, store: Store
) -> None:
    one, two = plan_for(study="one"), plan_for(study="two")
    study, other = open_study(one, store), open_study(two, store)
    dead = begin(two, store, other, host=platform.node(), pid=NO_PROCESS)
    hold(store, dead, other.ask())
    own = begin(one, store, study, host=platform.node(), pid=os.getpid())
    assert reclaim_stale(study, store, launch_id=own) == 0
    reclaim_runs(store, "benchmark")
    own = begin(two, store, other, host=platform.node(), pid=os.getpid())
    assert Lease(store, own).outlives_others(other._study_id)
    assert reclaim_stale(other, store, launch_id=own) == 1
