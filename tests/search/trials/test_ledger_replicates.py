"""A trial of several replicates: one mean, one verdict, and each replicate goes on where it was."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import pytest
from optuna.trial import TrialState

from search.launch.plan import Plan
from storage import Store

from ..conftest import ASHA, Recorder, new_ledger, work

MakePlan = Callable[..., Plan]


def test_replicates_report_their_mean_and_its_standard_error(
    plan_for: MakePlan, store: Store, recorder: Recorder
) -> None:
    plan = plan_for(replicates=4, budget={"trials": 5}, pruner=ASHA)
    ledger, study = new_ledger(plan, store, recorder)
    work(ledger, plan)
    runs = store.runs(study._study_id)
    assert len(runs) == 20
    assert len({run.config_hash for run in runs}) == 20
    assert [run.config["data"]["data_seed"] for run in runs[:4]] == [1000, 1001, 1002, 1003]
    epochs = store.epochs([run.run_id for run in runs])
    for trial in study.trials:
        own = [epochs[run.run_id] for run in runs if run.trial_id == trial._trial_id]
        assert {len(each) for each in own} == {trial.last_step}
        for step, value in trial.intermediate_values.items():
            kept = [min(epoch["val_error"] for epoch in each[:step]) for each in own]
            assert value == pytest.approx(sum(kept) / 4)
        if trial.state == TrialState.COMPLETE:
            last = [min(epoch["val_error"] for epoch in each) for each in own]
            assert trial.value == pytest.approx(statistics.fmean(last))
            assert trial.user_attrs["standard_error"] == [pytest.approx(statistics.stdev(last) / 2)]
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE, TrialState.PRUNED}


def test_interrupted_replicates_go_on_where_each_was(
    plan_for: MakePlan, store: Store, recorder: Recorder
) -> None:
    plan = plan_for(replicates=3, budget={"trials": 3})
    ledger, study = new_ledger(plan, store, recorder)
    work(ledger, plan, n_steps=4)
    ledger.interrupt("test")
    ledger, study = new_ledger(plan, store, recorder)
    work(ledger, plan)
    for trial in study.trials:
        assert list(trial.intermediate_values) == list(range(1, 10))
    epochs = store.epochs([run.run_id for run in store.runs()])
    assert {tuple(e.epoch for e in each) for each in epochs.values()} == {tuple(range(1, 10))}


def test_wilcoxon_pruner_compares_replicates_in_turn(
    plan_for: MakePlan, store: Store, recorder: Recorder
) -> None:
    plan = plan_for(
        replicates=8,
        pruner={"name": "wilcoxon", "p_threshold": 0.1},
        parameters={"learning_rate": {"type": "categorical", "choices": [1e-3, 1e-2, 1e-1]}},
        sampler={"name": "grid"},
        baselines=[{"learning_rate": 1e-3}],
    )
    ledger, study = new_ledger(plan, store, recorder)
    work(ledger, plan, n_workers=1)
    best, *others = study.trials
    assert best.state == TrialState.COMPLETE
    assert list(best.intermediate_values) == list(range(1, 9))
    assert best.value == pytest.approx(statistics.fmean(best.intermediate_values.values()))
    worse = [trial for trial in others if trial.params["learning_rate"] > 1e-3]
    assert worse
    for trial in worse:
        assert trial.state == TrialState.PRUNED
        assert 2 <= trial.last_step < 8
        runs = [run for run in store.runs() if run.trial_id == trial._trial_id]
        finished = [run for run in runs if run.n_epochs == 9]
        assert len(finished) == trial.last_step
        assert {run.n_epochs for run in runs} == {0, 9}


def test_a_failing_replicate_fails_its_trial_alone(
    plan_for: MakePlan, store: Store, recorder: Recorder
) -> None:
    plan = plan_for(
        replicates=2,
        parameters={"nan_at": {"type": "categorical", "choices": [0, 3]}},
        budget={"trials": 6},
    )
    ledger, study = new_ledger(plan, store, recorder)
    work(ledger, plan)
    for trial in study.trials:
        bad = trial.params["nan_at"] == 3
        assert trial.state == (TrialState.FAIL if bad else TrialState.COMPLETE)
        runs = [run for run in store.runs() if run.trial_id == trial._trial_id]
        assert {run.state for run in runs} == {"failed" if bad else "complete"}
