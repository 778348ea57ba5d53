"""Whole launches through real Ray: what the store says afterwards is the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import pytest
import ray
from optuna.trial import TrialState

from search.cluster import ray_session
from search.ledger import FAIL_REASON
from search.plan import Plan
from search.study import Outcome, open_study, search
from space.errors import ClusterError, StudyMismatchError
from storage import Store

from .conftest import Recorder

MakePlan = Callable[..., Plan]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    with ray_session(None, verbose=False) as path:
        yield path


def launch(
    plan: Plan, store: Store, scratch: Path, recorder: Recorder | None = None
) -> tuple[Outcome, optuna.Study]:
    outcome = search(plan, store, recorder or Recorder(), slots=plan.slots(), scratch=scratch)
    return outcome, open_study(plan, store)


def test_search_to_the_end_of_its_budget(
    plan_for: MakePlan, store: Store, scratch: Path, recorder: Recorder
) -> None:
    plan = plan_for(pruner={"name": "asha"}, budget={"trials": 15})
    outcome, study = launch(plan, store, scratch, recorder)
    assert (outcome.status, outcome.n_interrupted) == ("done", 0)
    states = [trial.state for trial in study.trials]
    assert len(states) == 15
    assert set(states) == {TrialState.COMPLETE, TrialState.PRUNED}
    for trial in study.trials:
        reports = trial.intermediate_values
        assert list(reports) == list(range(1, len(reports) + 1))
        assert (len(reports) == 9) == (trial.state == TrialState.COMPLETE)
        assert trial.value == reports[len(reports)]
    n_reports = sum(len(trial.intermediate_values) for trial in study.trials)
    assert store.n_epochs(study._study_id) == n_reports
    assert recorder.events.count(("start", 0)) == 1
    (record,) = store.launches()
    assert (record.status, record.changes) == ("done", [])
    workers = {run.worker for run in store.runs()}
    # Workers are reused: so many processes as run at once, not as there are trials.
    assert len(workers) <= 2 * plan.slots().concurrency


def test_bad_trials_do_not_end_the_study(plan_for: MakePlan, store: Store, scratch: Path) -> None:
    bad = {"type": "categorical", "choices": [0, 2]}
    plan = plan_for(
        parameters={"options.nan_at": bad, "options.fail_at": bad}, budget={"trials": 12}
    )
    _, study = launch(plan, store, scratch)
    for trial in study.trials:
        expected = TrialState.FAIL if any(trial.params.values()) else TrialState.COMPLETE
        assert trial.state == expected
        assert (FAIL_REASON in trial.user_attrs) == (expected == TrialState.FAIL)
    assert {trial.state for trial in study.trials} == {TrialState.FAIL, TrialState.COMPLETE}


def test_trial_whose_worker_dies_once_goes_on(
    plan_for: MakePlan, store: Store, scratch: Path, tmp_path: Path
) -> None:
    options = {"exit_at": 5, "exit_marker": str(tmp_path / "died")}
    plan = plan_for(model={"name": "closed-form", "options": options}, budget={"trials": 1})
    _, study = launch(plan, store, scratch)
    assert (tmp_path / "died").exists()
    (trial,) = study.trials
    assert trial.state == TrialState.COMPLETE
    assert list(trial.intermediate_values) == list(range(1, 10))
    (run,) = store.runs()
    assert [epoch.epoch for epoch in store.epochs([run.run_id])[run.run_id]] == list(range(1, 10))


def test_trial_whose_workers_always_die_is_fail_and_the_study_goes_on(
    plan_for: MakePlan, store: Store, scratch: Path
) -> None:
    plan = plan_for(
        parameters={"options.exit_at": {"type": "categorical", "choices": [0, 2]}},
        sampler={"name": "grid"},
    )
    _, study = launch(plan, store, scratch)
    by_option = {trial.params["options.exit_at"]: trial for trial in study.trials}
    assert by_option[0].state == TrialState.COMPLETE
    assert by_option[2].state == TrialState.FAIL
    assert by_option[2].user_attrs[FAIL_REASON].startswith("its worker died 3 times")


def test_time_limit_interrupts_and_the_next_launch_goes_on(
    plan_for: MakePlan, store: Store, scratch: Path, recorder: Recorder
) -> None:
    slow = {"name": "closed-form", "options": {"sleep": 0.3}}
    plan = plan_for(model=slow, budget={"trials": 3, "time_limit": "5s"}, concurrency=2)
    statuses = []
    for _ in range(8):
        outcome, study = launch(plan, store, scratch, recorder)
        statuses.append(outcome.status)
        if outcome.status == "done":
            break
        states = {trial.state for trial in study.trials}
        assert TrialState.RUNNING not in states
        n_waiting = sum(trial.state == TrialState.WAITING for trial in study.trials)
        assert 0 < outcome.n_interrupted <= n_waiting
    assert statuses[0] == "time limit"
    assert statuses[-1] == "done"
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 3
    for trial in study.trials:
        assert list(trial.intermediate_values) == list(range(1, 10))
    assert len(store.runs()) == 3
    assert store.n_epochs(study._study_id) == 27


def test_study_begun_under_other_terms_is_refused(plan_for: MakePlan, store: Store) -> None:
    open_study(plan_for(), store)
    open_study(plan_for(budget={"trials": 99}), store)
    with pytest.raises(StudyMismatchError, match=r"training.epochs: 9 before, 8 now.*--study"):
        open_study(plan_for(training={"epochs": 8}), store)


def test_changes_between_launches_are_recorded_and_shown(
    plan_for: MakePlan, store: Store, scratch: Path, recorder: Recorder
) -> None:
    launch(plan_for(budget={"trials": 1}), store, scratch)
    launch(plan_for(budget={"trials": 2}), store, scratch, recorder)
    changes = ["budget.trials: 1, now 2"]
    assert store.launches()[1].changes == changes
    assert recorder.launches == [(0, changes)]


def test_trial_that_fits_nowhere_is_one_sentence(plan_for: MakePlan, scratch: Path) -> None:
    plan = plan_for(resources={"cpus": 10_000})
    with pytest.raises(ClusterError, match=r"10000 CPUs .* lower resources.cpus"):
        plan.slots()


def test_concurrency_is_bounded_by_the_file_and_the_machine(
    plan_for: MakePlan, scratch: Path
) -> None:
    cpus = int(ray.cluster_resources()["CPU"])
    assert plan_for().slots().concurrency == cpus
    assert plan_for(concurrency=1).slots().concurrency == 1
    assert plan_for(resources={"cpus": 0.5}).slots().concurrency == 2 * cpus
