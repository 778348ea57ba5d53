"""What a running launch is asked for is done once and answered truly, wherever the launch dies."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

import search.trials.ledger
from search.benchmark.__main__ import main as benchmark
from search.launch.__main__ import main as launch
from search.launch.budget import _option
from search.launch.plan import Plan
from search.runs.actions import SUBMISSION_VARIABLE
from space.amounts import parse_duration
from space.errors import LeaseLostError
from space.terminal.command import EXIT_INTERRUPTED
from storage import Store
from storage.actions import ask, list_actions
from storage.admin.check import check_store
from storage.submissions import (
    change_submission,
    list_submissions,
    put_back,
    submit,
    take,
)
from storage.tables.attributes import FAIL_REASON
from storage.tables.service import ActionRecord, NewAction, NewSubmission
from tests.storage.test_submissions import DEAD, ROOM, new

from ..conftest import Recorder, new_ledger, work
from ..here import Here

MakePlan = Callable[..., Plan]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A launch looks at what it is asked for whenever it may."""
    monkeypatch.setattr("search.runs.actions.LOOK_SECONDS", 0.0)


def command(store: Store, tmp_path: Path, *options: str) -> int:
    where = ["--storage", str(store.url.database)]
    return launch(["--space", str(tmp_path / "space.yaml"), *where, *options])


def asking(store: Store, verb: str, **changes: Any) -> Callable[[], ActionRecord]:
    """Asks the newest launch for something."""

    def do() -> ActionRecord:
        launch_id = store.launches()[-1].launch_id
        return ask(store, NewAction(verb=verb, asked_by="ada", launch_id=launch_id, **changes))

    return do


def answers(store: Store) -> list[tuple[str, str | None]]:
    return [(each.state, each.answer) for each in reversed(list_actions(store))]


def states(store: Store) -> dict[int, TrialState]:
    trials = store.optuna_storage.get_all_trials(store.study_id("closed"))
    return {trial.number: trial.state for trial in trials}


def test_a_stopped_launch_ends_as_after_ctrl_c_and_goes_on_later(
    plan_for: MakePlan, store: Store, here: Here, tmp_path: Path
) -> None:
    plan_for()
    here.at[13] = asking(store, "stop")
    assert command(store, tmp_path) == EXIT_INTERRUPTED
    assert answers(store) == [("done", "launch 1 has stopped")]
    assert [each.status for each in store.launches()] == ["interrupted"]
    assert TrialState.WAITING in states(store).values()
    assert command(store, tmp_path) == 0
    assert list(states(store).values()) == [TrialState.COMPLETE] * 12
    assert check_store(store).findings == []


def test_a_stopped_trial_is_what_is_true_of_it(
    plan_for: MakePlan, store: Store, here: Here, tmp_path: Path
) -> None:
    plan_for()
    here.at[13] = asking(store, "stop-trial", trial_number=1)
    here.at[40] = asking(store, "stop-trial", trial_number=1)
    here.at[41] = asking(store, "dance")
    assert command(store, tmp_path) == 0
    assert answers(store) == [
        ("done", "trial 1 is stopped"),
        ("refused", "trial 1 is not trained by this launch"),
        ("refused", "this launch searches nothing now"),
    ]
    assert states(store).pop(1) == TrialState.PRUNED
    trial = store.optuna_storage.get_all_trials(store.study_id("closed"))[1]
    assert trial.value == trial.intermediate_values[trial.last_step or 0]
    assert list(states(store).values()).count(TrialState.COMPLETE) == 11
    (run,) = [run for run in store.runs() if run.trial_id == trial._trial_id]
    assert (run.state, run.reason) == ("pruned", "ada stopped it")
    assert check_store(store).findings == []


def test_a_trial_stopped_before_it_reported_has_failed_and_is_no_fault_of_the_space(
    plan_for: MakePlan, store: Store
) -> None:
    plan = plan_for(limits={"failures_in_a_row": 1})
    ledger, study = new_ledger(plan, store, Recorder())
    assert ledger.next_assignment() is not None
    action = asking(store, "stop-trial", trial_number=0)()
    ledger.stop_trial(0, action)
    (trial,) = study.trials
    assert (trial.state, trial.user_attrs[FAIL_REASON]) == (TrialState.FAIL, "ada stopped it")
    work(ledger, plan)
    assert len(study.trials) == 12


class KilledError(BaseException):
    """The driver is gone."""


@pytest.mark.parametrize("n_steps", [0, 3])
def test_a_trial_whose_end_was_promised_ends_though_its_launch_dies_first(
    plan_for: MakePlan, store: Store, monkeypatch: pytest.MonkeyPatch, n_steps: int
) -> None:
    plan = plan_for(budget={"trials": 2})
    ledger, study = new_ledger(plan, store, Recorder())
    work(ledger, plan, n_steps=n_steps)
    if not n_steps:
        assert ledger.next_assignment() is not None
    action = asking(store, "stop-trial", trial_number=0)()

    def die(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as dying:
        dying.setattr(search.trials.ledger.Ledger, "_stop", die)
        with pytest.raises(KilledError):
            ledger.stop_trial(0, action)
    assert answers(store) == [("done", "trial 0 is stopped")]
    assert study.trials[0].state == TrialState.RUNNING
    store.end_launch(action.launch_id or 0, "died")
    later, study = new_ledger(plan, store, Recorder())
    work(later, plan)
    ended = TrialState.PRUNED if n_steps else TrialState.FAIL
    assert [trial.state for trial in study.trials] == [ended, TrialState.COMPLETE]


def test_more_budget_is_a_change_as_if_the_command_had_named_it(
    plan_for: MakePlan, store: Store, here: Here, tmp_path: Path
) -> None:
    plan_for(budget={"trials": 4, "time_limit": 1000})
    here.at[13] = asking(store, "add-budget", detail={"trials": 3, "time_limit": 500})
    assert command(store, tmp_path) == 0
    changes = ["budget.trials: 4, now 7", "budget.time_limit: 16m40s, now 25m"]
    assert answers(store) == [("done", "; ".join(changes))]
    assert len(states(store)) == 7
    (done,) = store.launches()
    assert (done.changes, done.config["budget"]["trials"]) == (changes, 7)
    assert command(store, tmp_path, "--trials", "9", "--time-limit", "1500s") == 0
    later = [each for each in store.launches()[-1].changes if not each.startswith("code: ")]
    assert later == ["budget.trials: 7, now 9"]


def test_a_submission_begins_again_with_all_the_time_that_it_was_given() -> None:
    option, text = _option("time_limit", 1234567.0)
    assert (option, parse_duration(text)) == ("--time-limit", 1234567.0)


@pytest.mark.parametrize(
    "detail", [{"time_limit": 60}, {"trials": 3, "time_limit": 60}, {"trials": -1}, {}]
)
def test_no_limit_takes_no_more(
    plan_for: MakePlan, store: Store, here: Here, tmp_path: Path, detail: dict[str, int]
) -> None:
    plan_for(budget={"trials": 4})
    here.at[13] = asking(store, "add-budget", detail=detail)
    assert command(store, tmp_path) == 0
    assert [state for state, _ in answers(store)] == ["refused"]
    assert len(states(store)) == 4


def submitted(store: Store, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> NewSubmission:
    """Let the next command be that of a submission."""
    submission = new("closed", **changes)
    submit(store, submission)
    taken = take(store, DEAD, free=ROOM, total=ROOM)
    assert taken is not None
    monkeypatch.setenv(SUBMISSION_VARIABLE, str(taken.hold))
    return submission


def test_a_launch_of_a_submission_obeys_what_that_is_asked_for(
    plan_for: MakePlan,
    store: Store,
    here: Here,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan_for(budget={"trials": 4})
    submitted(store, monkeypatch)
    here.at[5] = asking(store, "add-budget", detail={"trials": 3})
    here.at[13] = lambda: change_submission(
        store, NewAction(verb="pause", asked_by="bob", submission_id=1)
    )
    assert command(store, tmp_path) == EXIT_INTERRUPTED
    (submission,) = list_submissions(store)
    assert (submission.state, submission.launch_id) == ("running", 1)
    assert submission.arguments[-2:] == ["--trials", "7"]
    verbs = {each.verb: each.state for each in list_actions(store)}
    assert verbs == {"submit": "done", "add-budget": "done", "pause": "asked"}


def test_a_launch_whose_submission_is_not_held_so_any_more_begins_nothing(
    plan_for: MakePlan,
    store: Store,
    here: Here,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan_for()
    monkeypatch.setenv(SUBMISSION_VARIABLE, "another")
    with pytest.raises(LeaseLostError, match="put back"):
        command(store, tmp_path)
    assert (store.launches(), here.n_epochs) == ([], 0)


def test_a_benchmark_stops_and_has_no_trials(store: Store, here: Here, tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    configs = [{"name": "made", "training": {"epochs": 9}}]
    path.write_text(json.dumps({"name": "one", "trainable": "closed-form", "configs": configs}))
    here.at[4] = asking(store, "stop-trial", trial_number=0)
    here.at[13] = asking(store, "stop")
    where = ["--storage", str(store.url.database)]
    assert benchmark(["--config", str(path), "--seeds", "3", *where]) == EXIT_INTERRUPTED
    assert [state for state, _ in answers(store)] == ["refused", "done"]
    assert benchmark(["--config", str(path), "--seeds", "3", *where]) == 0
    assert {run.state for run in store.runs()} == {"complete"}


def test_to_stop_a_launch_of_a_submission_is_to_stop_that(
    plan_for: MakePlan,
    store: Store,
    here: Here,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan_for()
    submitted(store, monkeypatch)
    here.at[13] = asking(store, "stop")
    assert command(store, tmp_path) == EXIT_INTERRUPTED
    put_back(store)
    assert [each.state for each in list_submissions(store)] == ["stopped"]
    assert answers(store)[-1] == ("done", "it is stopped")
