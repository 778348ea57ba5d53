"""What people ask for from the pages becomes a row of the store, with their name."""

from __future__ import annotations

import getpass
import html
import re
import tempfile
import threading
from typing import Any
from urllib.parse import urlencode

import optuna
import pytest

from dashboards.pages.acting.queue import N_ENDED
from dashboards.pages.credentials import Credentials
from dashboards.pages.guard import Guard
from dashboards.pages.site import Site
from search.serve.queueing import check_submission
from search.service.stop import main as stop_command
from storage import Store
from storage.actions import list_actions
from storage.submissions import change_submission, list_submissions, submission_of, submit
from storage.tables.service import NewAction
from tests.dashboards.made.bulk_study import add_study, begin_launch
from tests.dashboards.made.reported_benchmark import made_benchmark
from tests.dashboards.pages.web import Answer, basic, request
from tests.storage.test_submissions import new

ANNE = Credentials("anne", "secret")
SPACE = """\
study: started
trainable: closed-form
parameters:
  learning_rate: {type: float, low: 1.0e-3, high: 1.0e-1, log: true}
budget: {trials: 3}
"""


def post(store: Store, address: str, *, signed_in: bool = True, **fields: Any) -> Answer:
    app = Guard(Site(store, check_submission), ANNE if signed_in else None)
    headers = {"Origin": "http://localhost:8080", **(basic("anne", "secret") if signed_in else {})}
    body = urlencode(fields).encode()
    return request(app, address, method="POST", headers=headers, body=body)


def page(store: Store, address: str) -> str:
    app = Guard(Site(store), ANNE)
    answer = request(app, address, headers=basic("anne", "secret"))
    assert answer.status == 200
    return html.unescape(answer.text)


@pytest.fixture
def study_id(store: Store) -> int:
    return add_study(store, "made", 6)


def test_a_trial_is_queued_with_values_that_the_space_has(store: Store, study_id: int) -> None:
    form = page(store, f"/study/{study_id}/actions?trial=1")
    assert "value.learning_rate" in form
    sent = {"verb": "queue-trial", "value.learning_rate": "0.002"}
    assert post(store, f"/study/{study_id}/actions", **sent).status == 303
    waiting = optuna.load_study(study_name="made", storage=store.optuna_storage).get_trials(
        states=(optuna.trial.TrialState.WAITING,)
    )
    assert [trial.system_attrs["fixed_params"] for trial in waiting][-1:] == [
        {"learning_rate": 0.002}
    ]
    (action,) = list_actions(store, study="made")
    assert (action.asked_by, action.state) == ("page anne", "done")
    assert action.answer == f"it is trial {waiting[-1].number}"
    shown = page(store, f"/data/study/{study_id}/actions")
    assert "anne" in shown
    assert "learning_rate=0.002" in shown
    assert "queue a trial" in page(store, f"/data/study/{study_id}")


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"verb": "queue-trial", "value.learning_rate": "much"}, "learning_rate"),
        ({"verb": "queue-trial", "value.nothing": "1"}, "not searched"),
        ({"verb": "queue-trial"}, "one parameter"),
        ({"verb": "add-budget", "launch": "1"}, "trials or a time"),
        ({"verb": "add-budget", "launch": "1", "time": "soon"}, "soon"),
        ({"verb": "stop-trial", "trial": "9999"}, "9999"),
        ({"verb": "note"}, "write something"),
        ({"verb": "tag", "text": "t" * 61}, "60"),
        ({"verb": "format-disk"}, "no such form"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_done(
    store: Store, study_id: int, sent: dict[str, str], said: str
) -> None:
    answer = post(store, f"/study/{study_id}/actions", **sent)
    assert answer.status == 400
    assert said in html.unescape(answer.text)
    assert not list_actions(store)


def test_a_launch_that_is_alive_is_asked_and_one_that_ended_refuses(
    store: Store, study_id: int
) -> None:
    launch = begin_launch(store, study_id)
    assert f"Stop launch {launch}" in page(store, f"/study/{study_id}/actions")
    for sent in ({"verb": "stop"}, {"verb": "add-budget", "trials": "5", "time": "10m"}):
        assert post(store, f"/study/{study_id}/actions", launch=launch, **sent).status == 303
    budget, stop = list_actions(store, launch_id=launch)
    assert (stop.verb, stop.state, budget.state) == ("stop", "asked", "asked")
    assert budget.detail == {"trials": 5, "time_limit": 600}
    store.end_launch(launch, "interrupted")
    assert post(store, f"/study/{study_id}/actions", launch=launch, verb="stop").status == 303
    assert [each.state for each in list_actions(store, launch_id=launch)] == ["refused"] * 3


def test_what_a_command_asks_of_a_launch_stands_on_the_page_of_its_study(
    store: Store, study_id: int
) -> None:
    launch = begin_launch(store, study_id)
    assert stop_command(["--launch", str(launch), "--storage", str(store.url)]) == 0
    assert getpass.getuser() in page(store, f"/data/study/{study_id}/actions")
    assert [each.verb for each in list_actions(store, study="made")] == ["stop"]


def test_no_page_reads_the_store_where_all_requests_are_waited_for(
    store: Store, study_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers: list[threading.Thread] = []
    rows = Store.rows

    def watched(self: Store, *what: Any) -> Any:
        readers.append(threading.current_thread())
        return rows(self, *what)

    monkeypatch.setattr(Store, "rows", watched)
    for address in ("/queue", f"/study/{study_id}/actions"):
        page(store, address)
        page(store, f"/data{address}")
        assert post(store, address, verb="format-disk").status == 400
    assert readers
    assert threading.main_thread() not in readers


def test_notes_and_tags_stand_at_the_top_and_go_again(store: Store, study_id: int) -> None:
    address = f"/study/{study_id}/actions"
    post(store, address, verb="note", text="A <b>note</b>.")
    post(store, address, verb="tag", text="kept")
    lead = request(Site(store), f"/data/study/{study_id}").json()["lead"]
    assert "A &lt;b&gt;note&lt;/b&gt;." in lead
    assert ">kept</span>" in lead
    post(store, address, verb="untag", text="kept")
    assert ">kept</span>" not in request(Site(store), f"/data/study/{study_id}").json()["lead"]


def test_nobody_acts_without_a_name_nor_from_elsewhere(store: Store, study_id: int) -> None:
    address = f"/study/{study_id}/actions"
    refused = post(store, address, signed_in=False, verb="note", text="x")
    assert refused.status == 400
    assert "Nobody is signed in" in refused.text
    assert "disabled" in request(Site(store), address).text
    app = Guard(Site(store), ANNE)
    headers = {**basic("anne", "secret"), "Origin": "https://elsewhere.example"}
    body = b"verb=note&text=x"
    assert request(app, address, method="POST", headers=headers, body=body).status == 403
    assert not list_actions(store)


def test_a_space_file_becomes_a_submission_and_a_wrong_one_does_not(store: Store) -> None:
    add_study(store, "made", 2)
    wrong = post(store, "/queue", verb="submit", command="launch", file="study: 3")
    assert wrong.status == 400
    assert "space.yaml" in html.unescape(wrong.text)
    assert not list_submissions(store)
    sent = {"file": SPACE, "arguments": "--time-limit 1m", "priority": "2"}
    assert post(store, "/queue", verb="submit", command="launch", **sent).status == 303
    (submission,) = list_submissions(store)
    assert (submission.name, submission.submitted_by, submission.priority) == (
        "started", "page anne", 2,
    )  # fmt: skip
    assert submission.arguments == ["--space", "space.yaml", "--time-limit", "1m"]
    whole = submission_of(store, submission.submission_id)
    assert whole is not None
    assert dict(whole.files) == {"space.yaml": SPACE.strip()}
    shown = page(store, "/data/queue")
    assert "No agent has been heard of" in shown
    assert "agent" in shown
    number = submission.submission_id
    assert post(store, "/queue", verb="priority", submission=number, priority=-2).status == 303
    assert [each.priority for each in list_submissions(store)] == [-2]
    assert post(store, "/queue", verb="pause", submission=number).status == 303
    assert [each.state for each in list_submissions(store)] == ["paused"]


def test_a_form_that_is_sent_twice_asks_once(store: Store, study_id: int) -> None:
    address = f"/study/{study_id}/actions"
    key = re.findall(r'name="key" value="(\w{32})"', page(store, "/queue"))[0]
    submitted = {"verb": "submit", "command": "launch", "file": SPACE, "key": key}
    queued = {"verb": "queue-trial", "value.learning_rate": "0.002", "key": key}
    for where, sent in (("/queue", submitted), (address, queued)):
        assert [post(store, where, **sent).status for _ in range(2)] == [303, 303]
    assert len(list_submissions(store)) == 1
    assert [each.verb for each in list_actions(store)] == ["queue-trial", "submit"]
    # What is written anew into a form that was sent is something else.
    assert post(store, address, **{**queued, "value.learning_rate": "0.003"}).status == 303
    assert len(list_actions(store, study="made")) == 2
    keys = re.findall(r'name="key" value="(\w{32})"', page(store, address))
    assert len({*keys, key}) == len(keys) + 1 > 2


CONFIGS = """\
name: two
trainable: closed-form
configs:
- {name: one, options: {learning_rate: 0.01}}
"""


@pytest.mark.parametrize(
    ("command", "file", "arguments", "said"),
    [
        ("launch", SPACE, "--trials many", "--trials"),
        ("launch", SPACE, "--space other.yaml", "other.yaml"),
        ("launch", CONFIGS, "", "space.yaml"),
        ("benchmark", CONFIGS, "--speed 3", "--speed"),
        ("benchmark", CONFIGS.replace("0.01", "much"), "", "configs.yaml"),
        ("benchmark", SPACE, "", "configs.yaml"),
        ("benchmark", "name: [", "", "configs.yaml"),
    ],
)
def test_the_form_refuses_what_the_command_refuses(
    store: Store, command: str, file: str, arguments: str, said: str
) -> None:
    sent = {"verb": "submit", "command": command, "file": file, "arguments": arguments}
    answer = post(store, "/queue", **sent)
    assert answer.status == 400
    (alert,) = re.findall('role="alert">(.*?)</p>', html.unescape(answer.text))
    assert said in alert
    # The directory in which the file was read is nobody's matter.
    assert tempfile.gettempdir() not in alert
    assert not list_submissions(store)


def test_a_config_file_becomes_a_benchmark_of_its_name(store: Store) -> None:
    sent = {"verb": "submit", "command": "benchmark", "file": CONFIGS}
    assert post(store, "/queue", **sent).status == 303
    assert [each.name for each in list_submissions(store)] == ["two"]


def test_of_what_has_ended_the_queue_shows_the_newest(store: Store) -> None:
    for number in range(N_ENDED + 2):
        kept = submit(store, new(f"kept-{number}", priority=-number))
        if number:
            stop = NewAction(verb="stop", asked_by="anne", submission_id=kept)
            change_submission(store, stop)
    shown = page(store, "/data/queue")
    assert [f" kept-{number}\\u003c" in shown for number in (0, 1, 2, N_ENDED + 1)] == [
        True, False, True, True,
    ]  # fmt: skip
    assert "search queue --all" in shown


def test_a_benchmark_that_runs_is_stopped_from_its_page(store: Store) -> None:
    record = made_benchmark(store, {"MLP": {1: 0.3}, "Siamese": {}}, n_seeds=3)
    launch = begin_launch(store, None, config={"benchmark": record.name})
    shown = page(store, f"/now/benchmark/{record.benchmark_id}")
    assert 'value=\\"stop\\"' in shown
    assert post(store, "/queue", verb="stop", launch=launch).status == 303
    (action,) = list_actions(store, launch_id=launch)
    assert (action.verb, action.asked_by, action.state) == ("stop", "page anne", "asked")
    assert f"stop launch {launch}" in page(store, "/data/queue")
