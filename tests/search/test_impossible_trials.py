"""What one trial brings that cannot become a run is its own end, never the launch's."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from search.launch.plan import Plan
from search.trials.ledger import MOST_FAILURES
from space.errors import SearchError, SpaceError
from storage import Store
from storage.tables.attributes import FAIL_REASON

from .conftest import SPACE, Recorder, new_ledger, work

MakePlan = Callable[..., Plan]
RATE = SPACE["parameters"]["learning_rate"]
SOMETIMES = {"learning_rate": RATE, "options.nan_at": {"type": "int", "low": -9, "high": 0}}
"""The closed form takes no negative epoch."""


def searched(plan: Plan, store: Store, *queued: dict[str, Any]) -> list[optuna.trial.FrozenTrial]:
    """The trials of a whole search, before which another tool put some into the queue."""
    ledger, study = new_ledger(plan, store, Recorder())
    for params in queued:
        study.enqueue_trial(params)
    work(ledger, plan)
    return study.get_trials()


def test_a_proposal_that_cannot_be_trained_fails_and_the_search_goes_on(
    plan_for: MakePlan, store: Store
) -> None:
    trials = searched(plan_for(parameters=SOMETIMES, budget={"trials": 20}), store)
    failed = [trial for trial in trials if trial.state == TrialState.FAIL]
    assert {trial.state for trial in trials} == {TrialState.COMPLETE, TrialState.FAIL}
    assert len(trials) == 20
    for trial in failed:
        assert trial.params["options.nan_at"] < 0
        assert "options.nan_at" in trial.user_attrs[FAIL_REASON]


@pytest.mark.parametrize(
    ("queued", "reason"),
    [
        ({"learning_rate": 1.0}, "learning_rate 1; expected a number from 0.0001 to 0.1"),
        ({"learning_rate": float("nan")}, "learning_rate nan"),
        ({"learning_rate": "fast"}, "learning_rate 'fast'"),
        ({"learning_rate": [0.001]}, "learning_rate a list"),
        ({"learning_rate": None}, "learning_rate null"),
        ({"learning_rate": True}, "learning_rate true"),
        ({"learning_rat": 0.001}, "did you mean 'learning_rate'"),
        ({"options.nan_at": 1.5}, "options.nan_at 1.5"),
        ({"options.nan_at": -3}, "model.options.nan_at"),
    ],
)
def test_a_queued_trial_that_cannot_become_a_run_fails_with_its_reason(
    plan_for: MakePlan, store: Store, queued: dict[str, Any], reason: str
) -> None:
    never = {**SOMETIMES["options.nan_at"], "high": 9}
    plan = plan_for(
        parameters={"learning_rate": RATE, "options.nan_at": never}, budget={"trials": 3}
    )
    first, *others = searched(plan, store, queued)
    assert first.state == TrialState.FAIL
    assert reason in first.user_attrs[FAIL_REASON]
    assert len(others) == 2


def test_a_queued_trial_is_read_as_the_space_spells_it_and_completed(
    plan_for: MakePlan, store: Store
) -> None:
    parameters = {"learning_rate": RATE, "batch_size": {"type": "int", "low": 10, "high": 50}}
    plan = plan_for(parameters=parameters, budget={"trials": 2})
    first, empty = searched(plan, store, {"batch_size": 32.0}, {})
    assert first.state == empty.state == TrialState.COMPLETE
    assert first.params["batch_size"] == 32
    config = store.runs(store.study_id("closed"))[0].config
    assert repr(config["training"]["batch_size"]) == "32"
    assert set(first.params) == set(empty.params) == set(parameters)


def test_a_queued_trial_with_another_distribution_blocks_nothing(
    plan_for: MakePlan, store: Store
) -> None:
    plan = plan_for(budget={"trials": 3})
    ledger, study = new_ledger(plan, store, Recorder())
    study.add_trial(
        create_trial(
            state=TrialState.WAITING,
            params={"learning_rate": 0.01, "weight_decay": 0.01},
            distributions={
                "learning_rate": FloatDistribution(0, 1),
                "weight_decay": FloatDistribution(1e-6, 1e-1, log=True),
            },
        )
    )
    work(ledger, plan)
    states = [trial.state for trial in study.get_trials()]
    assert states == [TrialState.COMPLETE] * 3
    assert study.trials[0].params["learning_rate"] == 0.01


@pytest.mark.parametrize("sampler", ["random", "tpe", "gp", "cmaes", "nsga2", "qmc"])
def test_a_study_with_trials_of_another_tool_is_searched_on(
    plan_for: MakePlan, store: Store, sampler: str
) -> None:
    foreign = optuna.create_study(study_name="closed", storage=store.optuna_storage)
    foreign.add_trial(
        create_trial(
            value=0.5,
            params={"learning_rate": 1},
            distributions={"learning_rate": IntDistribution(1, 5)},
        )
    )
    plan = plan_for(sampler={"name": sampler}, budget={"trials": 14})
    trials = searched(plan, store)
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 14


@pytest.mark.parametrize(("low", "reason"), [(-9, "options.nan_at"), (1, "the loss is not finite")])
def test_a_search_of_which_every_trial_fails_stops_and_says_so(
    plan_for: MakePlan, store: Store, monkeypatch: pytest.MonkeyPatch, low: int, reason: str
) -> None:
    """Whether no trial can become a run, or every worker fails."""
    monkeypatch.setattr("search.launch.plan._probe", lambda plan, path: None)
    broken = {"type": "int", "low": low, "high": low + 8}
    plan = plan_for(
        parameters={"learning_rate": RATE, "options.nan_at": broken}, budget={"time_limit": "1h"}
    )
    for _ in range(2):  # Nothing is blocked for good: the next launch tries as many.
        ledger, study = new_ledger(plan, store, Recorder())
        with pytest.raises(SearchError, match=f"{MOST_FAILURES} trials in a row.*{reason}"):
            work(ledger, plan, n_workers=1)
    assert [trial.state for trial in study.trials] == [TrialState.FAIL] * 2 * MOST_FAILURES


def test_a_success_ends_a_row_of_failures(
    plan_for: MakePlan, store: Store, recorder: Recorder
) -> None:
    plan = plan_for(parameters=SOMETIMES, budget={"trials": 3 * MOST_FAILURES})
    trials = searched(plan, store)
    assert sum(trial.state == TrialState.FAIL for trial in trials) > MOST_FAILURES
    assert len(trials) == 3 * MOST_FAILURES


def test_points_that_cannot_be_trained_are_announced_before_any_trial(
    plan_for: MakePlan, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        plan = plan_for(parameters=SOMETIMES)
    assert "of 64 random points" in caplog.text
    assert "options.nan_at=-" in caplog.text
    assert plan.examples()
    assert all(config.model.options["nan_at"] == 0 for config in plan.examples())
    with pytest.raises(SpaceError, match=r"space\.yaml: with .*options\.nan_at=-"):
        plan_for(parameters={**SOMETIMES, "options.nan_at": {"type": "int", "low": -9, "high": -1}})
    with pytest.raises(SpaceError, match=r"baselines\.1: with .*options\.nan_at=-1"):
        plan_for(
            parameters=SOMETIMES,
            baselines=[{"options.nan_at": nan_at} for nan_at in (0, -1)],
            training={"epochs": 9, "learning_rate": 0.01},
        )
