"""No trial is trained that breaks a constraint, whoever proposed it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from optuna.trial import TrialState

from search.launch.__main__ import main as launch
from search.launch.plan import Plan
from space.errors import SearchError, SpaceError, UserError
from space.study.terms import Limits
from storage import Store
from storage.admin.check import check_store
from storage.tables.attributes import FAIL_REASON

from ..conftest import Recorder, new_ledger, search, work
from ..here import Here

MakePlan = Callable[..., Plan]
MOST_FAILURES = Limits().failures_in_a_row
RATE = {"type": "float", "low": 1e-4, "high": 1e-1, "log": True}
SIZE = {"type": "int", "low": 1, "high": 1000}
PRODUCT = "batch_size * learning_rate < 1"
PARAMETERS = {"learning_rate": RATE, "batch_size": SIZE}


@pytest.mark.parametrize("sampler", ["random", "tpe", "gp", "cmaes", "nsga2", "qmc"])
def test_what_a_sampler_proposes_keeps_the_constraints_and_no_trial_is_spent(
    plan_for: MakePlan, store: Store, sampler: str
) -> None:
    plan = plan_for(
        parameters=PARAMETERS,
        sampler={"name": sampler, "seed": 3},
        constraints=[PRODUCT, "batch_size > 100"],
        budget={"trials": 12},  # Ten at random, then two of its own.
    )
    trials = search(plan, store).trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 12
    for trial in trials:
        assert trial.params["batch_size"] * trial.params["learning_rate"] < 1
        assert trial.params["batch_size"] > 100


def test_without_the_constraint_the_same_search_trains_what_breaks_it(
    plan_for: MakePlan, store: Store
) -> None:
    trials = search(plan_for(parameters=PARAMETERS, budget={"trials": 20}), store).trials
    assert any(t.params["batch_size"] * t.params["learning_rate"] >= 1 for t in trials)


def test_a_space_without_a_point_to_train_ends_in_one_sentence(
    plan_for: MakePlan, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = {"time_limit": "1h"}
    with pytest.raises(SpaceError, match="it breaks the constraint batch_size > 1000"):
        plan_for(parameters=PARAMETERS, constraints=["batch_size > 1000"], budget=budget)
    # Those that are hard to find, and that none of the points tried at first is.
    monkeypatch.setattr("search.launch.plan._probe", lambda space, path: None)
    limits = {"failures_in_a_row": 2}
    plan = plan_for(
        parameters=PARAMETERS, constraints=["batch_size > 1000"], budget=budget, limits=limits
    )
    ledger, study = new_ledger(plan, store, Recorder())
    with pytest.raises(SearchError, match=r"2 trials in a row failed.*breaks the constraint"):
        work(ledger, plan)
    assert [trial.state for trial in study.trials] == [TrialState.FAIL] * 2
    assert store.runs() == []
    assert "batch_size > 1000 (batch_size " in study.trials[0].user_attrs[FAIL_REASON]


def test_points_of_a_grid_that_break_a_constraint_have_their_trials_and_are_no_failures_in_a_row(
    plan_for: MakePlan, store: Store
) -> None:
    plan = plan_for(
        parameters={"batch_size": {"type": "int", "low": 1, "high": 60}},
        sampler={"name": "grid"},
        constraints=["batch_size > 58"],
        budget={"trials": 100},
    )
    trials = search(plan, store).trials
    assert len(trials) == 60
    trained = {t.params["batch_size"] for t in trials if t.state == TrialState.COMPLETE}
    assert trained == {59, 60}
    assert len(store.runs()) == 2
    assert check_store(store).findings == []


def test_a_finite_space_ends_with_its_last_point(plan_for: MakePlan, store: Store) -> None:
    plan = plan_for(
        parameters={"batch_size": {"type": "int", "low": 1, "high": 20}},
        constraints=["batch_size > 15"],
        budget={"trials": 20},
    )
    states = [trial.state for trial in search(plan, store).trials]
    assert states == [TrialState.COMPLETE] * 5 + [TrialState.FAIL] * 15


def test_what_a_person_queues_against_a_constraint_fails_with_its_reason(
    plan_for: MakePlan, store: Store
) -> None:
    plan = plan_for(parameters=PARAMETERS, constraints=[PRODUCT], budget={"trials": 3})
    ledger, study = new_ledger(plan, store, Recorder())
    study.enqueue_trial({"learning_rate": 0.1, "batch_size": 1000})
    work(ledger, plan)
    first, *others = study.trials
    assert first.state == TrialState.FAIL
    assert first.user_attrs[FAIL_REASON] == (
        f"it breaks the constraint {PRODUCT} (batch_size 1000, learning_rate 0.1)"
    )
    assert [trial.state for trial in others] == [TrialState.COMPLETE] * 2


def test_a_trial_that_a_kill_left_before_it_was_refused_is_refused_by_the_next_launch(
    plan_for: MakePlan, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its parameters are stored, its end is not; the next launch has the store alone."""

    class Killed(BaseException):
        pass

    def killed(*_: Any) -> None:
        raise Killed

    plan = plan_for(parameters=PARAMETERS, constraints=[PRODUCT], budget={"trials": 2})
    ledger, study = new_ledger(plan, store, Recorder())
    study.enqueue_trial({"learning_rate": 0.1, "batch_size": 1000})
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "_refuse", killed)
        with pytest.raises(Killed):
            ledger.next_assignment()
    assert study.trials[0].state == TrialState.RUNNING
    store.end_launch(1, "interrupted")
    later, _ = new_ledger(plan, store, Recorder())
    work(later, plan)
    assert [trial.state for trial in study.trials] == [TrialState.FAIL, TrialState.COMPLETE]
    assert PRODUCT in study.trials[0].user_attrs[FAIL_REASON]


def test_a_baseline_that_breaks_a_constraint_is_refused_before_anything_starts(
    plan_for: MakePlan, store: Store, here: Here, tmp_path: Any
) -> None:
    changes = {
        "parameters": PARAMETERS,
        "constraints": [PRODUCT],
        "baselines": [{"learning_rate": 0.1, "batch_size": 900}],
    }
    sentence = r"space\.yaml: baselines\.0: with .*: it breaks the constraint"
    with pytest.raises(SpaceError, match=sentence):
        plan_for(**changes)
    with pytest.raises(UserError, match=sentence):
        launch(["--space", str(tmp_path / "space.yaml"), "--storage", str(store.url.database)])
    assert store.launches() == []
    assert here.n_epochs == 0
