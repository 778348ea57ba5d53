"""What one trial brings that cannot become a run is its own end, never the launch's."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from search.export.write import export_study
from search.launch.confirm import candidates, confirm_queue
from search.launch.plan import Plan
from search.launch.result import read_result
from search.launch.study import Outcome, _is_done
from search.runs.lease import sweep_checkpoints
from search.trials.study import examples
from space.errors import SearchError, SpaceError, UsageError
from space.study.queued import read_values
from space.study.terms import Limits
from storage import Store
from storage.admin.check import check_store
from storage.tables.attributes import BASELINE, FAIL_REASON
from tests.search.conftest import opened
from trainables.shipped.digit_pairs.config import DigitPairsConfig

from ..conftest import SPACE, Recorder, best_first, confirm, new_ledger, search, work

MakePlan = Callable[..., Plan]
MOST_FAILURES = Limits().failures_in_a_row
RATE = SPACE["parameters"]["learning_rate"]
SOMETIMES = {"learning_rate": RATE, "nan_at": {"type": "int", "low": -9, "high": 0}}
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
        assert trial.params["nan_at"] < 0
        assert "nan_at" in trial.user_attrs[FAIL_REASON]


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
        ({"nan_at": 1.5}, "nan_at 1.5"),
        ({"nan_at": -3}, "options.nan_at"),
    ],
)
def test_a_queued_trial_that_cannot_become_a_run_fails_with_its_reason(
    plan_for: MakePlan, store: Store, queued: dict[str, Any], reason: str
) -> None:
    never = {**SOMETIMES["nan_at"], "high": 9}
    plan = plan_for(parameters={"learning_rate": RATE, "nan_at": never}, budget={"trials": 3})
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
    assert repr(config["options"]["batch_size"]) == "32"
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


LATE = {"learning_rate": RATE, "nan_at": {"type": "int", "low": 50, "high": 60}}
FOREIGN = [
    ({"other": 1}, {"other": IntDistribution(1, 5)}, "parameter 'other' is not searched"),
    ({"nan_at": -3}, {"nan_at": IntDistribution(-9, 9)}, "options.nan_at"),
]
"""Parameters, their distributions and why no run can be trained with them."""


@pytest.mark.parametrize(("params", "distributions", "reason"), FOREIGN)
def test_a_good_trial_of_another_tool_that_cannot_be_trained_blocks_no_confirmation(
    plan_for: MakePlan,
    store: Store,
    caplog: pytest.LogCaptureFixture,
    params: dict[str, Any],
    distributions: dict[str, BaseDistribution],
    reason: str,
) -> None:
    plan = plan_for(parameters=LATE, confirm={"top": 2, "seeds": 2})
    study = search(plan, store)
    best = best_first(study)
    for place, attributes in enumerate(({}, {BASELINE: {}})):
        value = -1.0 if place == 0 else 1e9
        study.add_trial(
            create_trial(
                value=value, params=params, distributions=distributions, user_attrs=attributes
            )
        )
    found = candidates(opened(plan, store))
    assert [trial.number for trial in found.trials] == best[:2]
    assert list(found.skipped) == [12, 13]
    assert all(reason in said for said in found.skipped.values())
    assert len(confirm_queue(opened(plan, store))) == 4
    assert not _is_done(opened(plan, store))
    for number in best[:2]:
        confirm(plan, store, study, number, [0.1, 0.2])
    assert _is_done(opened(plan, store))
    outcome = Outcome(status="done", launch_id=1, n_interrupted=0, seconds=1.0)
    with caplog.at_level(logging.WARNING):
        assert read_result(opened(plan, store), plan, outcome).confirmation is not None
    (said,) = [each for each in caplog.messages if "not confirmed" in each]
    assert f"trial 12 ({reason}" in said
    assert said.endswith(" and 1 other trial")
    with pytest.raises(UsageError, match=r"trial 12 was not trained by search\.launch"):
        export_study(store, "closed", number=12, rerun="again")


def test_a_front_without_the_trials_that_cannot_be_trained_is_confirmed(
    plan_for: MakePlan, store: Store
) -> None:
    objective = [{"metric": "val_error"}, {"metric": "train_loss", "direction": "maximize"}]
    plan = plan_for(objective=objective, confirm={"top": 3, "seeds": 2})
    study = search(plan, store)
    front = {trial.number for trial in study.best_trials}
    params, distributions, _ = FOREIGN[0]
    study.add_trial(create_trial(values=[-1, 9], params=params, distributions=distributions))
    assert [trial.number for trial in study.best_trials] == [12]
    found = candidates(opened(plan, store))
    numbers = [number for number in best_first(study) if number in front]
    assert [trial.number for trial in found.trials] == numbers[:3]
    assert list(found.skipped) == [12]


@pytest.mark.parametrize(("low", "reason"), [(-9, "nan_at"), (1, "the loss is not finite")])
def test_a_search_of_which_every_trial_fails_stops_and_says_so(
    plan_for: MakePlan, store: Store, monkeypatch: pytest.MonkeyPatch, low: int, reason: str
) -> None:
    """Whether no trial can become a run, or every worker fails."""
    monkeypatch.setattr("search.launch.plan._probe", lambda plan, path: None)
    broken = {"type": "int", "low": low, "high": low + 8}
    plan = plan_for(
        parameters={"learning_rate": RATE, "nan_at": broken}, budget={"time_limit": "1h"}
    )
    for _ in range(2):  # Nothing is blocked for good: the next launch tries as many.
        ledger, study = new_ledger(plan, store, Recorder())
        with pytest.raises(SearchError, match=f"{MOST_FAILURES} trials in a row.*{reason}"):
            work(ledger, plan, n_workers=1)
    assert [trial.state for trial in study.trials] == [TrialState.FAIL] * 2 * MOST_FAILURES


def test_a_space_says_how_many_failures_in_a_row_end_a_search(
    plan_for: MakePlan, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.launch.plan._probe", lambda plan, path: None)
    never = {"learning_rate": RATE, "nan_at": {"type": "int", "low": -9, "high": -1}}
    plan = plan_for(parameters=never, budget={"time_limit": "1h"}, limits={"failures_in_a_row": 2})
    ledger, study = new_ledger(plan, store, Recorder())
    with pytest.raises(SearchError, match="'closed': 2 trials in a row failed"):
        work(ledger, plan, n_workers=1)
    assert [trial.state for trial in study.trials] == [TrialState.FAIL] * 2


def test_a_success_ends_a_row_of_failures(
    plan_for: MakePlan, store: Store, recorder: Recorder
) -> None:
    plan = plan_for(parameters=SOMETIMES, budget={"trials": 3 * MOST_FAILURES})
    trials = searched(plan, store)
    assert sum(trial.state == TrialState.FAIL for trial in trials) > MOST_FAILURES
    assert len(trials) == 3 * MOST_FAILURES


@pytest.mark.parametrize("replicates", [1, 3])
def test_an_interrupted_trial_that_cannot_become_a_run_again_ends_with_its_runs(
    plan_for: MakePlan, store: Store, monkeypatch: pytest.MonkeyPatch, replicates: int
) -> None:
    plan = plan_for(replicates=replicates, budget={"trials": 3})
    ledger, _ = new_ledger(plan, store, Recorder())
    work(ledger, plan, n_steps=2)
    ledger.interrupt("stopped")
    store.end_launch(1, "interrupted")
    checkpoints = [plan.place.files(run.uid).checkpoint for run in store.runs()]
    assert len(checkpoints) == 2 * replicates
    for path in checkpoints:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"of its second epoch")

    def impossible(params: dict[str, Any]) -> DigitPairsConfig:
        raise SpaceError("its data set is not there any more")

    recorder = Recorder()
    ledger, study = new_ledger(plan, store, recorder)
    monkeypatch.setattr(ledger, "_opened", replace(ledger._opened, resolve=impossible))
    assert ledger.next_assignment() is None
    ledger.interrupt("done")
    store.end_launch(2, "done")
    assert [trial.state for trial in study.trials] == [TrialState.FAIL] * 3
    assert [each for each in recorder.events if each[1] == 0] == [("start", 0), ("FAIL", 0)]
    ended = {(run.state, run.reason) for run in store.runs()}
    assert ended == {("failed", "its data set is not there any more")}
    sweep_checkpoints(plan.place.checkpoints, store, study._study_id)
    assert not any(path.exists() for path in checkpoints)
    assert check_store(store).findings == []


def test_points_that_cannot_be_trained_are_announced_before_any_trial(
    plan_for: MakePlan, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        plan = plan_for(parameters=SOMETIMES)
    assert "of 64 random points" in caplog.text
    assert "nan_at=-" in caplog.text
    found = examples(plan.space)
    assert found
    assert all(config.value("options.nan_at") == 0 for config in found)
    with pytest.raises(SpaceError, match=r"space\.yaml: with .*nan_at=-"):
        plan_for(parameters={**SOMETIMES, "nan_at": {"type": "int", "low": -9, "high": -1}})
    with pytest.raises(SpaceError, match=r"baselines\.1: with .*nan_at=-1"):
        plan_for(
            parameters=SOMETIMES,
            baselines=[{"nan_at": nan_at} for nan_at in (0, -1)],
            options={"learning_rate": 0.01},
        )


@pytest.mark.parametrize("texts", [{"learning_rate": "1.5"}, {"learning_rat": "0.001"}])
def test_what_is_refused_is_not_said_to_be_queued(
    plan_for: MakePlan, texts: dict[str, str]
) -> None:
    with pytest.raises(SpaceError) as refused:
        read_values(texts, plan_for().space.parameters)
    assert "queued" not in str(refused.value)
