"""A baseline is a reference: the pruner judges it like any other trial, but does not stop it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from optuna.trial import FrozenTrial, TrialState

from search.launch.plan import Plan
from storage import Store
from storage.tables.attributes import BASELINE, SPARED

from ..conftest import ASHA, Recorder, new_ledger, work

MakePlan = Callable[..., Plan]
BASELINES = [
    {"learning_rate": 3e-3, "weight_decay": 1e-4},  # About the best there is,
    {"learning_rate": 1e-4, "weight_decay": 1e-1},  # and about the worst.
]
MEDIAN = {"name": "median", "n_startup_trials": 1}


def searched(plan: Plan, store: Store, *, n_steps: int | None = None) -> list[FrozenTrial]:
    ledger, study = new_ledger(plan, store, Recorder())
    work(ledger, plan, n_workers=1, n_steps=n_steps)
    ledger.interrupt("the test ends")
    return study.trials


@pytest.mark.parametrize("pruner", [ASHA, MEDIAN], ids=lambda each: str(each["name"]))
def test_a_baseline_is_trained_to_its_end(
    plan_for: MakePlan, store: Store, pruner: dict[str, object]
) -> None:
    plan = plan_for(pruner=pruner, baselines=BASELINES, budget={"trials": 20})
    trials = searched(plan, store)
    for trial in trials[:2]:
        assert BASELINE in trial.user_attrs
        assert trial.state == TrialState.COMPLETE
        assert list(trial.intermediate_values) == list(range(1, 10))
    assert trials[1].user_attrs[SPARED] < 9
    assert SPARED not in trials[0].user_attrs
    assert any(trial.state == TrialState.PRUNED for trial in trials)


def test_a_key_lets_the_pruner_stop_it(plan_for: MakePlan, store: Store) -> None:
    plan = plan_for(pruner=ASHA, baselines=BASELINES, prune_baselines=True)
    trials = searched(plan, store)
    assert [trial.state for trial in trials[:2]] == [TrialState.COMPLETE, TrialState.PRUNED]
    assert SPARED not in trials[1].user_attrs


def test_it_competes_no_further_than_the_pruner_would_have_let_it(
    plan_for: MakePlan, store: Store
) -> None:
    """The other trials end as they do where it is stopped."""
    ends = []
    for prune_baselines in (False, True):
        plan = plan_for(
            study=f"closed-{prune_baselines}",
            pruner=ASHA,
            baselines=BASELINES,
            prune_baselines=prune_baselines,
            budget={"trials": 60},
        )
        trials = searched(plan, store)
        ends.append([(trial.state, trial.last_step) for trial in trials[2:]])
        rungs = [key for key in trials[1].system_attrs if key.startswith("completed_rung_")]
        assert rungs == ["completed_rung_0"]
    assert ends[0] == ends[1]
    assert len(set(ends[0])) > 2


def test_it_is_not_judged_again_by_the_launch_that_goes_on_with_it(
    plan_for: MakePlan, store: Store
) -> None:
    plan = plan_for(pruner=ASHA, baselines=BASELINES, budget={"trials": 2})
    before = searched(plan, store, n_steps=9 + 2)[1]
    assert (before.state, before.user_attrs[SPARED]) == (TrialState.WAITING, 1)
    after = searched(plan, store)[1]
    assert (after.state, after.user_attrs[SPARED]) == (TrialState.COMPLETE, 1)
    assert "completed_rung_1" not in after.system_attrs


def test_a_pruner_that_never_stops_it_judges_it_to_the_end(
    plan_for: MakePlan, store: Store
) -> None:
    plan = plan_for(pruner=ASHA, baselines=BASELINES[:1], budget={"trials": 1})
    (trial,) = searched(plan, store)
    assert {"completed_rung_0", "completed_rung_1"} <= set(trial.system_attrs)
