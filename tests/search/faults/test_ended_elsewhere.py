"""A trial that another program ends while a launch trains it is over, and costs nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

import search.trials.ledger
from search.launch.plan import Plan
from search.runs.protocol import Report
from search.trials.ledger import Ledger
from search.trials.open_trial import OpenTrial
from search.trials.sampling import propose
from search.workers.ray_session import Slots
from space import Space
from storage import Store
from storage.admin.check import check_store
from tests.search.conftest import run_search

from ...conftest import BACKENDS
from ..conftest import Recorder, new_ledger, work

MakePlan = Callable[..., Plan]
COMPLETE, FAIL, PRUNED = TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED
ELSEWHERE = "another program ended the trial"
SLOTS = Slots(cpus=2, gpus=0, nodes=1, concurrency=1, gpus_per_trial=0)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """The kind of database that `store` is."""
    return str(request.param)


def end(store: Store, number: int, state: TrialState = FAIL) -> None:
    """End a trial as another program does: through a storage of its own."""
    storage = optuna.storages.RDBStorage(store.url.render_as_string(hide_password=False))
    optuna.load_study(study_name="closed", storage=storage).tell(number, state=state)
    storage.remove_session()
    storage.engine.dispose()


class Ender(Recorder):
    """An observer in whose so-many-th report of trial 0 another program ends that trial."""

    def __init__(self, store: Store, at: int, state: TrialState) -> None:
        super().__init__()
        self._store, self._at, self._state = store, at, state

    def on_trial_report(self, trial: OpenTrial, report: Report) -> None:
        super().on_trial_report(trial, report)
        if trial.number == 0 and self.events.count(("report", 0)) == self._at:
            end(self._store, 0, self._state)

    def on_trial_end(self, trial: OpenTrial) -> None:
        super().on_trial_end(trial)
        assert trial.number or (trial.state, trial.reason) == (self._state, ELSEWHERE)


THRESHOLD = {"name": "threshold", "upper": 0.0, "n_warmup_steps": 4}
TWO = {
    "objective": [{"metric": "val_error"}, {"metric": "train_seconds"}],
    "sampler": {"name": "nsga2"},
}


@pytest.mark.parametrize("backend", ["sqlite"])
@pytest.mark.parametrize(
    ("changes", "at", "state"),
    [
        pytest.param({}, 2, FAIL, id="early"),
        pytest.param({}, 2, PRUNED, id="pruned"),
        pytest.param({}, 9, FAIL, id="at its last epoch"),
        pytest.param({"pruner": THRESHOLD}, 4, FAIL, id="where the pruner would stop it"),
        pytest.param({"replicates": 3}, 4, FAIL, id="replicates"),
        pytest.param({"replicates": 3}, 27, FAIL, id="replicates at their last epoch"),
        pytest.param({"replicates": 3, "pruner": {"name": "wilcoxon"}}, 4, FAIL, id="in turn"),
        pytest.param(TWO, 2, FAIL, id="two objectives"),
    ],
)
def test_a_trial_that_another_program_ends_is_over_and_the_search_goes_on(
    plan_for: MakePlan, store: Store, changes: dict[str, Any], at: int, state: TrialState
) -> None:
    plan = plan_for(**changes, budget={"trials": 4})
    ender = Ender(store, at, state)
    ledger, study = new_ledger(plan, store, ender)
    work(ledger, plan)
    assert ledger.interrupt("done") == 0
    store.end_launch(1, "done")
    first, *others = study.get_trials()
    assert first.state == state
    assert ender.events.count((state.name, 0)) == 1
    assert {trial.state for trial in others} == {PRUNED if "upper" in str(changes) else COMPLETE}
    assert len(others) == 3
    runs = [run for run in store.runs() if run.trial_id == first._trial_id]
    ended = {(run.state, run.reason) for run in runs}
    assert ended == {("failed" if state == FAIL else "pruned", ELSEWHERE)}
    assert sum(run.n_epochs for run in runs) == ender.events.count(("report", 0)) == at
    assert check_store(store).findings == []


def fail(ledger: Ledger) -> None:
    for run_id, opened in list(ledger._by_run.items()):
        if opened.number == 0:
            ledger.fail(run_id, "it is broken")
            assert not ledger.is_open(run_id)
    assert len(ledger._open) == 1


def nothing(ledger: Ledger) -> None:
    pass


@pytest.mark.parametrize("event", [fail, nothing])
def test_the_other_trials_are_put_back(
    plan_for: MakePlan, store: Store, event: Callable[[Ledger], None]
) -> None:
    plan = plan_for()
    recorder = Recorder()
    ledger, study = new_ledger(plan, store, recorder)
    work(ledger, plan, n_steps=2)
    end(store, 0)
    event(ledger)
    assert ledger.interrupt("stopped") == 1
    store.end_launch(1, "interrupted")
    assert [trial.state for trial in study.get_trials()] == [FAIL, TrialState.WAITING]
    assert recorder.events[-2:] == [("FAIL", 0), ("WAITING", 1)]
    ended = [(run.state, run.reason) for run in store.runs()]
    assert ended == [("failed", ELSEWHERE), ("interrupted", "stopped")]
    assert check_store(store).findings == []


def test_a_trial_that_ends_elsewhere_before_it_begins_is_left_to_its_end(
    plan_for: MakePlan, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(asked: optuna.Trial, space: Space) -> dict[str, Any]:
        if asked.number == 0:
            end(store, 0)
        return propose(asked, space)

    monkeypatch.setattr(search.trials.ledger, "propose", late)
    plan = plan_for(budget={"trials": 3})
    ledger, study = new_ledger(plan, store, Recorder())
    work(ledger, plan)
    assert [trial.state for trial in study.get_trials()] == [FAIL, COMPLETE, COMPLETE]
    assert {run.state for run in store.runs()} == {"complete"}


@pytest.mark.parametrize(
    ("error", "status"), [(None, "time limit"), (MemoryError, "failed")], ids=["limit", "error"]
)
def test_a_launch_ends_truthfully_with_a_trial_that_ended_elsewhere(
    plan_for: MakePlan,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    error: type[BaseException] | None,
    status: str,
) -> None:
    def run_tune(ledger: Ledger, *_: Any) -> str:
        for _ in range(2):
            assert ledger.next_assignment() is not None
        end(store, 0)
        if error is not None:
            raise error
        return "time limit"

    monkeypatch.setattr("search.launch.study.run_tune", run_tune)
    plan = plan_for()
    if error is None:
        outcome = run_search(plan, store, Recorder(), slots=SLOTS, scratch=tmp_path)
        assert (outcome.status, outcome.n_interrupted) == (status, 1)
    else:
        with pytest.raises(error):
            run_search(plan, store, Recorder(), slots=SLOTS, scratch=tmp_path)
    assert [launch.status for launch in store.launches()] == [status]
    assert [run.state for run in store.runs()] == ["failed", "interrupted"]
    assert check_store(store).findings == []
