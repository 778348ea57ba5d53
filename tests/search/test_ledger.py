"""The ledger keeps the truth: states, values, reports, budgets, whatever the workers do."""

from __future__ import annotations

import statistics
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from search.ledger import Ledger
from search.plan import Plan
from search.reports import Report
from search.sampling import make_sampler
from search.study import open_study
from storage import Store, open_store
from storage.attributes import BASELINE, FAIL_REASON
from trainables import worker

from .conftest import Recorder, work

MakePlan = Callable[..., Plan]
ASHA = {"name": "asha", "min_resource": 1, "reduction_factor": 3}


def new_ledger(plan: Plan, store: Store, recorder: Recorder) -> tuple[Ledger, optuna.Study]:
    study = open_study(plan, store)
    study.sampler = make_sampler(
        plan.space,
        n_existing_trials=len(study.trials),
        n_earlier_launches=len(store.launches(study._study_id)),
    )
    launch_id = store.begin_launch(plan.new_launch(study._study_id, []))
    ledger = Ledger(
        study=study,
        store=store,
        space=plan.space,
        resolve=plan.resolve,
        launch_id=launch_id,
        observer=recorder,
        max_trials=plan.max_trials,
        max_epochs=plan.space.budget.epochs,
    )
    return ledger, study


def reports_in_our_tables(store: Store, study: optuna.Study) -> dict[int, list[int]]:
    runs = {run.trial_id: run.run_id for run in store.runs(study._study_id)}
    epochs = store.epochs(runs.values())
    return {
        trial.number: [epoch.epoch for epoch in epochs[runs[trial._trial_id]]]
        for trial in study.trials
    }


def test_without_a_pruner_every_trial_is_complete_with_every_report(
    plan_for: MakePlan, store: Store, recorder: Recorder
) -> None:
    plan = plan_for()
    ledger, study = new_ledger(plan, store, recorder)
    work(ledger, plan)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 12
    for trial in study.trials:
        assert list(trial.intermediate_values) == list(range(1, 10))
        assert trial.value == trial.intermediate_values[9]
        assert trial.value == min(trial.intermediate_values.values())
    assert reports_in_our_tables(store, study) == {n: list(range(1, 10)) for n in range(12)}
    assert {run.state for run in store.runs(study._study_id)} == {"complete"}
    assert store.n_epochs(study._study_id) == 12 * 9


def test_pruned_trials_keep_the_report_that_stopped_them(
    plan_for: MakePlan, store: Store, recorder: Recorder
) -> None:
    plan = plan_for(pruner=ASHA, budget={"trials": 30})
    ledger, study = new_ledger(plan, store, recorder)
    work(ledger, plan)
    pruned = study.get_trials(states=(TrialState.PRUNED,))
    complete = study.get_trials(states=(TrialState.COMPLETE,))
    assert len(pruned) + len(complete) == 30
    assert pruned
    assert complete
    for trial in pruned:
        assert trial.last_step in (1, 3)
        assert trial.value == trial.intermediate_values[trial.last_step]
    ours = reports_in_our_tables(store, study)
    for trial in study.trials:
        assert ours[trial.number] == list(trial.intermediate_values)


@pytest.mark.parametrize(
    ("option", "reason", "n_reports"),
    [
        ("nan_at", "the loss is not finite in epoch 3", 3),
        ("fail_at", "RuntimeError: closed-form fails in epoch 3", 2),
    ],
)
def test_a_failing_trial_is_fail_with_its_reason_and_the_study_goes_on(
    plan_for: MakePlan, store: Store, recorder: Recorder, option: str, reason: str, n_reports: int
) -> None:
    poisonous = {"type": "categorical", "choices": [0, 3]}
    plan = plan_for(parameters={f"options.{option}": poisonous}, budget={"trials": 10})
    ledger, study = new_ledger(plan, store, recorder)
    work(ledger, plan)
    failed = study.get_trials(states=(TrialState.FAIL,))
    assert len(failed) + len(study.get_trials(states=(TrialState.COMPLETE,))) == 10
    assert failed
    runs = {run.trial_id: run for run in store.runs(study._study_id)}
    for trial in failed:
        assert trial.user_attrs[FAIL_REASON].startswith(reason)
        run = runs[trial._trial_id]
        assert (run.state, run.reason) == ("failed", trial.user_attrs[FAIL_REASON])
        assert run.n_epochs == n_reports
        assert trial.values is None
    for trial in study.get_trials(states=(TrialState.COMPLETE,)):
        assert trial.params[f"options.{option}"] == 0


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


def test_reports_said_twice_count_once(
    plan_for: MakePlan, store: Store, recorder: Recorder
) -> None:
    plan = plan_for()
    ledger, study = new_ledger(plan, store, recorder)
    assignment = ledger.next_assignment()
    assert assignment is not None
    message = {
        "run_id": assignment.runs[0][0].run_id,
        "epoch": {
            "epoch": 1,
            "train_loss": 1.0,
            "val_loss": 1.0,
            "train_error": 0.5,
            "val_error": 0.4,
            "seconds": 2.0,
        },
        "evaluation": None,
        "failure": None,
        "warning": None,
        "worker": "w",
    }
    assert ledger.report([Report.from_wire(message)])
    assert ledger.report([Report.from_wire(message)])
    assert ledger.n_epochs == store.n_epochs(study._study_id) == 1
    assert recorder.events.count(("report", 0)) == 1
    assert not ledger.report([Report.from_wire({**message, "run_id": 999})])


def test_budget_of_trials_and_epochs_holds_over_launches(
    plan_for: MakePlan, store: Store, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "CHECKPOINT_SECONDS", 0.0)
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


def test_conditional_parameters_are_there_only_when_active(
    plan_for: MakePlan, store: Store, recorder: Recorder
) -> None:
    parameters = {
        "weight_decay": {"type": "categorical", "choices": [0.0, 0.1]},
        "aux_weight": {
            "type": "float",
            "low": 0.1,
            "high": 0.5,
            "when": {"parameter": "weight_decay", "in": [0.1]},
        },
    }
    plan = plan_for(parameters=parameters, sampler={"name": "tpe"})
    ledger, study = new_ledger(plan, store, recorder)
    work(ledger, plan)
    with_condition = [trial for trial in study.trials if trial.params["weight_decay"] == 0.1]
    assert 0 < len(with_condition) < 12
    for trial in study.trials:
        assert ("aux_weight" in trial.params) == (trial.params["weight_decay"] == 0.1)
    configs = {run.trial_id: run.config["training"] for run in store.runs(study._study_id)}
    for trial in study.trials:
        expected = trial.params.get("aux_weight", 0.6)
        assert configs[trial._trial_id]["aux_weight"] == expected


def test_several_objectives(plan_for: MakePlan, store: Store, recorder: Recorder) -> None:
    objective = [
        {"metric": "val_error", "direction": "minimize"},
        {"metric": "train_seconds", "direction": "minimize"},
    ]
    plan = plan_for(objective=objective, sampler={"name": "nsga2"})
    ledger, study = new_ledger(plan, store, recorder)
    work(ledger, plan)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 12
    assert study.metric_names == ["val_error", "train_seconds"]
    assert reports_in_our_tables(store, study) == {n: list(range(1, 10)) for n in range(12)}
    epochs = store.epochs([run.run_id for run in store.runs(study._study_id)])
    for trial, run in zip(study.trials, store.runs(study._study_id), strict=True):
        assert trial.values[0] == min(epoch.val_error for epoch in epochs[run.run_id])
        assert trial.values[1] == pytest.approx(sum(e.seconds for e in epochs[run.run_id]))


def test_decision_lost_with_its_driver_is_made_by_the_next(
    plan_for: MakePlan, store: Store, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_for()
    ledger, study = new_ledger(plan, store, recorder)
    monkeypatch.setattr(Ledger, "_advance", lambda *_: [])
    monkeypatch.setattr(Ledger, "_decide", lambda *_: False)
    work(ledger, plan, n_workers=1, n_steps=9)
    ledger.interrupt("killed before the decision")
    monkeypatch.undo()
    ledger, study = new_ledger(plan, store, recorder)
    work(ledger, plan)
    assert study.trials[0].state == TrialState.COMPLETE
    assert list(study.trials[0].intermediate_values) == list(range(1, 10))


def test_replicates_report_their_mean_and_its_standard_error(
    plan_for: MakePlan, store: Store, recorder: Recorder
) -> None:
    plan = plan_for(replicates=4, budget={"trials": 5}, pruner=ASHA)
    ledger, study = new_ledger(plan, store, recorder)
    work(ledger, plan)
    runs = store.runs(study._study_id)
    assert len(runs) == 20
    assert len({run.config_hash for run in runs}) == 20
    assert [run.config["data"]["data_seed"] for run in runs[:4]] == [0, 1, 2, 3]
    epochs = store.epochs([run.run_id for run in runs])
    for trial in study.trials:
        own = [epochs[run.run_id] for run in runs if run.trial_id == trial._trial_id]
        assert {len(each) for each in own} == {trial.last_step}
        for step, value in trial.intermediate_values.items():
            kept = [min(epoch.val_error for epoch in each[:step]) for each in own]
            assert value == pytest.approx(sum(kept) / 4)
        if trial.state == TrialState.COMPLETE:
            last = [min(epoch.val_error for epoch in each) for each in own]
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
        parameters={"options.nan_at": {"type": "categorical", "choices": [0, 3]}},
        budget={"trials": 6},
    )
    ledger, study = new_ledger(plan, store, recorder)
    work(ledger, plan)
    for trial in study.trials:
        bad = trial.params["options.nan_at"] == 3
        assert trial.state == (TrialState.FAIL if bad else TrialState.COMPLETE)
        runs = [run for run in store.runs() if run.trial_id == trial._trial_id]
        assert {run.state for run in runs} == {"failed" if bad else "complete"}


def test_a_new_store_takes_nothing_from_an_old_ones_checkpoints(
    plan_for: MakePlan,
    store: Store,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(worker, "CHECKPOINT_SECONDS", 0.0)
    plan = plan_for()
    ledger, _ = new_ledger(plan, store, recorder)
    work(ledger, plan, n_steps=5)
    ledger.interrupt("test")
    assert list(plan.checkpoints.rglob("*.pt"))
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
        parameters={"options.nan_at": {"type": "categorical", "choices": [9]}},
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
    monkeypatch.setattr(Ledger, "_should_prune", lambda *_: False)
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
        assignment.runs[0][1].training.learning_rate
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
