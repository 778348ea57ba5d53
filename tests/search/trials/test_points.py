"""One point has one spelling, and no point is trained twice for nothing."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import optuna
import pytest
import sqlalchemy as sa
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from search.export.selection import choose
from search.launch.confirm import candidates
from search.launch.plan import Plan
from search.trials.feasible import resolved
from search.trials.proposals import MOST_REPEATS, Tried
from space import Space
from storage import Store, open_store
from storage.tables.attributes import BASELINE, FAIL_REASON
from tests.search.conftest import open_study, opened
from trainables.shipped.digit_pairs.config import DigitPairsConfig

from ..conftest import SPACE, Recorder, new_ledger, work

MakePlan = Callable[..., Plan]
STEPS = {"type": "float", "low": 0.1, "high": 0.9, "step": 0.1}
RAW = 0.1 + 0.1 * 6  # 0.7000000000000001
SAMPLERS = ["tpe", "random", "qmc", "cmaes", "gp", "nsga2", "grid"]


def run(plan: Plan, store: Store, *queued: dict[str, Any]) -> optuna.Study:
    ledger, study = new_ledger(plan, store, Recorder())
    for params in queued:
        study.enqueue_trial(params)
    work(ledger, plan, n_workers=1)
    return study


def written(store: Store) -> list[float]:
    """What Optuna's table itself has."""
    with store.engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT param_value FROM trial_params")).scalars()
        return [float(value) for value in rows]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_proposals_are_spelled_as_the_points_everywhere(
    plan_for: MakePlan, store: Store, caplog: pytest.LogCaptureFixture, sampler: str
) -> None:
    plan = plan_for(
        parameters={"aux_weight": STEPS}, sampler={"name": sampler}, budget={"trials": 9}
    )
    study = run(plan, store)
    assert "could not" not in caplog.text
    points = plan.space.parameters["aux_weight"].points()
    assert sorted(trial.params["aux_weight"] for trial in study.trials) == points
    assert sorted(written(store)) == points
    configs = [each.config["options"]["aux_weight"] for each in store.runs(study._study_id)]
    assert sorted(configs) == points


def test_queued_values_and_baselines_are_spelled_as_the_points(
    plan_for: MakePlan, store: Store
) -> None:
    parameters = {"aux_weight": STEPS, "learning_rate": SPACE["parameters"]["learning_rate"]}
    baseline = {"aux_weight": 0.30000000000000004, "learning_rate": 0.01}
    plan = plan_for(parameters=parameters, baselines=[baseline], budget={"trials": 3})
    study = run(plan, store, {"aux_weight": RAW})
    assert [trial.params["aux_weight"] for trial in study.trials[:2]] == [0.3, 0.7]
    assert {0.3, 0.7} < set(written(store))
    hashes = [each.config_hash for each in store.runs(study._study_id)]
    assert hashes[0] == resolved(plan.space, {**baseline, "aux_weight": 0.3}).config_hash()


def old_trial(value: float, **attributes: Any) -> optuna.trial.FrozenTrial:
    """A trial as an older release stored it."""
    return create_trial(
        value=value,
        params={"aux_weight": RAW},
        distributions={"aux_weight": FloatDistribution(0.1, 0.9, step=0.1)},
        user_attrs=attributes,
    )


def test_old_spellings_are_read_as_the_same_point(
    plan_for: MakePlan, store: Store, store_url: str
) -> None:
    plan = plan_for(
        parameters={"aux_weight": STEPS},
        sampler={"name": "grid"},
        budget={"trials": 9},
        confirm={"top": 9},
    )
    study = open_study(plan, store)
    study.add_trial(old_trial(0.1, **{BASELINE: {"aux_weight": RAW}}))
    study.add_trial(old_trial(0.2))
    store = open_store(store_url)  # It reads what is written.
    work(new_ledger(plan, store, Recorder())[0], plan)
    study = open_study(plan, store)
    found = [trial.params["aux_weight"] for trial in study.get_trials()]
    assert found[:2] == [0.7, 0.7]
    assert len(found) == 9
    assert len(set(found)) == 8
    best = candidates(opened(plan, store)).trials
    assert len({trial.params["aux_weight"] for trial in best}) == len(best)
    chosen = [choice.trial.params["aux_weight"] for choice in choose(store, study, top=9)]
    assert len(set(chosen)) == len(chosen)
    # The baseline is there already, however the file writes it.
    again = plan_for(
        parameters={"aux_weight": STEPS}, baselines=[{"aux_weight": 0.7}], budget={"trials": 9}
    )
    n_before = len(study.get_trials())
    assert len(open_study(again, store).get_trials()) == n_before
    store.close()


def test_a_run_that_was_begun_with_another_spelling_goes_on(
    plan_for: MakePlan, store: Store
) -> None:
    plan = plan_for(parameters={"aux_weight": STEPS}, budget={"trials": 1})
    ledger, study = new_ledger(plan, store, Recorder())
    study.enqueue_trial({"aux_weight": 0.7})
    work(ledger, plan, n_workers=1, n_steps=4)
    ledger.interrupt("the test")
    (begun,) = store.runs(study._study_id)
    config = json.loads(json.dumps(begun.config))
    config["options"]["aux_weight"] = RAW
    old = resolved(plan.space, {"aux_weight": RAW})
    assert old.config_hash() != resolved(plan.space, {"aux_weight": 0.7}).config_hash()
    with store.engine.begin() as connection:
        connection.execute(
            sa.text("UPDATE search_runs SET config = :config, config_hash = :hash"),
            {"config": json.dumps(config), "hash": old.config_hash()},
        )
        connection.execute(sa.text("UPDATE trial_params SET param_value = :value"), {"value": RAW})
    ledger, study = new_ledger(plan, store, Recorder())
    assignment = ledger.next_assignment()
    assert assignment is not None
    ((goes_on, its_config),) = assignment.runs
    assert (goes_on.run_id, goes_on.n_epochs) == (begun.run_id, 4)
    assert its_config.value("options.aux_weight") == RAW


def test_a_run_that_was_begun_under_another_protocol_does_not_go_on(
    plan_for: MakePlan, store: Store
) -> None:
    data = {"source": "digits", "n_train_pairs": 40}
    plan = plan_for(model={"name": "mlp", "width": 2}, data=data, budget={"trials": 1})
    ledger, study = new_ledger(plan, store, Recorder())
    work(ledger, plan, n_workers=1, n_steps=1)
    ledger.interrupt("the test")
    (begun,) = store.runs(study._study_id)
    old = DigitPairsConfig.model_validate(begun.config).with_values({"training.protocol": 1})
    with store.engine.begin() as connection:
        connection.execute(
            sa.text("UPDATE search_runs SET config = :config, config_hash = :hash"),
            {"config": old.model_dump_json(), "hash": old.config_hash()},
        )
    ledger, study = new_ledger(plan, store, Recorder())
    assert ledger.next_assignment() is None
    (trial,) = study.trials
    assert trial.state == TrialState.FAIL
    assert trial.user_attrs[FAIL_REASON] == (
        "it was begun under another protocol of training than today's"
    )


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name != "cmaes"])
@pytest.mark.parametrize("budget", [{"trials": 30}, {"time_limit": "1h"}])
def test_a_space_of_four_points_ends_with_four_trials_and_says_so(
    plan_for: MakePlan,
    store: Store,
    caplog: pytest.LogCaptureFixture,
    sampler: str,
    budget: dict[str, Any],
) -> None:
    """Two of the points cannot be trained to their end."""
    choices = {"type": "categorical", "choices": [0.001, 0.01]}
    failing = {"type": "categorical", "choices": [0, 3]}
    plan = plan_for(
        parameters={"learning_rate": choices, "nan_at": failing},
        sampler={"name": sampler},
        budget=budget,
    )
    with caplog.at_level(logging.WARNING):
        study = run(plan, store)
    assert len(study.trials) == 4
    assert len({json.dumps(trial.params) for trial in study.trials}) == 4
    if sampler != "grid" or "trials" in budget:
        assert caplog.text.count("every point of the space has its trial") <= 1
    if sampler != "grid":
        assert "every point of the space has its trial" in caplog.text


def test_a_point_that_is_being_trained_is_not_proposed_again(
    plan_for: MakePlan, store: Store
) -> None:
    plan = plan_for(
        parameters={"learning_rate": {"type": "categorical", "choices": [0.001, 0.01, 0.1]}},
        replicates=2,
        budget={"trials": 9},
    )
    ledger, study = new_ledger(plan, store, Recorder())
    found = [ledger.next_assignment() for _ in range(4)]
    assert [each is not None for each in found] == [True, True, True, False]
    assert len({trial.params["learning_rate"] for trial in study.trials}) == 3


def test_a_sampler_that_repeats_itself_is_asked_anew_and_then_a_point_is_drawn(
    plan_for: MakePlan, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def always(study: Any, trial: Any, name: str, distribution: Any) -> float:
        asked.append(trial.number)
        return 0.01

    plan = plan_for(budget={"trials": 3}, sampler={"name": "random"})
    ledger, study = new_ledger(plan, store, Recorder())
    monkeypatch.setattr(study.sampler._sampler, "sample_independent", always)
    work(ledger, plan, n_workers=1)
    assert study.trials[0].params == {"learning_rate": 0.01, "weight_decay": 0.01}
    assert len({json.dumps(trial.params) for trial in study.trials}) == 3
    n_parameters = 2
    assert asked.count(0) == n_parameters
    assert asked.count(1) == n_parameters * (1 + MOST_REPEATS)


def test_what_a_person_queues_is_trained_also_a_second_time(
    plan_for: MakePlan, store: Store
) -> None:
    point = {"learning_rate": 0.01, "weight_decay": 0.01}
    study = run(plan_for(budget={"trials": 2}), store, point, point)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 2
    assert study.trials[0].values == study.trials[1].values


def test_points_of_a_space_with_conditions(plan_for: MakePlan) -> None:
    space: Space = plan_for(
        parameters={
            "augment": {"type": "categorical", "choices": [True, False]},
            "batch_size": {"type": "int", "low": 1, "high": 4, "log": True},
            "weight_decay": {
                "type": "float",
                "low": 0.0,
                "high": 0.2,
                "step": 0.1,
                "when": {"parameter": "augment", "in": [True]},
            },
        }
    ).space
    points = space.points(100)
    assert points is not None
    assert len(points) == 4 * (3 + 1)
    assert space.points(15) is None
    tried = Tried(space)
    assert tried.left() == points
    assert not tried.holds(points[0])
