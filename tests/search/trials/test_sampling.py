"""Samplers and pruners mean what the space file says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from search.launch.plan import Plan
from search.trials.sampling import make_pruner, make_sampler, propose

MakePlan = Callable[..., Plan]
PARAMETERS = {
    "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
    "aux_weight": {"type": "float", "low": 0.0, "high": 0.9, "step": 0.1},
    "batch_size": {"type": "int", "low": 10, "high": 50, "step": 20},
    "learning_rate_decay": {"type": "categorical", "choices": [0.9, 1.0]},
}
SAMPLERS = ["tpe", "random", "qmc", "cmaes", "gp", "nsga2"]


def proposals(plan: Plan, n: int, n_existing_trials: int = 0) -> list[dict[str, Any]]:
    study = optuna.create_study(
        sampler=make_sampler(plan.space, n_existing_trials=n_existing_trials)
    )
    found = []
    for index in range(n):
        trial = study.ask()
        found.append(propose(trial, plan.space))
        study.tell(trial, float(index % 3))
    return found


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_stays_in_the_space_and_repeats_with_its_seed(
    plan_for: MakePlan, name: str
) -> None:
    plan = plan_for(parameters=PARAMETERS, sampler={"name": name, "seed": 1})
    found = proposals(plan, 12)
    for params in found:
        assert list(params) == list(PARAMETERS)
        for parameter, value in params.items():
            assert plan.space.parameters[parameter].contains(value)
    assert proposals(plan, 12) == found
    other = plan_for(parameters=PARAMETERS, sampler={"name": name, "seed": 2})
    assert proposals(other, 12) != found


@pytest.mark.parametrize("name", ["tpe", "random", "cmaes", "gp", "nsga2"])
def test_a_relaunched_search_does_not_repeat_its_first_proposals(
    plan_for: MakePlan, name: str
) -> None:
    plan = plan_for(parameters=PARAMETERS, sampler={"name": name, "seed": 1})
    first = proposals(plan, 5)
    assert not [params for params in proposals(plan, 5, n_existing_trials=5) if params in first]


def test_qmc_keeps_its_place_in_one_sequence(plan_for: MakePlan) -> None:
    plan = plan_for(parameters=PARAMETERS, sampler={"name": "qmc", "seed": 1})
    whole = proposals(plan, 8)
    study = optuna.create_study(sampler=make_sampler(plan.space, n_existing_trials=0))
    pieces = []
    for index in range(8):
        study.sampler = make_sampler(plan.space, n_existing_trials=index)
        trial = study.ask()
        pieces.append(propose(trial, plan.space))
        study.tell(trial, float(index % 3))
    assert pieces == whole


def test_grid_visits_every_point_once_and_ends(plan_for: MakePlan) -> None:
    grid = {name: PARAMETERS[name] for name in ("aux_weight", "learning_rate_decay")}
    plan = plan_for(parameters=grid, sampler={"name": "grid"}, budget={"time_limit": "1h"})
    assert plan.space.max_trials == 20
    found = proposals(plan, 20)
    assert len({tuple(params.values()) for params in found}) == 20


def grid_plan(plan_for: MakePlan, *baselines: dict[str, Any]) -> Plan:
    grid = {name: PARAMETERS[name] for name in ("aux_weight", "learning_rate_decay")}
    return plan_for(
        parameters=grid,
        sampler={"name": "grid"},
        budget={"time_limit": "1h"},
        baselines=list(baselines),
    )


def test_a_baseline_of_a_grid_is_one_of_its_points(plan_for: MakePlan) -> None:
    baselines = [
        {"aux_weight": 0.1 * 6, "learning_rate_decay": 1.0},
        {"aux_weight": 0.0, "learning_rate_decay": 0.9},
    ]
    plan = grid_plan(plan_for, *baselines)
    assert plan.space.max_trials == 20
    study = optuna.create_study(sampler=make_sampler(plan.space, n_existing_trials=0))
    for params in plan.space.baseline_params():
        study.enqueue_trial(params)
    found = []
    for _ in range(20):
        trial = study.ask()
        params = propose(trial, plan.space)
        found.append((round(params["aux_weight"], 6), params["learning_rate_decay"]))
        study.tell(trial, 0.5)
    assert found[:2] == [(0.6, 1.0), (0.0, 0.9)]
    assert len(set(found)) == 20


def test_launches_that_ask_at_once_share_a_grid_out(plan_for: MakePlan) -> None:
    plan = grid_plan(plan_for)
    study = optuna.create_study(sampler=make_sampler(plan.space, n_existing_trials=0))
    found = [propose(study.ask(), plan.space)]
    # Another launch has its trial's number and not yet its point.
    begun = study._storage.create_new_trial(study._study_id)
    found += [propose(study.ask(), plan.space) for _ in range(2)]
    study.sampler.before_trial(study, study._storage.get_trial(begun))
    found.append(propose(optuna.Trial(study, begun), plan.space))
    found += [propose(study.ask(), plan.space) for _ in range(16)]
    assert len({tuple(params.values()) for params in found}) == 20


def test_a_grid_goes_on_with_what_was_tried_whatever_the_order_was(plan_for: MakePlan) -> None:
    plan = grid_plan(plan_for)
    study = optuna.create_study(sampler=make_sampler(plan.space, n_existing_trials=0))
    found = []
    for index in range(20):
        if index == 8:
            other = plan.space.model_copy(
                update={"sampler": plan.space.sampler.model_copy(update={"seed": 5})}
            )
            study.sampler = make_sampler(other, n_existing_trials=8)
        trial = study.ask()
        found.append(tuple(propose(trial, plan.space).values()))
        study.tell(trial, 0.5)
    assert len(set(found)) == 20


def prunes(plan: Plan, curves: list[list[float]]) -> list[int | None]:
    """The epoch at which each curve, one after the other, is pruned."""
    study = optuna.create_study(pruner=make_pruner(plan.space))
    found: list[int | None] = []
    for curve in curves:
        trial = study.ask()
        for epoch, value in enumerate(curve, start=1):
            trial.report(value, epoch)
            if epoch < len(curve) and trial.should_prune():
                study.tell(trial, state=TrialState.PRUNED)
                found.append(epoch)
                break
        else:
            study.tell(trial, curve[-1])
            found.append(None)
    return found


GOOD, BAD = [0.1] * 9, [0.5 + epoch / 100 for epoch in range(9)]


@pytest.mark.parametrize(
    ("pruner", "expected"),
    [
        ({"name": "none"}, [None, None]),
        ({"name": "asha", "min_resource": 1, "reduction_factor": 3}, [None, 1]),
        ({"name": "asha", "min_resource": 2, "reduction_factor": 3}, [None, 2]),
        ({"name": "asha", "min_resource": 2, "max_resource": 2}, [None, None]),
        ({"name": "asha", "min_early_stopping_rate": 1}, [None, 3]),
        ({"name": "median", "n_startup_trials": 1, "n_warmup_steps": 4}, [None, 4]),
        ({"name": "percentile", "percentile": 50, "n_startup_trials": 1}, [None, 1]),
        ({"name": "threshold", "upper": 0.3, "n_warmup_steps": 2}, [None, 2]),
        (
            {"name": "patient", "patience": 2, "pruner": {"name": "threshold", "upper": 0.3}},
            [None, 4],
        ),
    ],
)
def test_pruners_decide_where_the_file_says(
    plan_for: MakePlan, pruner: dict[str, Any], expected: list[int | None]
) -> None:
    assert prunes(plan_for(pruner=pruner), [GOOD, BAD]) == expected


def test_hyperband_prunes_before_its_highest_resource_only(plan_for: MakePlan) -> None:
    plan = plan_for(pruner={"name": "hyperband", "max_resource": 3})
    epochs = prunes(plan, [[0.1 + index / 100] * 9 for index in range(30)])
    assert set(epochs) == {None, 1}
