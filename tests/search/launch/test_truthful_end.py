"""However a launch ends, the store says afterwards that it has ended, and nothing runs."""

from __future__ import annotations

import datetime
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

import search.benchmark.run
from search.callbacks.source import Source
from search.launch.plan import Plan
from search.launch.study import run_study
from search.runs.lease import LEASE_SECONDS, reclaim_stale
from search.runs.stopping import Stopping
from search.trials.ledger import Ledger
from search.workers.ray_session import Slots
from storage import Store
from storage.admin.check import check_store
from storage.tables import schema
from tests.search.conftest import open_study, opened, run_search

from ..conftest import Recorder, new_ledger, work
from ..here import Here

MakePlan = Callable[..., Plan]
SLOTS = Slots(cpus=2, gpus=0, nodes=1, concurrency=1, gpus_per_trial=0)


@pytest.mark.parametrize(
    ("stopping", "status"),
    [
        (Stopping(requested=lambda: True), "interrupted"),
        (Stopping(deadline=0.0), "time limit"),
        (Stopping(), "done"),
    ],
)
def test_a_launch_says_and_records_why_it_ended(
    stopping: Stopping, status: str, plan_for: MakePlan, store: Store, here: Here, tmp_path: Path
) -> None:
    plan = plan_for(budget={"trials": 1})
    outcome = run_search(plan, store, Recorder(), slots=SLOTS, scratch=tmp_path, stopping=stopping)
    assert outcome.status == status
    assert [launch.status for launch in store.launches()] == [status]


def raising(error: BaseException) -> Callable[..., Any]:
    def call(*_: Any, **__: Any) -> Any:
        raise error

    return call


def asked_and_then(error: BaseException) -> Callable[..., str]:
    """A loop that has begun a trial and asked for another when something happens."""

    def run_tune(ledger: Ledger, *_: Any) -> str:
        assert ledger.next_assignment() is not None
        ledger._study.ask()
        raise error

    return run_tune


@pytest.mark.parametrize(
    ("what", "instead", "status"),
    [
        ("Ledger", raising(RuntimeError("none")), "failed"),
        ("reclaim_stale", raising(MemoryError()), "failed"),
        ("run_tune", asked_and_then(MemoryError()), "failed"),
        ("run_tune", asked_and_then(KeyboardInterrupt()), "interrupted"),
        ("confirm", raising(ZeroDivisionError()), "failed"),
    ],
)
def test_a_launch_that_something_ends_is_not_left_running(
    plan_for: MakePlan,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    what: str,
    instead: Callable[..., Any],
    status: str,
) -> None:
    plan = plan_for(confirm={"top": 1})
    if what != "run_tune":
        monkeypatch.setattr("search.launch.study.run_tune", lambda ledger, *_: "done")
    calls, module = [instead], "study"
    if what == "reclaim_stale":  # It also closes what is open.
        calls, module = [instead, reclaim_stale], "open_launch"
    monkeypatch.setattr(f"search.launch.{module}.{what}", lambda *a, **k: calls.pop(0)(*a, **k))
    if what == "run_tune":
        monkeypatch.setattr("search.launch.study.run_tune", instead)
    with pytest.raises((RuntimeError, MemoryError, KeyboardInterrupt, ZeroDivisionError)):
        run_search(plan, store, Recorder(), slots=SLOTS, scratch=tmp_path)
    (launch,) = store.launches()
    assert (launch.status, launch.ended_at is not None) == (status, True)
    study = open_study(plan, store)
    assert not study.get_trials(states=(TrialState.RUNNING,))
    assert not store.runs(study._study_id, state="running")


def test_a_launch_whose_trials_cannot_be_put_back_has_ended_all_the_same(
    plan_for: MakePlan, store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("search.launch.study.run_tune", asked_and_then(MemoryError()))
    monkeypatch.setattr(Ledger, "interrupt", raising(RuntimeError("not now")))
    with pytest.raises(RuntimeError, match="not now"):
        run_search(plan_for(), store, Recorder(), slots=SLOTS, scratch=tmp_path)
    (launch,) = store.launches()
    assert (launch.status, launch.ended_at is not None) == ("failed", True)


def done_but_for_its_end(plan: Plan, store: Store) -> Path:
    """A launch killed between its last trial's end and that of its run; the run's checkpoint."""
    ledger, _ = new_ledger(plan, store, Recorder())
    work(ledger, plan)
    last = store.runs()[-1]
    silent = schema.utc_now() - datetime.timedelta(seconds=LEASE_SECONDS + 1)
    with store.engine.begin() as connection:
        left = schema.runs.update().where(schema.runs.c.run_id == last.run_id)
        connection.execute(left.values(state="running", ended_at=None))
        connection.execute(schema.launches.update().values(heartbeat_at=silent))
    checkpoint = plan.place.files(last.uid).checkpoint
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    checkpoint.write_bytes(b"of its last epoch")
    assert {each.table for each in check_store(store).findings} == {
        "search_launches",
        "search_runs",
    }
    return checkpoint


def test_a_launch_with_nothing_to_train_puts_right_what_a_killed_one_left(
    plan_for: MakePlan, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "search.workers.workplace.ray_session", raising(AssertionError("no need of Ray"))
    )
    plan = plan_for(budget={"trials": 3})
    checkpoint = done_but_for_its_end(plan, store)
    assert run_study(plan, opened(plan, store), Recorder()).status == "done"
    assert [launch.status for launch in store.launches()] == ["died", "done"]
    assert {run.state for run in store.runs()} == {"complete"}
    assert not checkpoint.exists()
    assert check_store(store).findings == []


def test_a_launch_with_nothing_to_train_that_something_ends_is_not_left_running(
    plan_for: MakePlan, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_for(budget={"trials": 3})
    done_but_for_its_end(plan, store)
    monkeypatch.setattr("search.launch.open_launch.sweep_checkpoints", raising(MemoryError()))
    with pytest.raises(MemoryError):
        run_study(plan, opened(plan, store), Recorder())
    assert [launch.status for launch in store.launches()] == ["died", "failed"]


@pytest.mark.parametrize("part", ["QueueProgress", "Telling"])
def test_a_benchmark_that_cannot_be_shown_or_told_of_is_not_left_running(
    part: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"search.benchmark.run.{part}", raising(ValueError("no display")))
    request = types.SimpleNamespace(
        name="b",
        command="c",
        deadline=None,
        resources=None,
        callbacks=[],
        n_seeds=1,
        options=types.SimpleNamespace(config=[], fresh_seeds=False, checkpoints=None),
    )
    data = types.SimpleNamespace(source="mnist", fingerprint="f" * 16)
    with pytest.raises(ValueError, match="no display"):
        search.benchmark.run._run(store, [], None, request, data, Source(group="b"), [])  # type: ignore[arg-type]
    (launch,) = store.launches()
    assert launch.status == "failed"
