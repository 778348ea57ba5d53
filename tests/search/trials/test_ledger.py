"""The ledger keeps the truth: states, values, reports, whatever the workers do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from optuna.trial import TrialState

from search.launch.plan import Plan
from search.runs.protocol import Report
from storage import Store
from storage.tables.attributes import FAIL_REASON

from ..conftest import ASHA, SPACE, Recorder, new_ledger, reports_in_our_tables, work

MakePlan = Callable[..., Plan]


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
        ("fail_at", "closed_form.py, line ", 2),
    ],
)
def test_a_failing_trial_is_fail_with_its_reason_and_the_study_goes_on(
    plan_for: MakePlan, store: Store, recorder: Recorder, option: str, reason: str, n_reports: int
) -> None:
    poisonous = {"type": "categorical", "choices": [0, 3]}
    parameters = {option: poisonous, **SPACE["parameters"]}
    plan = plan_for(parameters=parameters, budget={"trials": 10})
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
        assert trial.params[option] == 0


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
            "metrics": {"train_loss": 1.0, "val_loss": 1.0, "train_error": 0.5, "val_error": 0.4},
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
    configs = {run.trial_id: run.config["options"] for run in store.runs(study._study_id)}
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
        assert trial.values[0] == min(epoch["val_error"] for epoch in epochs[run.run_id])
        assert trial.values[1] == pytest.approx(sum(e.seconds for e in epochs[run.run_id]))
