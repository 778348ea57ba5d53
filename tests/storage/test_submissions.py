"""A submission is in one agent's hands at a time, and nothing that is asked of it is lost."""

from __future__ import annotations

import os
import platform
import threading
from contextlib import closing
from dataclasses import replace
from typing import Any

import optuna
import pytest

from space.errors import LeaseLostError, UsageError
from storage import Store, open_store
from storage.actions import list_actions
from storage.admin.check import check_store
from storage.admin.copying import copy_store
from storage.leases import process_mark
from storage.submissions import (
    MAX_DEATHS,
    begin_under,
    change_submission,
    end_hold,
    hold_on,
    list_submissions,
    put_back,
    submission_of,
    submit,
    take,
)
from storage.tables.service import Holder, NewAction, NewSubmission, SubmissionRecord
from tests.records import begin_run, epoch, new_launch, record_epoch

HERE = Holder(host=platform.node(), pid=os.getpid(), process=process_mark(os.getpid()))
DEAD = Holder(host=platform.node(), pid=os.getpid(), process=f"{process_mark(os.getpid())}0")
ROOM = (4.0, 1.0)


def new(name: str = "made", **changes: Any) -> NewSubmission:
    known: dict[str, Any] = {
        "submitted_by": "ada",
        "name": name,
        "command": "launch",
        "files": {"space.yaml": "study: made"},
        "arguments": ["--space", "space.yaml"],
    }
    return NewSubmission(**{**known, **changes})


def taken(store: Store, holder: Holder = HERE, **changes: Any) -> SubmissionRecord:
    found = take(store, holder, **{"free": ROOM, "total": ROOM, **changes})
    assert found is not None
    return found


def change(store: Store, number: int, verb: str, **detail: int) -> tuple[str, str | None]:
    action = NewAction(verb=verb, asked_by="bob", submission_id=number, detail=detail)
    done = change_submission(store, action)
    return done.state, done.answer


def state_of(store: Store, number: int) -> str:
    found = submission_of(store, number)
    assert found is not None
    return found.state


def begin(store: Store, submission: SubmissionRecord, **changes: Any) -> int:
    """Begin a launch of a submission, as its command does."""
    hold = submission.hold
    assert hold is not None
    return store.begin_launch(new_launch(**changes), lambda c, number: begin_under(c, hold, number))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"command": "agent"}, "agent"),
        ({"files": {"../space.yaml": ""}}, "working directory"),
        ({"files": {"own": "", "own/net.py": ""}}, "no directory"),
        ({"arguments": ["--space", "a\0b"]}, "NUL"),
        ({"arguments": ["--checkpoints=/etc"]}, "--checkpoints"),
        ({"cpus": 0.5}, "whole"),
        ({"gpus": 0.5}, "whole"),
    ],
)
def test_what_no_agent_is_to_run_is_refused(
    store: Store, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        submit(store, new(**changes))
    assert list_submissions(store) == []
    assert list_actions(store) == []


def test_submissions_are_taken_by_priority_then_age_as_they_fit(store: Store) -> None:
    low = submit(store, new("low", priority=-1))
    first, second = submit(store, new("first")), submit(store, new("second"))
    huge = submit(store, new("huge", priority=9, cpus=100))
    high = submit(store, new("high", priority=1, gpus=1))
    assert [each.submission_id for each in list_submissions(store)] == [
        huge, high, first, second, low,
    ]  # fmt: skip
    # What would fit an idle agent is waited for; what never does, is passed by.
    assert take(store, HERE, free=(4, 0), total=ROOM) is None
    order = [taken(store).submission_id for _ in range(4)]
    assert order == [high, first, second, low]
    assert take(store, HERE, free=ROOM, total=ROOM) is None
    assert [each.name for each in list_submissions(store, "queued")] == ["huge"]


def test_of_many_agents_each_submission_has_one(store: Store, store_url: str) -> None:
    numbers = {submit(store, new(str(number))) for number in range(12)}
    got: list[int] = []

    def agent() -> None:
        with closing(open_store(store_url)) as own:
            while (found := take(own, HERE, free=ROOM, total=ROOM)) is not None:
                got.append(found.submission_id)

    agents = [threading.Thread(target=agent) for _ in range(3)]
    for each in agents:
        each.start()
    for each in agents:
        each.join()
    assert sorted(got) == sorted(numbers)


def test_a_dead_agents_submission_is_put_back_and_its_late_command_begins_nothing(
    store: Store,
) -> None:
    number = submit(store, new())
    lost = taken(store, DEAD)
    assert [each.table for each in check_store(store).findings] == ["search_submissions"]
    assert put_back(store) == ([], [number])
    assert state_of(store, number) == "queued"
    assert lost.hold is not None
    assert not hold_on(store, lost.hold, DEAD)
    again = taken(store)
    with pytest.raises(LeaseLostError, match="put back"):
        begin(store, lost)
    assert store.launches() == []
    launch_id = begin(store, again)
    assert put_back(store) == ([], [])  # Its agent lives.
    now = submission_of(store, number)
    assert now is not None
    assert (now.state, now.launch_id) == ("running", launch_id)
    assert end_hold(store, now, "done", None) == "done"
    assert end_hold(store, now, "queued", None) is None
    assert check_store(store).findings == []


def test_a_launch_outlives_its_agent(store: Store) -> None:
    number = submit(store, new())
    process = {"host": platform.node(), "pid": os.getpid(), "process": process_mark(os.getpid())}
    launch_id = begin(store, taken(store, DEAD), **process)
    (orphan,), _ = put_back(store)
    assert (orphan.submission_id, state_of(store, number)) == (number, "running")
    assert check_store(store).findings == []
    # Another agent may look after it.
    assert orphan.hold is not None
    assert hold_on(store, orphan.hold, HERE)
    assert put_back(store) == ([], [])
    assert hold_on(store, orphan.hold, DEAD)
    store.end_launch(launch_id, "time limit")
    assert put_back(store) == ([], [number])
    now = submission_of(store, number)
    assert now is not None
    assert (now.state, now.reason) == ("done", "time limit")
    assert now.ended_at is not None


@pytest.mark.parametrize(
    ("status", "state"), [("died", "queued"), ("interrupted", "queued"), ("failed", "failed")]
)
def test_what_a_launch_says_without_its_agent_counts(store: Store, status: str, state: str) -> None:
    number = submit(store, new())
    store.end_launch(begin(store, taken(store, DEAD)), status)
    put_back(store)
    assert state_of(store, number) == state


def test_one_that_dies_in_vain_is_not_queued_for_ever(store: Store) -> None:
    number = submit(store, new())
    study = optuna.create_study(study_name="made", storage=store.optuna_storage)

    def die(*, has_trained: bool = False, ended: str = "died") -> SubmissionRecord:
        submission = taken(store)
        launch_id = begin(store, submission, study_id=study._study_id)
        if has_trained:
            trial_id = study.ask()._trial_id
            run = begin_run(store, launch_id, trial_id, study_id=study._study_id)
            record_epoch(store, run, epoch(1))
        end_hold(store, replace(submission, launch_id=launch_id), ended, "launch died")
        found = submission_of(store, number)
        assert found is not None
        return found

    for ended in ("died", "queued"):  # One that was told to stop has not died.
        for _ in range(MAX_DEATHS - 1):
            assert die().state == "queued"
        assert die(ended=ended, has_trained=ended == "died").deaths == 0
    for _ in range(MAX_DEATHS - 1):
        die()
    failed = die()
    assert (failed.state, failed.deaths) == ("failed", MAX_DEATHS)
    assert "memory" in str(failed.reason)
    assert change(store, number, "resume") == ("done", "it is queued")
    assert die().deaths == 1


def test_what_waits_is_changed_at_once(store: Store) -> None:
    number = submit(store, new())
    assert change(store, number, "priority", priority=5) == ("done", "its priority is 5")
    assert change(store, number, "resume") == ("refused", "it is queued")
    assert change(store, number, "pause") == ("done", "it is paused")
    assert take(store, HERE, free=ROOM, total=ROOM) is None
    assert change(store, number, "stop") == ("done", "it is stopped")
    assert change(store, number, "pause") == ("refused", "it is stopped")
    assert change(store, number, "resume") == ("done", "it is queued")
    assert taken(store).priority == 5
    assert change(store, number, "priority", priority=1) == ("refused", "it is running")
    assert change(store, 99, "stop") == ("refused", "there is no submission 99")
    verbs = [(each.verb, each.asked_by) for each in reversed(list_actions(store))]
    assert verbs[:2] == [("submit", "ada"), ("priority", "bob")]


@pytest.mark.parametrize(
    ("verbs", "ended", "state"),
    [
        (["pause"], "queued", "paused"),
        (["pause", "stop"], "queued", "stopped"),
        (["stop", "pause"], "queued", "stopped"),
        (["stop"], "done", "done"),
        (["pause"], "failed", "failed"),
        ([], "queued", "queued"),
    ],
)
def test_a_running_one_is_asked_and_answered_as_it_leaves_that_state(
    store: Store, verbs: list[str], ended: str, state: str
) -> None:
    number = submit(store, new())
    running = taken(store)
    for verb in verbs:
        assert change(store, number, verb) == ("asked", None)
    assert end_hold(store, running, ended, "why") == state
    answers = {
        each.state
        for each in list_actions(store, submission_id=number)
        if each.verb in ("stop", "pause")
    }
    assert answers == ({"done" if ended == "queued" else "refused"} if verbs else set())


def test_a_wish_holds_where_the_agent_died_before_it_was_obeyed(store: Store) -> None:
    number = submit(store, new())
    taken(store, DEAD)
    assert change(store, number, "pause") == ("asked", None)
    put_back(store)
    assert state_of(store, number) == "paused"


def test_a_copy_of_the_queue_runs_nothing(store: Store, tmp_path: Any) -> None:
    waiting, done, running = (submit(store, new(name)) for name in ("waiting", "done", "running"))
    change(store, waiting, "priority", priority=-1)
    submission = taken(store)
    now = submission_of(store, submission.submission_id)
    assert now is not None
    end_hold(store, now, "done", None)
    assert taken(store).submission_id == running
    change(store, running, "stop")
    with closing(open_store(str(tmp_path / "copy.db"))) as target:
        submit(target, new("own"))
        for _ in range(2):  # What is there already, is left.
            copy_store(store, target)
        states = {each.name: each.state for each in list_submissions(target)}
        assert states == {
            "own": "queued",
            "waiting": "paused",
            "done": "done",
            "running": "paused",
        }
        names = {each.submission_id: each.name for each in list_submissions(target)}
        actions = list_actions(target)
        assert len(actions) == len(list_actions(store)) + 1
        (stop,) = [each for each in actions if each.verb == "stop"]
        assert (names[stop.submission_id or 0], stop.state) == ("running", "refused")
    assert done == now.submission_id


def test_what_was_done_stays_on_record_when_its_study_goes(store: Store) -> None:
    study = optuna.create_study(study_name="made", storage=store.optuna_storage)
    submit(store, new())
    begin(store, taken(store), study_id=study._study_id)
    optuna.delete_study(study_name="made", storage=store.optuna_storage)
    assert store.launches() == []
    assert [each.name for each in list_submissions(store)] == ["made"]
    assert [each.study for each in list_actions(store)] == ["made"]
