"""A study's trials as curves: which are kept, what is assumed of them, and what the table says."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.launch.plan import Plan
from search.simulate.__main__ import main
from search.simulate.curves_file import LearningCurves, RecordedPoint, RecordedRun
from search.simulate.curves_of_study import study_curves
from search.simulate.ways import choose_ways
from space.epochs import Epoch
from space.errors import UserError
from storage import Store

from ..conftest import Recorder, new_ledger, work

MakePlan = Callable[..., Plan]

ASHA = {"name": "asha", "min_resource": 2, "reduction_factor": 2}
N_EPOCHS = 9
BEST = {"learning_rate": 1.2e-3, "weight_decay": 1e-3}
"""About the closed form's best parameters."""
FINITE: dict[str, Any] = {
    "learning_rate": {"type": "categorical", "choices": [1e-4, 1e-3, 1e-2, 1e-1]},
    "weight_decay": {"type": "float", "low": 0.0, "high": 0.02, "step": 0.005},
}


@pytest.fixture
def searched(
    plan_for: MakePlan, store: Store, recorder: Recorder
) -> Callable[..., tuple[optuna.Study, LearningCurves]]:
    """Searches the closed form, and reads the curves of what came of it."""

    def search(
        queued: Sequence[dict[str, Any]] = (), **changes: Any
    ) -> tuple[optuna.Study, LearningCurves]:
        plan = plan_for(**{"pruner": ASHA, "budget": {"trials": 24}, **changes})
        ledger, study = new_ledger(plan, store, recorder)
        for params in queued:
            study.enqueue_trial(params)
        work(ledger, plan)
        return study, study_curves(store, "closed")

    return search


Searched = Callable[..., tuple[optuna.Study, LearningCurves]]


def recorded(store: Store, trial: FrozenTrial) -> list[list[Epoch]]:
    """A trial's epochs, of each replicate."""
    runs = [run for run in store.runs() if run.trial_id == trial._trial_id]
    epochs = store.epochs(run.run_id for run in runs)
    return [epochs[run.run_id] for run in sorted(runs, key=lambda run: run.replicate)]


def in_state(study: optuna.Study, state: TrialState) -> list[FrozenTrial]:
    return study.get_trials(states=(state,))


def of(curves: LearningCurves, trial: FrozenTrial) -> RecordedPoint:
    return next(point for point in curves.points if point.params == trial.params)


@pytest.mark.parametrize("replicates", [1, 2])
def test_a_stopped_trial_stays_what_it_last_was(
    searched: Searched, store: Store, replicates: int
) -> None:
    study, curves = searched(replicates=replicates)
    stopped = in_state(study, TrialState.PRUNED)
    assert len(stopped) > 8
    assert [point.params for point in curves.points] == [trial.params for trial in study.trials]
    for trial in stopped:
        runs = of(curves, trial).runs
        for run, epochs in zip(runs, recorded(store, trial), strict=True):
            n = len(epochs)
            assert run.n_trained == n < N_EPOCHS
            errors = [each["val_error"] for each in epochs]
            losses = [each["val_loss"] for each in epochs]
            assert list(run.metrics["val_error"]) == errors + errors[-1:] * (N_EPOCHS - n)
            assert list(run.metrics["val_loss"]) == losses + losses[-1:] * (N_EPOCHS - n)
            assert run.epoch_seconds == pytest.approx(sum(each.seconds for each in epochs) / n)


def test_a_stopped_trial_is_worth_what_it_had_shown_and_a_complete_one_its_value(
    searched: Searched,
) -> None:
    study, curves = searched()
    worth = dict(zip(range(24), curves.true_values(), strict=True))
    states = {trial.number: trial.state for trial in study.trials}
    for trial in study.trials:
        shown = min(trial.intermediate_values.values())
        assert worth[trial.number] == pytest.approx(shown)
    for trial in in_state(study, TrialState.COMPLETE):
        assert of(curves, trial).n_trained is None
        assert worth[trial.number] == pytest.approx(trial.value)
    n_stopped = sum(state == TrialState.PRUNED for state in states.values())
    assert curves.n_stopped == n_stopped == curves.provenance["trials_stopped"]


def test_trials_that_have_not_ended_and_those_without_an_epoch_are_left_out(
    searched: Searched, plan_for: MakePlan, store: Store, recorder: Recorder
) -> None:
    study, before = searched()
    ledger, _ = new_ledger(plan_for(budget={"trials": 25}), store, recorder)
    assert ledger.next_assignment() is not None
    study.tell(24, state=TrialState.PRUNED)
    params, distributions = study.trials[0].params, study.trials[0].distributions
    for number, state in enumerate(
        [TrialState.FAIL, TrialState.RUNNING, TrialState.WAITING, TrialState.PRUNED]
    ):
        given = {**params, "learning_rate": 2e-4 * (1 + number)}
        study.add_trial(create_trial(params=given, distributions=distributions, state=state))
    after = study_curves(store, "closed")
    assert after.points == before.points
    assert after.provenance["trials"] == 29
    assert after.provenance["trials_left_out"] == {
        "failed": 1,
        "not ended": 2,
        "without a curve": 2,
    }


@pytest.mark.parametrize("budget", [40, 60])
def test_of_trials_with_the_same_parameters_the_one_trained_longest_counts(
    searched: Searched, store: Store, budget: int
) -> None:
    # A sampler does not repeat a point, but a person may.
    draw = random.Random(0)
    queued = [
        {
            "learning_rate": draw.choice(FINITE["learning_rate"]["choices"]),
            "weight_decay": draw.randrange(5) * 0.005,
        }
        for _ in range(budget)
    ]
    study, curves = searched(queued, parameters=FINITE, budget={"trials": budget})
    found = [point.params for point in curves.points]
    assert len(found) == len({str(sorted(each.items())) for each in found}) <= 20
    n_epochs: dict[str, list[int]] = {}
    for trial in study.trials:
        n_epochs.setdefault(str(sorted(trial.params.items())), []).append(
            len(recorded(store, trial)[0])
        )
    # A later trial was trained longer than the first one with its parameters.
    assert any(max(each) > each[0] for each in n_epochs.values())
    for point in curves.points:
        longest = max(n_epochs[str(sorted(point.params.items()))])
        assert point.n_trained == (None if longest == N_EPOCHS else longest)
    repeated = curves.provenance["trials_left_out"]["with the parameters of another"]
    assert repeated == budget - len(found)


def test_stopped_trials_have_their_active_parameters_alone(searched: Searched) -> None:
    parameters = {
        "weight_decay": {"type": "categorical", "choices": [1e-4, 1e-2]},
        "learning_rate": {
            "type": "float",
            "low": 1e-4,
            "high": 1e-1,
            "log": True,
            "when": {"parameter": "weight_decay", "in": [1e-4]},
        },
        "learning_rate_decay": {"type": "float", "low": 0.8, "high": 1.0},
    }
    _, curves = searched(parameters=parameters, options={"learning_rate": 1e-2})
    stopped = [point.params for point in curves.points if point.n_trained is not None]
    assert {len(params) for params in stopped} == {2, 3}
    assert all(("learning_rate" in each) == (each["weight_decay"] == 1e-4) for each in stopped)


def test_a_finished_study_is_replayed_from_its_complete_trials(
    searched: Searched, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    study, curves = searched(pruner={"name": "none"}, replicates=2, budget={"trials": 10})
    assert curves.true_values() == pytest.approx([trial.value for trial in study.trials])
    for trial, point in zip(study.trials, curves.points, strict=True):
        assert point.params == trial.params
        for run, epochs in zip(point.runs, recorded(store, trial), strict=True):
            assert list(run.metrics["val_error"]) == [each["val_error"] for each in epochs]
            assert list(run.metrics["val_loss"]) == [each["val_loss"] for each in epochs]
    options = ["--study", "closed", "--storage", store.name, "--seeds", "2", "--sampler", "qmc"]
    assert main(options) == 0
    shown = capsys.readouterr().out
    assert "the points are 10 complete trials of the 10 of study 'closed'" in shown
    assert "validation error on 2 seeds, luck included; a trial is trained on" in shown
    assert "30 epochs a search" in shown
    assert "stopped" not in shown
    assert "assumed" not in shown


def test_the_table_says_what_is_assumed_of_stopped_trials(
    searched: Searched, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    study, curves = searched(budget={"trials": 20})
    study.add_trial(create_trial(state=TrialState.FAIL))
    options = ["--study", "closed", "--storage", store.name, "--seeds", "4", "--pruner", "none"]
    assert main([*options, "--pruner", json.dumps(ASHA)]) == 0
    shown = capsys.readouterr().out
    n_stopped = curves.n_stopped
    trained = [point.n_trained for point in curves.points if point.n_trained is not None]
    assert f"of the best of 20 recorded points, {n_stopped} of them stopped early" in shown
    assert (
        f"the points are 20 of the 21 trials of study 'closed': {20 - n_stopped} complete, "
        f"{n_stopped} stopped after {min(trained)} to {max(trained)} of 9 epochs; left out: "
        "1 failed\n"
    ) in shown
    assert (
        f"assumed of the {n_stopped} stopped trials: after its last recorded epoch the validation "
        "error of each stays what it last was"
    ) in shown
    assert "favours settings that stop early" in shown
    assert "conservative for quality" in shown
    worth = curves.true_values()
    good = worth <= worth.min() + 0.01
    n_good_stopped = sum(
        is_good and point.n_trained is not None
        for is_good, point in zip(good, curves.points, strict=True)
    )
    assert f"best: {good.sum()}, of which {n_good_stopped} stopped" in shown
    assert "a stopped trial's as far as it was trained" in shown
    # A third of the grid would be 60 epochs, of which no sampler has enough.
    assert "180 epochs a search" in shown


def test_with_many_points_a_third_of_the_grid_is_the_larger_budget(
    searched: Searched, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    searched(budget={"trials": 66})
    options = ["--study", "closed", "--storage", store.name, "--seeds", "3", "--pruner", "none"]
    assert main([*options, "--pruner", json.dumps(ASHA)]) == 0
    assert "198 epochs a search" in capsys.readouterr().out


def test_trials_outside_the_latest_ranges_are_left_out(
    plan_for: MakePlan, store: Store, recorder: Recorder
) -> None:
    given: dict[str, Any] = {"budget": {"trials": 16}, "training": {"epochs": 2}}
    plan = plan_for(**given)
    work(new_ledger(plan, store, recorder)[0], plan)
    before = study_curves(store, "closed")
    assert len(before.points) == 16
    parameters = json.loads(json.dumps(plan.space.model_dump(mode="json")["parameters"]))
    parameters["learning_rate"]["high"] = sorted(
        float(point.params["learning_rate"]) for point in before.points
    )[11]
    _, study = new_ledger(plan_for(**given, parameters=parameters), store, recorder)
    study.add_trial(create_trial(state=TrialState.PRUNED))  # It has no parameters at all.
    after = study_curves(store, "closed")
    assert len(after.points) == 12
    assert after.provenance["trials_left_out"] == {"outside its present ranges": 5}


@pytest.mark.parametrize("n_trials", [9, 10])
def test_a_study_with_fewer_than_ten_trials_to_replay_says_so(
    plan_for: MakePlan, store: Store, recorder: Recorder, n_trials: int
) -> None:
    plan = plan_for(budget={"trials": n_trials}, training={"epochs": 3})
    _, study = new_ledger(plan, store, recorder)
    study.add_trial(create_trial(state=TrialState.FAIL))
    ledger, _ = new_ledger(
        plan_for(budget={"trials": n_trials + 1}, training={"epochs": 3}), store, recorder
    )
    work(ledger, plan)
    if n_trials == 10:
        assert len(study_curves(store, "closed").points) == 10
        return
    with pytest.raises(
        UserError,
        match=r"--study closed: 9 of its 10 trials can be replayed \(left out: 1 failed\); fewer "
        r"than 10 tell nothing of samplers and pruners: give it a larger budget",
    ):
        study_curves(store, "closed")
    with pytest.raises(UserError, match="did you mean 'closed'"):
        study_curves(store, "close")


def test_a_study_of_which_one_trial_was_trained_to_its_end_says_so(
    plan_for: MakePlan, store: Store, recorder: Recorder
) -> None:
    plan = plan_for(
        pruner={"name": "asha", "min_resource": 8, "reduction_factor": 20},
        baselines=[BEST],
        budget={"trials": 12},
    )
    work(new_ledger(plan, store, recorder)[0], plan, n_workers=1)
    with pytest.raises(
        UserError,
        match="--study closed: 1 of the 12 trials that can be replayed was trained to its end; a "
        "replay needs 2 or more: give it a larger budget",
    ):
        study_curves(store, "closed")


def test_an_objective_without_curves_is_refused(
    plan_for: MakePlan, store: Store, recorder: Recorder
) -> None:
    objective = [
        {"metric": "val_error", "direction": "minimize"},
        {"metric": "train_seconds", "direction": "minimize"},
    ]
    plan = plan_for(budget={"trials": 2}, training={"epochs": 1}, objective=objective)
    work(new_ledger(plan, store, recorder)[0], plan)
    with pytest.raises(UserError, match="--study closed: its objective is val_error and train"):
        study_curves(store, "closed")


def test_a_run_that_was_stopped_has_fewer_trained_epochs_than_its_curve() -> None:
    given: dict[str, Any] = {
        "metrics": {"val_error": (0.5, 0.5), "val_loss": (1.0, 1.0)},
        "epoch_seconds": 1.0,
    }
    assert RecordedRun(**given, n_trained=1).n_trained == 1
    with pytest.raises(ValueError, match="found 2; expected fewer than the epochs"):
        RecordedRun(**given, n_trained=2)


def test_a_grid_of_cells_is_recorded_saved_and_replayed_on_all_its_seeds(
    searched: Searched, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parameters = {
        "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
        "weight_decay": {"type": "categorical", "choices": [0.0, 1e-2]},
    }
    sampler = {"name": "grid", "cells": {"learning_rate": 6}}
    given = {"parameters": parameters, "sampler": sampler, "pruner": {"name": "none"}}
    study, curves = searched(**given, replicates=2, budget={"trials": 99})
    assert len(study.trials) == len(curves.points) == 12
    rates = sorted({float(point.params["learning_rate"]) for point in curves.points})
    assert rates == pytest.approx([10 ** (-3.75 + cell / 2) for cell in range(6)], rel=1e-5)
    saved = tmp_path / "curves.json"
    options = ["--seeds", "6", "--workers", "1", "--epochs", "45", "--pruner", "none"]
    options += ["--sampler", "random", "--sampler", "qmc"]  # One worker: no time matters.
    assert main(["--study", "closed", "--storage", store.name, "--save", str(saved), *options]) == 0
    of_study = capsys.readouterr().out
    assert main(["--curves", str(saved), *options]) == 0
    assert capsys.readouterr().out == of_study
    # Its own sampler tries every point, which is a row of its own, so that the default goes for it.
    assert [way.sampler for way in choose_ways(curves, pruners=["none"])][-1] == {"name": "tpe"}


def test_curves_that_cannot_be_saved_are_one_sentence(
    searched: Searched, store: Store, tmp_path: Path
) -> None:
    searched()
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"--save .*file/curves\.json: cannot be written"):
        main(
            ["--study", "closed", "--storage", store.name, "--save", f"{tmp_path}/file/curves.json"]
        )
