"""Launches one after another, or at a time: nothing is lost or done twice, and budgets hold."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from search.launch.plan import Plan
from search.trials.ledger import Ledger
from search.trials.open_trial import OpenTrial
from storage import Store, open_store
from storage.tables.attributes import BASELINE, FAIL_REASON
from tests.search.conftest import open_study
from trainables.worker import assigned

from ..conftest import Recorder, new_ledger, reports_in_our_tables, work

MakePlan = Callable[..., Plan]


def test_interrupted_trials_go_on_under_their_numbers_with_no_epoch_twice(
    plan_for: MakePlan, store: Store, recorder: Recorder
) -> None:
    plan = plan_for()
    ledger, study = new_ledger(plan, store, recorder)
    work(ledger, plan, n_steps=5)
    assert ledger.interrupt("time limit") == 2
    assert [trial.state for trial in study.trials] == [TrialState.WAITING] * 2
    before = [dict(trial.intermediate_values) for trial in study.trials]
    params = [trial.params for trial in study.trials]
    assert [len(values) for values in before] == [5, 5]
    assert {run.state for run in store.runs(study._study_id)} == {"interrupted"}

    again = Recorder()
    ledger, study = new_ledger(plan, store, again)
    work(ledger, plan)
    assert again.events[:2] == [("start", 0), ("start", 1)]
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 12
    for number in range(2):
        trial = study.trials[number]
        assert trial.params == params[number]
        values = dict(trial.intermediate_values)
        assert {step: values[step] for step in before[number]} == before[number]
    assert reports_in_our_tables(store, study) == {n: list(range(1, 10)) for n in range(12)}
    assert len(store.runs(study._study_id)) == 12


def test_interrupting_changes_nothing_in_the_result(
    plan_for: MakePlan, store: Store, recorder: Recorder
) -> None:
    def values(study_name: str, stops: list[int | None]) -> list[Any]:
        plan = plan_for(
            study=study_name,
            pruner={"name": "threshold", "upper": 0.3, "n_warmup_steps": 3},
            sampler={"name": "grid"},
            parameters={
                "learning_rate": {"type": "categorical", "choices": [1e-4, 1e-3, 1e-2]},
                "aux_weight": {"type": "float", "low": 0.0, "high": 0.8, "step": 0.2},
            },
            budget={"trials": 15},
        )
        for n_steps in stops:
            ledger, study = new_ledger(plan, store, recorder)
            work(ledger, plan, n_workers=1, n_steps=n_steps)
            ledger.interrupt("test")
        return sorted(
            (*trial.params.values(), trial.state.name, tuple(trial.intermediate_values.items()))
            for trial in study.trials
        )

    whole = values("whole", [None])
    assert len({entry[:2] for entry in whole}) == 15
    assert values("pieces", [1, 2, 3, 5, 8, None]) == whole


def test_budget_of_trials_and_epochs_holds_over_launches(
    plan_for: MakePlan, store: Store, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assigned, "CHECKPOINT_SECONDS", 0.0)
    plan = plan_for(budget={"trials": 12, "epochs": 20})
    ledger, study = new_ledger(plan, store, recorder)
    while not ledger.is_spent:
        work(ledger, plan, n_workers=1, n_steps=1)
        ledger.interrupt("test")
    assert store.n_epochs(study._study_id) == 20
    ledger, _ = new_ledger(plan, store, recorder)
    assert ledger.next_assignment() is None
    more = plan_for(budget={"trials": 3})
    ledger, study = new_ledger(more, store, recorder)
    work(ledger, more)
    assert len(study.trials) == 3
    assert store.n_epochs(study._study_id) == 27


def test_baselines_come_first_and_only_once(
    plan_for: MakePlan, store: Store, recorder: Recorder
) -> None:
    baselines = [{"learning_rate": 1e-3, "weight_decay": 1e-3}]
    plan = plan_for(baselines=baselines, budget={"trials": 4})
    for _ in range(3):
        ledger, study = new_ledger(plan, store, recorder)
        work(ledger, plan, n_steps=3)
        ledger.interrupt("test")
    work(new_ledger(plan, store, recorder)[0], plan)
    assert study.trials[0].params == baselines[0]
    assert sum(trial.params == baselines[0] for trial in study.trials) == 1
    assert len(study.trials) == 4


def test_decision_lost_with_its_driver_is_made_by_the_next(
    plan_for: MakePlan, store: Store, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_for()
    ledger, study = new_ledger(plan, store, recorder)
    monkeypatch.setattr(OpenTrial, "take_in", lambda *_: [])
    monkeypatch.setattr(Ledger, "_decide", lambda *_: False)
    work(ledger, plan, n_workers=1, n_steps=9)
    ledger.interrupt("killed before the decision")
    monkeypatch.undo()
    ledger, study = new_ledger(plan, store, recorder)
    work(ledger, plan)
    assert study.trials[0].state == TrialState.COMPLETE
    assert list(study.trials[0].intermediate_values) == list(range(1, 10))


def test_a_new_store_takes_nothing_from_an_old_ones_checkpoints(
    plan_for: MakePlan,
    store: Store,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(assigned, "CHECKPOINT_SECONDS", 0.0)
    plan = plan_for()
    ledger, _ = new_ledger(plan, store, recorder)
    work(ledger, plan, n_steps=5)
    ledger.interrupt("test")
    assert list(plan.place.checkpoints.rglob("*.pt"))
    fresh = open_store(str(tmp_path / "fresh.db"))
    ledger, _ = new_ledger(plan, fresh, recorder)
    work(ledger, plan, n_steps=1)
    ledger.interrupt("test")
    assert {run.n_epochs for run in fresh.runs()} == {1}
    fresh.close()


def test_loss_that_was_not_finite_is_not_forgotten_with_its_driver(
    plan_for: MakePlan, store: Store, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_for(
        parameters={"nan_at": {"type": "categorical", "choices": [9]}},
        budget={"trials": 1},
    )
    ledger, study = new_ledger(plan, store, recorder)
    monkeypatch.setattr(Ledger, "fail", lambda *_: None)
    work(ledger, plan, n_workers=1, n_steps=9)
    ledger.interrupt("killed before the trial was closed")
    monkeypatch.undo()
    ledger, study = new_ledger(plan, store, recorder)
    work(ledger, plan)
    assert study.trials[0].state == TrialState.FAIL
    assert study.trials[0].user_attrs[FAIL_REASON] == "the loss is not finite in epoch 9"


def test_decision_to_prune_lost_with_its_driver_is_made_by_the_next(
    plan_for: MakePlan, store: Store, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_for(pruner={"name": "threshold", "upper": 0.0, "n_warmup_steps": 4})
    ledger, study = new_ledger(plan, store, recorder)
    monkeypatch.setattr("search.trials.judging.Judge.stops", lambda *_: False)
    work(ledger, plan, n_workers=1, n_steps=4)
    ledger.interrupt("killed before the decision")
    monkeypatch.undo()
    ledger, study = new_ledger(plan, store, recorder)
    ledger.next_assignment()
    assert study.trials[0].state == TrialState.PRUNED
    assert study.trials[0].last_step == 4


def test_two_launches_at_a_time_propose_different_trials(
    plan_for: MakePlan, store: Store, recorder: Recorder
) -> None:
    plan = plan_for()
    ledgers = [new_ledger(plan, store, recorder)[0] for _ in range(2)]
    proposals = [
        assignment.runs[0][1].value("options.learning_rate")
        for ledger in ledgers
        if (assignment := ledger.next_assignment()) is not None
    ]
    assert len(set(proposals)) == 2


def test_launches_that_share_a_study_keep_its_budget_and_its_baselines(
    plan_for: MakePlan, store: Store
) -> None:
    baselines = [{"learning_rate": 0.01, "weight_decay": 0.01}]
    plan = plan_for(budget={"trials": 30}, baselines=baselines, training={"epochs": 1})
    ready = threading.Barrier(4)

    def launch() -> None:
        own = open_store(store.name)
        try:
            ready.wait()
            ledger, _ = new_ledger(plan, own, Recorder())
            work(ledger, plan)
        finally:
            own.close()

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(launch) for _ in range(4)]:
            done.result()
    study = open_study(plan, store)
    trials = study.get_trials()
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 30
    assert [trial.params for trial in trials if BASELINE in trial.user_attrs] == baselines
    assert reports_in_our_tables(store, study) == {number: [1] for number in range(30)}


def test_a_point_of_a_grid_has_one_trial_though_it_becomes_a_baseline(
    plan_for: MakePlan, store: Store, recorder: Recorder
) -> None:
    choices = {"type": "categorical", "choices": [1e-3, 1e-2]}
    grid: dict[str, Any] = {
        "parameters": {"learning_rate": choices, "weight_decay": choices},
        "sampler": {"name": "grid"},
        "budget": {"epochs": 999},
    }
    first = {"learning_rate": 1e-3, "weight_decay": 1e-2}
    plan = plan_for(**grid, baselines=[first])
    ledger, study = new_ledger(plan, store, recorder)
    work(ledger, plan, n_steps=12)  # Two of the four points.
    ledger.interrupt("the test stops it")
    later = dict(study.trials[1].params)
    plan = plan_for(**grid, baselines=[first, later])
    ledger, study = new_ledger(plan, store, recorder)
    work(ledger, plan)
    assert study.trials[0].params == first
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 4
    assert len({tuple(trial.params.values()) for trial in study.trials}) == 4
