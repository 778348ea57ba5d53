"""However a launch ends, the store says afterwards that it has ended, and nothing runs."""

from __future__ import annotations

import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

import search.benchmark.run
from search.launch.plan import Plan
from search.launch.study import open_study
from search.launch.study import search as run_search
from search.trials.ledger import Ledger
from search.workers.ray_session import Slots
from storage import Store

from .conftest import Recorder

MakePlan = Callable[..., Plan]
SLOTS = Slots(cpus=2, gpus=0, nodes=1, concurrency=1, gpus_per_trial=0)


def raising(error: BaseException) -> Callable[..., Any]:
    def call(*_: Any, **__: Any) -> Any:
        raise error

    return call


def asked_and_then(error: BaseException) -> Callable[..., str]:
    """A loop that has begun a trial and asked for another when something happens."""

    def run_tune(ledger: Ledger, **_: Any) -> str:
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
        monkeypatch.setattr("search.launch.study.run_tune", lambda ledger, **_: "done")
    calls = [instead]
    if what == "reclaim_stale":  # It also closes what is open.
        from search.runs.lease import reclaim_stale

        calls = [instead, reclaim_stale]
    monkeypatch.setattr(f"search.launch.study.{what}", lambda *a, **k: calls.pop(0)(*a, **k))
    if what == "run_tune":
        monkeypatch.setattr("search.launch.study.run_tune", instead)
    with pytest.raises((RuntimeError, MemoryError, KeyboardInterrupt, ZeroDivisionError)):
        run_search(plan, store, Recorder(), slots=SLOTS, scratch=tmp_path)
    (launch,) = store.launches()
    assert (launch.status, launch.ended_at is not None) == (status, True)
    study = open_study(plan, store)
    assert not study.get_trials(states=(TrialState.RUNNING,))
    assert not store.runs(study._study_id, state="running")


def test_a_benchmark_whose_display_fails_is_not_left_running(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.benchmark.run.QueueProgress", raising(ValueError("no display")))
    request = types.SimpleNamespace(
        name="b",
        command="c",
        deadline=None,
        resources=None,
        options=types.SimpleNamespace(config=[], seeds=1, checkpoints=None),
    )
    data = types.SimpleNamespace(source="mnist", fingerprint="f" * 16)
    with pytest.raises(ValueError, match="no display"):
        search.benchmark.run._run(store, [], request, data)  # type: ignore[arg-type]
    (launch,) = store.launches()
    assert launch.status == "failed"
