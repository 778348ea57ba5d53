"""Whole launches through real Ray: what the store says afterwards is the truth."""

from __future__ import annotations

import gc
import math
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
import ray
from optuna.storages._rdb import models
from optuna.trial import TrialState

from dashboards.numbers.study.confirmation import read_confirmation
from search.launch.confirm import confirm_queue
from search.launch.plan import Plan
from search.launch.reserve import Reserve
from search.launch.study import Outcome, run_study
from search.runs.protocol import Report
from search.runs.stopping import Stopping
from search.trials.open_trial import OpenTrial
from space.errors import DeletedError, StorageError
from storage import Store
from storage.tables.attributes import FAIL_REASON
from tests.search.conftest import open_study, opened, run_search

from ..conftest import Recorder
from ..conftest import search as search_here
from ..here import Here, train_here

MakePlan = Callable[..., Plan]
pytestmark = pytest.mark.slow


@pytest.fixture
def scratch(one_ray: Path) -> Path:
    return one_ray


def launch(
    plan: Plan,
    store: Store,
    scratch: Path,
    recorder: Recorder | None = None,
    stop_after: int | None = None,
    deadline: float = math.inf,
) -> tuple[Outcome, optuna.Study]:
    """Run a launch, perhaps only until so many new epochs are recorded."""
    recorder = recorder or Recorder()
    before = recorder.n_reports

    def stop_requested() -> bool:
        return stop_after is not None and recorder.n_reports - before >= stop_after

    outcome = run_search(
        plan,
        store,
        recorder,
        slots=plan.place.find_slots(),
        scratch=scratch,
        stopping=Stopping(requested=stop_requested, deadline=deadline),
    )
    return outcome, open_study(plan, store)


def run_here(plan: Plan, store: Store) -> Outcome:
    return run_study(plan, opened(plan, store), Recorder())


def test_search_to_the_end_of_its_budget(plan_for: MakePlan, store: Store, scratch: Path) -> None:
    n_held: dict[int, int] = {}

    class Witness(Recorder):
        """Counts what is held of workers' results, and remembers when time passed."""

        def on_tick(self) -> None:
            self.events.append(("tick", 0))

        def on_trial_end(self, trial: OpenTrial) -> None:
            super().on_trial_end(trial)
            if trial.number in (0, 14):
                gc.collect()
                found = gc.get_objects()
                n_held[trial.number] = sum(type(each) is ray.ObjectRef for each in found)

    one = {"cpus": 1, "gpus": 0, "runs_per_trainable": 1}
    plan = plan_for(pruner={"name": "asha"}, resources=one, budget={"trials": 15})
    n_workers = plan.place.find_slots().concurrency
    witness = Witness()
    outcome, study = launch(plan, store, scratch, witness)
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
    (record,) = store.launches()
    assert (record.status, record.changes) == ("done", [])
    # No worker waits for another to start, and none does so twice.
    assert witness.events.count(("start", 0)) == 1
    begun = witness.events.index(("start", 0))
    assert witness.events[begun : begun + n_workers] == [("start", i) for i in range(n_workers)]
    # Workers are reused: so many processes as run at once, not as there are trials.
    assert len({run.worker for run in store.runs()}) <= 2 * n_workers
    # What they have reported is let go.
    assert n_held[14] <= n_held[0] + n_workers


def test_bad_trials_and_those_whose_workers_always_die_do_not_end_the_study(
    plan_for: MakePlan, store: Store, scratch: Path
) -> None:
    options = ("nan_at", "fail_at", "exit_at")
    bad = {"type": "categorical", "choices": [0, 2]}
    plan = plan_for(
        parameters=dict.fromkeys(options, bad),
        # Every fault by itself, and none.
        baselines=[{each: 2 * (each == wrong) for each in options} for wrong in (*options, None)],
        budget={"trials": 4},
        concurrency=1,
    )
    _, study = launch(plan, store, scratch)
    reasons = [trial.user_attrs.get(FAIL_REASON) for trial in study.trials]
    assert [trial.state for trial in study.trials] == [TrialState.FAIL] * 3 + [TrialState.COMPLETE]
    assert "not finite" in str(reasons[0])
    assert "fails in epoch 2" in str(reasons[1])
    assert str(reasons[2]).startswith("its worker died 3 times")
    assert reasons[3] is None


def test_stopped_and_gone_on_with_a_search_comes_to_its_end(
    plan_for: MakePlan,
    store: Store,
    scratch: Path,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ray's workers are stopped; the rest is trained in this process."""
    plan = plan_for(options={"sleep": 0.5}, budget={"trials": 2}, concurrency=2)
    (plan.place.checkpoints / "closed").mkdir(parents=True)
    foreign = plan.place.checkpoints / "closed" / "of-another-store.pt"
    foreign.touch()
    outcome, study = launch(plan, store, scratch, recorder, stop_after=8)
    assert outcome.status == "interrupted"
    states = [trial.state for trial in study.trials]
    assert TrialState.RUNNING not in states
    assert outcome.n_interrupted <= states.count(TrialState.WAITING)
    uids = {run.uid for run in store.runs() if run.state == "interrupted"}
    kept = {path.name for path in plan.place.checkpoints.rglob("*.pt*")} - {foreign.name}
    assert kept
    assert kept <= {f"{uid}.pt" for uid in uids}
    train_here(monkeypatch, scratch)
    monkeypatch.setattr("trainables.shipped.closed_form.time.sleep", lambda _: None)
    outcome, study = launch(plan, store, scratch, recorder)
    assert outcome.status == "done"
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 2
    for trial in study.trials:
        assert list(trial.intermediate_values) == list(range(1, 10))
    assert len(store.runs()) == 2
    assert store.n_epochs(study._study_id) == 18
    # Nothing is left of checkpoints but those of unfinished runs.
    assert list(plan.place.checkpoints.rglob("*.pt*")) == [foreign]


def test_time_limit_stops_a_launch_in_time(
    plan_for: MakePlan,
    store: Store,
    scratch: Path,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # An hour passes once a trial is trained, whatever this machine takes until then.
    clock = SimpleNamespace(monotonic=lambda: 3600.0 if recorder.events else 0.0)
    for module in ("launch.study", "runs.stopping"):
        monkeypatch.setattr(f"search.{module}.time", clock)
    plan = plan_for(options={"sleep": 3000.0}, budget={"trials": 2, "time_limit": "1h"})
    outcome, study = launch(plan, store, scratch, recorder, deadline=3600.0)
    assert outcome.status == "time limit"
    assert outcome.seconds == 3600  # It does not wait for the epochs of 50 minutes in flight.
    assert recorder.n_reports == 0
    assert {trial.state for trial in study.trials} == {TrialState.WAITING}
    assert store.launches()[0].status == "time limit"


@pytest.mark.parametrize("budget", [{"trials": 3}, {"trials": 9, "epochs": 27}])
def test_a_launch_with_nothing_left_to_train_starts_no_ray(
    plan_for: MakePlan,
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    budget: dict[str, int],
) -> None:
    """It takes with it what a killed launch has left, as others do."""

    class StartedRayError(Exception):
        pass

    def start(*_: object, **__: object) -> None:
        raise StartedRayError

    monkeypatch.setattr("search.workers.workplace.ray_session", start)
    with pytest.raises(StartedRayError):
        run_here(plan_for(budget=budget), store)
    study = search_here(plan_for(budget=budget), store)
    n_trials = len(study.trials)
    left = tmp_path / "ray-search-of-a-killed-launch"
    left.mkdir()
    (left / "launch.lock").touch()
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    outcome = run_here(plan_for(budget=budget), store)
    assert not left.exists()
    assert (outcome.status, outcome.n_interrupted) == ("done", 0)
    assert store.launches(study._study_id)[-1].status == "done"
    assert len(study.trials) == n_trials
    with pytest.raises(StartedRayError):  # There is something to confirm.
        run_study(
            plan_for(budget=budget, confirm={"top": 1, "seeds": 2}),
            opened(plan_for(budget=budget, confirm={"top": 1, "seeds": 2}), store),
            Recorder(),
        )
    with pytest.raises(StartedRayError):  # There is room for another trial.
        run_study(
            plan_for(budget={"trials": 10}),
            opened(plan_for(budget={"trials": 10}), store),
            Recorder(),
        )


def test_store_that_fails_in_mid_search_is_one_sentence(
    plan_for: MakePlan, store: Store, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_for()
    calls = []
    record_epochs = store.record_epochs

    def fail(*args: Any, **kwargs: Any) -> None:
        calls.append(args)
        if len(calls) == 5:
            raise optuna.exceptions.StorageInternalError("x") from OSError("disk full")
        record_epochs(*args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(store, "record_epochs", fail)
        with pytest.raises(StorageError, match="disk full; free some disk space"):
            launch(plan, store, scratch)
    study = open_study(plan, store)
    assert TrialState.RUNNING not in {trial.state for trial in study.trials}
    assert store.launches()[0].status == "failed"
    train_here(monkeypatch, scratch)
    launch(plan, store, scratch)
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}
    assert {len(trial.intermediate_values) for trial in study.trials} == {9}


def test_replicates_whose_worker_dies_once_go_on_and_are_trained_no_second_time(
    plan_for: MakePlan, store: Store, scratch: Path, tmp_path: Path
) -> None:
    options = {"exit_at": 5, "exit_marker": str(tmp_path / "died")}
    plan = plan_for(
        options=options,
        replicates=3,
        pruner={"name": "wilcoxon"},
        budget={"trials": 1},
    )
    _, study = launch(plan, store, scratch)
    assert (tmp_path / "died").exists()
    (trial,) = study.trials
    assert trial.state == TrialState.COMPLETE
    assert list(trial.intermediate_values) == [1, 2, 3]
    epochs = store.epochs(run.run_id for run in store.runs())
    assert [[each.epoch for each in of_run] for of_run in epochs.values()] == [
        list(range(1, 10))
    ] * 3
    assert list(plan.place.checkpoints.rglob("*.pt*")) == []


def test_confirmation_is_trained_after_the_search_and_only_once(
    plan_for: MakePlan, store: Store, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_for(
        confirm={"top": 2, "seeds": 3}, baselines=[{"learning_rate": 0.1, "weight_decay": 0.1}]
    )
    outcome, study = launch(plan, store, scratch)
    assert outcome.status == "done"
    runs = store.runs(study._study_id, "confirm")
    assert len(runs) == 9
    assert {run.state for run in runs} == {"complete"}
    found = read_confirmation(store, study._study_id, [0])
    assert found is not None
    assert found.baseline == 0
    assert found.trials[-1].trial_number == 0
    assert found.optimism.search_value == study.trials[found.winner.trial_number].value
    train_here(monkeypatch, scratch)
    launch(plan, store, scratch)
    assert len(store.runs(study._study_id, "confirm")) == 9
    assert store.n_epochs(study._study_id) == 12 * 9


def test_of_several_baselines_the_first_is_compared_with(
    plan_for: MakePlan, store: Store, here: Here, tmp_path: Path
) -> None:
    bad, good = ({"learning_rate": rate, "weight_decay": 1e-4} for rate in (0.1, 0.01))
    plan = plan_for(
        confirm={"top": 1, "seeds": 2},
        baselines=[bad, good],
        pruner={"name": "none"},
        budget={"trials": 2},
    )
    _, study = launch(plan, store, tmp_path)
    found = read_confirmation(store, study._study_id, [0, 1])
    assert found is not None
    assert found.winner.trial_number == 1
    assert found.baseline == 0
    assert list(found.comparisons) == [1]
    assert [trial.was_pruned for trial in found.trials] == [False, False]


def test_a_time_limit_ends_the_search_in_time_for_its_confirmation(
    plan_for: MakePlan, store: Store, here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder()

    def kept(reserve: Reserve, left: float) -> float:
        """All that is left, once the baseline and some others have ended."""
        n_ended = sum(event == "COMPLETE" for event, _ in recorder.events)
        return 86_400.0 if n_ended >= 6 and ("COMPLETE", 0) in recorder.events else 0.0

    monkeypatch.setattr(Reserve, "seconds", kept)
    plan = plan_for(
        baselines=[{"learning_rate": 1e-4, "weight_decay": 1e-1}],
        budget={"trials": 1000, "time_limit": "24h"},
        confirm={"top": 1, "seeds": 3},
        concurrency=1,  # A worker that is slow to start would let another train a thousand trials.
    )
    deadline = time.monotonic() + 86_400
    outcome, study = launch(plan, store, tmp_path, recorder, deadline=deadline)
    assert outcome.status == "time limit"
    assert store.launches()[-1].status == "time limit"
    states = Counter(trial.state for trial in study.trials)
    assert 6 <= states[TrialState.COMPLETE] < 500
    confirmed = store.runs(study._study_id, "confirm")
    assert [run.state for run in confirmed] == ["complete"] * 2 * 3
    assert confirm_queue(opened(plan, store)) == []


class Deleter(Recorder):
    """An observer in whose fifth report another program deletes the study, or a trial."""

    def __init__(self, store: Store, what: str) -> None:
        super().__init__()
        self._store, self._what = store, what

    def on_trial_report(self, trial: OpenTrial, report: Report) -> None:
        super().on_trial_report(trial, report)
        if self.n_reports != 5 or "confirmation" in self._what:
            return
        if self._what == "study":
            self._delete_study()
            return
        with self._store.engine.begin() as connection:
            for table in reversed(models.BaseModel.metadata.sorted_tables):
                if "trial_id" in table.c:
                    connection.execute(table.delete().where(table.c.trial_id == 1))

    def close(self) -> None:
        if self._what == "study before its confirmation":
            self._delete_study()

    def _delete_study(self) -> None:
        storage = optuna.storages.RDBStorage(self._store.url.render_as_string())
        optuna.delete_study(study_name="closed", storage=storage)
        storage.engine.dispose()


@pytest.mark.parametrize("what", ["study", "trial", "study before its confirmation"])
def test_what_is_deleted_under_a_launch_ends_it_with_one_sentence(
    plan_for: MakePlan, store: Store, here: Here, tmp_path: Path, what: str
) -> None:
    plan = plan_for(training={"epochs": 100_000})  # For longer than anybody waits.
    if "confirmation" in what:
        plan = plan_for(budget={"trials": 2}, confirm={"top": 1, "seeds": 2})
    said = f"another program deleted the {what.split()[0]} "
    with pytest.raises(DeletedError, match=said) as caught:
        launch(plan, store, tmp_path, Deleter(store, what))
    assert "\n" not in str(caught.value)
    states = {launch.status for launch in store.launches()}
    assert states == ({"failed"} if what == "trial" else set())
    assert not any(run.state == "running" for run in store.runs())
