"""Trials trained elsewhere over HTTP: under the lease, the pruner and the truth of any launch."""

from __future__ import annotations

import asyncio
import threading

import pytest

import search
from dashboards.pages.guard import API
from space.terminal.printing import remember, say_event
from storage.actions import STOP, STOP_TRIAL, ask, list_actions
from storage.admin.check import check_store
from storage.clients import trial_given
from storage.leases import LEASE_SECONDS
from storage.tables.service import NewAction
from tests.conftest import BACKENDS
from tests.dashboards.pages.web import asked
from tests.search.conftest import ASHA
from tests.search.serve.conftest import FOUR, METRICS, Api, silence

REPORT = {"epoch": 1, "metrics": METRICS}


def test_a_study_is_trained_to_its_end(api: Api) -> None:
    launch = api.begin()
    numbers = []
    while (given := api.done(f"/launches/{launch}/ask"))["trial"] is not None:
        numbers.append(given["trial"]["number"])
        assert set(given["trial"]["params"]) == set(FOUR["parameters"])
        assert api.finish(launch, given["trial"], value=numbers[-1] / 10) == "COMPLETE"
    assert (numbers, given["finished"]) == ([0, 1, 2, 3], True)
    api.done(f"/launches/{launch}/end")
    study = search.open_study("closed", storage=api._url)
    assert list(study.trials()["val_error"]) == [0.0, 0.1, 0.2, 0.3]
    (found,) = study.view.launches
    assert (found.status, found.host, found.command) == (
        "done", "editor@127.0.0.1", "POST /api/v1/launches",
    )  # fmt: skip
    assert check_store(api.store).findings == []
    (action,) = (each for each in list_actions(api.store) if each.study == "closed")
    assert (action.verb, action.asked_by, action.launch_id) == (
        "begin-launch", "token editor", launch,
    )  # fmt: skip


def test_the_pruner_decides_as_ever(api: Api) -> None:
    launch = api.begin({**FOUR, "pruner": ASHA, "training": {"epochs": 9}})
    trials = [api.done(f"/launches/{launch}/ask")["trial"]["number"] for _ in range(3)]
    said = [
        api.done(
            f"/launches/{launch}/trials/{number}/report",
            {"epoch": 1, "metrics": {**METRICS, "val_error": value}},
        )
        for number, value in zip(trials, (0.1, 0.2, 0.9), strict=True)
    ]
    assert said[0] == {"goes_on": True, "state": "RUNNING"}
    assert said[2] == {"goes_on": False, "state": "PRUNED"}
    assert api.done(f"/launches/{launch}/trials/{trials[2]}/tell", {}) == {"state": "PRUNED"}


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_said_twice_is_done_once(api: Api) -> None:
    body = {"space": FOUR}
    launch, again = (api.done("/launches", body, key="begin")["launch"] for _ in range(2))
    assert launch == again
    first, same = (api.done(f"/launches/{launch}/ask", key="one")["trial"] for _ in range(2))
    other = api.done(f"/launches/{launch}/ask", key="two")["trial"]
    assert first == same
    assert [first["number"], other["number"]] == [0, 1]
    path = f"/launches/{launch}/trials/0"
    for _ in range(2):
        assert api.done(f"{path}/report", REPORT) == {"goes_on": True, "state": "RUNNING"}
    assert len(api.get("/studies/closed/trials/0/epochs")) == 1
    for _ in range(2):
        assert api.done(f"{path}/tell", {"failure": "no\nmemory"}) == {"state": "FAIL"}
    # Said of a trial that has ended, a report changes nothing, either.
    assert api.done(f"{path}/report", REPORT) == {"goes_on": False, "state": "FAIL"}
    assert api.get("/studies/closed/trials/0")["reason"] == "no memory"
    status, said = api.refused(f"/launches/{launch}/ask", key="one")
    assert (status, "FAIL" in said) == (409, True)
    for _ in range(2):
        assert api.done(f"/launches/{launch}/end") == {"state": "ended"}
    assert [each["status"] for each in api.get("/studies/closed")["launches"]] == ["interrupted"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_server_that_is_started_again_loses_nothing(api: Api) -> None:
    launch = api.begin()
    trial = api.done(f"/launches/{launch}/ask", key="one")["trial"]
    path = f"/launches/{launch}/trials/{trial['number']}"
    for epoch in range(1, 5):
        api.restart()
        if epoch == 2:
            same = api.done(f"/launches/{launch}/ask", key="one")["trial"]
            assert (same["number"], same["runs"][0]["run"]) == (0, trial["runs"][0]["run"])
            assert same["runs"][0]["known"] == 1
        said = api.done(f"{path}/report", {"epoch": epoch, "metrics": METRICS})
    assert said == {"goes_on": False, "state": "COMPLETE"}
    api.restart()
    assert api.done(f"{path}/report", {"epoch": 4, "metrics": METRICS}) == said
    assert api.done(f"{path}/tell", {}) == {"state": "COMPLETE"}
    assert api.done(f"/launches/{launch}/ask")["trial"]["number"] == 1
    assert len(api.get("/studies/closed")["launches"]) == 1
    assert check_store(api.store).findings == []


def test_two_servers_take_turns(api: Api) -> None:
    launch = api.begin()
    trial = api.done(f"/launches/{launch}/ask")["trial"]
    first = api.app
    api.restart()
    second = api.app
    for epoch in range(1, 5):
        api.app = (first, second)[epoch % 2]
        body = {"epoch": epoch, "metrics": METRICS}
        said = api.done(f"/launches/{launch}/trials/{trial['number']}/report", body)
    assert said["state"] == "COMPLETE"


@pytest.mark.parametrize(
    "dies_at",
    [
        pytest.param("search.serve.held.give", id="before it has written down for whom"),
        pytest.param("search.trials.ledger.Ledger._begin_run", id="before the trial has a run"),
        pytest.param("search.trials.ledger.propose", id="before the trial has parameters"),
    ],
)
def test_a_trial_of_an_answer_that_was_lost_is_given_to_the_next(
    api: Api, monkeypatch: pytest.MonkeyPatch, dies_at: str
) -> None:
    launch = api.begin()
    with monkeypatch.context() as patch:
        patch.setattr(dies_at, lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            api.ask("POST", f"/launches/{launch}/ask", key="one")
    api.restart()
    numbers = [api.done(f"/launches/{launch}/ask", key=key)["trial"]["number"] for key in "123"]
    assert numbers == [0, 1, 2]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_client_that_died_is_reclaimed(api: Api) -> None:
    dead = api.begin()
    trial = api.done(f"/launches/{dead}/ask")["trial"]
    api.done(f"/launches/{dead}/trials/0/report", REPORT)
    silence(api.store, dead)
    launch = api.begin()
    again = api.done(f"/launches/{launch}/ask")["trial"]
    assert (again["number"], again["runs"][0]["known"]) == (0, 1)
    assert again["params"] == trial["params"]
    # It was not dead after all, and hears of it.
    for what in ("ask", "beat", "trials/0/report", "trials/0/tell"):
        body = {"report": {"epoch": 2, "metrics": METRICS}, "tell": {}}.get(what.split("/")[-1])
        status, said = api.refused(f"/launches/{dead}/{what}", body)
        assert (status, "begin another" in said) == (409, True)
    assert api.finish(launch, again) == "COMPLETE"
    assert [each["status"] for each in api.get("/studies/closed")["launches"]] == [
        "died", "running",
    ]  # fmt: skip
    assert check_store(api.store).findings == []


def test_a_beat_keeps_a_launch(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.runs.lease.HEARTBEAT_SECONDS", 0.0)
    launch = api.begin()
    silence(api.store, launch)
    assert api.done(f"/launches/{launch}/beat") == {"lease_seconds": LEASE_SECONDS}
    (found,) = api.store.launches()
    assert found.silence < LEASE_SECONDS


def test_what_a_server_says_is_not_said_of_a_clients_launch(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.runs.lease.HEARTBEAT_SECONDS", 0.0)
    launch = api.begin()
    say_event("something about another launch")
    remember("a warning about another launch")
    api.done(f"/launches/{launch}/beat")
    course = api.store.course(launch)
    assert course is not None
    assert (course.lines, course.warnings) == ((), ())


def test_replicates_are_told_apart(api: Api) -> None:
    launch = api.begin({**FOUR, "replicates": 2, "training": {"epochs": 1}})
    trial = api.done(f"/launches/{launch}/ask")["trial"]
    path = f"/launches/{launch}/trials/0/report"
    first, second = (run["run"] for run in trial["runs"])
    assert api.refused(path, REPORT)[0] == 422
    assert api.refused(path, {**REPORT, "run": second + 1})[0] == 422
    assert api.done(path, {**REPORT, "run": first})["state"] == "RUNNING"
    api.restart()
    assert api.done(path, {**REPORT, "run": second})["state"] == "COMPLETE"


def test_clients_and_programs_share_a_study(api: Api) -> None:
    launch = api.begin()
    api.done(f"/launches/{launch}/ask")
    with search.open_study("closed", storage=api._url) as study:
        own = study.ask()
        assert own is not None
        assert own.number == 1
        # A launch that a program of its own holds is no client's.
        status, said = api.refused(f"/launches/{study.view.launches[-1].launch_id}/ask")
        assert (status, "no client" in said) == (404, True)
        status, _ = api.refused(f"/launches/{launch}/trials/1/report", REPORT)
        assert status == 409
    assert api.done(f"/launches/{launch}/ask")["trial"]["number"] == 1


def test_launches_of_one_server_keep_their_budgets(api: Api) -> None:
    small, large = api.begin({**FOUR, "budget": {"trials": 1}}), api.begin()
    assert api.done(f"/launches/{small}/ask")["trial"]["number"] == 0
    assert api.done(f"/launches/{small}/ask") == {"trial": None, "finished": False}
    assert api.done(f"/launches/{large}/ask")["trial"]["number"] == 1


def test_what_is_not_finite_fails_the_trial(api: Api) -> None:
    launch = api.begin()
    api.done(f"/launches/{launch}/ask")
    body = {"epoch": 1, "metrics": {**METRICS, "val_error": None}}
    said = api.done(f"/launches/{launch}/trials/0/report", body)
    assert said == {"goes_on": False, "state": "FAIL"}


def test_what_was_given_is_forgotten_once_its_launch_ended(api: Api) -> None:
    launch = api.begin()
    api.done(f"/launches/{launch}/ask", key="one")
    api.done(f"/launches/{launch}/end")
    api.begin()
    assert trial_given(api.store, launch, "one") is None


def test_an_open_trial_is_not_given_twice_without_keys(api: Api) -> None:
    launch = api.begin()
    numbers = []
    for _ in range(3):
        numbers.append(api.done(f"/launches/{launch}/ask")["trial"]["number"])
        api.restart()
    assert numbers == [0, 1, 2]


def test_what_others_ask_of_it_reaches_a_clients_launch(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a page or a command, also where another server began it."""
    monkeypatch.setattr("search.runs.actions.LOOK_SECONDS", 0.0)
    launch = api.begin()
    for number in (0, 1):
        api.done(f"/launches/{launch}/ask")
        api.done(f"/launches/{launch}/trials/{number}/report", REPORT)
    ask(api.store, NewAction(verb=STOP_TRIAL, asked_by="anna", launch_id=launch, trial_number=0))
    api.restart()
    body = {"epoch": 2, "metrics": METRICS}
    said = api.done(f"/launches/{launch}/trials/0/report", body)
    assert said == {"goes_on": False, "state": "PRUNED"}
    assert api.get("/studies/closed/trials/0")["reason"] == "anna stopped it"
    ask(api.store, NewAction(verb=STOP, asked_by="anna", launch_id=launch))
    status, said = api.refused(f"/launches/{launch}/trials/1/report", body)
    assert (status, "stopped" in said) == (409, True)
    assert api.get("/studies/closed")["trials_by_state"]["WAITING"] == 1
    assert [each["state"] for each in api.get("/actions?launch=1")] == ["done"] * 3
    assert check_store(api.store).findings == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_many_clients_at_once(api: Api) -> None:
    """More than a store has connections for, had each those that it may need at a time."""
    n_clients = 20
    space = {**FOUR, "training": {"epochs": 1}, "budget": {"trials": n_clients}}
    states = []

    def train() -> None:
        launch = api.begin(space)
        states.append(api.finish(launch, api.done(f"/launches/{launch}/ask")["trial"]))
        api.done(f"/launches/{launch}/end")

    threads = [threading.Thread(target=train) for _ in range(n_clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert states == ["COMPLETE"] * n_clients
    assert len(api.get("/studies/closed")["launches"]) == n_clients


def test_requests_that_wait_for_a_launch_leave_the_others_their_threads(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch = api.begin()
    may_go_on = threading.Event()
    monkeypatch.setattr("search.api.asked.AskedLaunch.renew", lambda _: may_go_on.wait())
    head = {"Authorization": f"Bearer {api.tokens['editor']}"}

    async def many() -> list[int]:
        beat = f"{API}/launches/{launch}/beat"
        waiting = [
            asyncio.create_task(asked(api.app, beat, method="POST", headers=head))
            for _ in range(60)  # More than a server has threads for all its pages.
        ]
        try:
            found = await asyncio.wait_for(asked(api.app, f"{API}/token", headers=head), 30)
        finally:
            may_go_on.set()
        return [found.status, *(each.status for each in await asyncio.gather(*waiting))]

    assert set(asyncio.run(many())) == {200}


def test_a_launch_that_was_forgotten_is_found_again(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch = api.begin()
    trial = api.done(f"/launches/{launch}/ask")["trial"]
    monkeypatch.setattr("search.serve.held.LEASE_SECONDS", -1.0)
    api.begin()
    assert api.finish(launch, trial) == "COMPLETE"
