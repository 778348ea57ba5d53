"""What the API shows, and what it queues: the same as the commands, the functions and the pages."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa

import search
from search.__main__ import main
from search.tokens import main as tokens
from space.errors import UsageError
from storage import Store
from storage.actions import list_actions
from storage.submissions import submission_of
from storage.tables.optuna_models import OF_TRIAL, TRIALS
from storage.tokens import find_token, list_tokens
from tests.dashboards.made.bulk_study import add_study
from tests.search.serve.conftest import FOUR, Api

CSV = "config,seed,test_acc\n" + "".join(
    f"{name},{seed},{value + seed / 100}\n"
    for name, value in (("a", 0.5), ("b", 0.7))
    for seed in range(6)
)
QUEUED: dict[str, Any] = {
    "command": "launch",
    "name": "mine",
    "files": {"mine.yaml": "study: mine\n", "nets/net.py": "import torch\n"},
    "arguments": ["--space", "mine.yaml", "--trials", "5"],
    "cpus": 2,
}


def test_studies_are_as_the_commands_print_them(
    api: Api, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    launch = api.begin({**FOUR, "study": "a.b"})
    for value in (0.3, 0.1):
        api.finish(launch, api.done(f"/launches/{launch}/ask")["trial"], value)
    api.done(f"/launches/{launch}/end")
    capsys.readouterr()

    def printed(*arguments: str) -> Any:
        assert main(["storage", *arguments, "--storage", api._url, "--format", "json"]) == 0
        return json.loads(capsys.readouterr().out)

    shown = printed("show", "a.b")
    assert api.get("/studies") + api.get("/benchmarks") == printed("list")
    assert {**api.get("/studies/a.b"), "trials": api.get("/studies/a.b/trials")} == shown
    assert api.get("/studies/a.b/trials?offset=1&limit=1") == shown["trials"][1:]
    with monkeypatch.context() as patch:
        read, runs = [], Store.runs
        patch.setattr(Store, "runs", lambda *a, **k: read.append(found := runs(*a, **k)) or found)
        assert api.get("/studies/a.b/trials/1") == shown["trials"][1]
    assert [len(found) for found in read] == [1]
    study = search.open_study("a.b", storage=api._url)
    epochs = json.loads(study.epochs().to_json(orient="records", double_precision=15))
    assert [each["val_error"] for each in api.get("/studies/a.b/epochs")] == [
        each["val_error"] for each in epochs
    ]
    assert {each["trial"] for each in api.get("/studies/a.b/trials/1/epochs")} == {1}
    assert api.get("/studies/a.b/verdict")["outcome"] == study.verdict


def test_a_trial_keeps_its_number_where_one_before_it_was_deleted(api: Api) -> None:
    add_study(api.store, "made", 6)
    (deleted,) = (each for each in api.get("/studies/made/trials") if each["number"] == 2)
    trials = TRIALS.c.study_id == api.store.study_id("made")
    with api.store.engine.begin() as connection:
        own = sa.select(TRIALS.c.trial_id).where(trials & (TRIALS.c.number == 2))
        for table in (*OF_TRIAL, TRIALS):
            connection.execute(table.delete().where(table.c.trial_id.in_(own)))
    api.restart()
    assert api.get("/studies/made/trials/3")["number"] == 3
    answer = api.ask("GET", f"/studies/made/trials/{deleted['number']}")
    assert (answer.status, answer.json()["error"]) == (404, "study 'made' has no trial 2")
    assert api.get("/studies/made/trials/2/epochs") == []


def test_verdicts_are_those_of_the_function(api: Api) -> None:
    from io import StringIO

    import pandas as pd

    frame = pd.read_csv(StringIO(CSV))
    found = api.ask("POST", "/verdicts", {"csv": CSV, "reference": "a"}, role="reader")
    assert found.json() == json.loads(search.verdict(frame, reference="a").text("json")) | {
        "title": found.json()["title"]
    }
    assert api.refused("/verdicts", {"csv": "config\na\n"})[0] == 422


def test_the_schema_describes_every_address(api: Api) -> None:
    schema = api.get("/openapi.json")
    addresses = {
        f"{method.upper()} {path}" for path, each in schema["paths"].items() for method in each
    }
    assert {"POST /launches/{launch}/ask", "GET /studies", "POST /submissions"} <= addresses
    assert all(each["summary"] for path in schema["paths"].values() for each in path.values())


def test_what_is_queued(api: Api) -> None:
    numbers = [api.done("/submissions", QUEUED, key="one")["submission"] for _ in range(2)]
    assert numbers[0] == numbers[1]
    found = submission_of(api.store, numbers[0])
    assert found is not None
    assert (found.submitted_by, found.state, found.cpus) == ("token editor", "queued", 2)
    for other in ({"cpus": 3}, {"priority": 1}):
        assert api.refused("/submissions", {**QUEUED, **other}, key="one")[0] == 422
    path = f"/submissions/{numbers[0]}"
    for _ in range(2):
        done = api.done(f"{path}/priority", {"priority": 7}, key="seven")
        assert done["answer"] == "its priority is 7"
    assert api.refused(f"{path}/priority", {"priority": 8}, key="seven")[0] == 422
    for verb, state in (("pause", "paused"), ("resume", "queued"), ("stop", "stopped")):
        for _ in range(2):
            assert api.done(f"{path}/{verb}", key=verb)["answer"] == f"it is {state}"
    assert api.get(path)["files"] == QUEUED["files"]
    (listed,) = api.get("/submissions")
    assert (listed["priority"], "files" in listed) == (7, False)
    assert api.get("/submissions?offset=1") == []
    assert api.refused(f"{path}/pause") == (409, "it is stopped")
    assert api.refused(f"{path}/stop", key="pause")[0] == 422
    assert api.get("/actions?submission=99") == []
    actions = api.get("/actions?limit=6&submission=1")
    assert [(each["verb"], each["asked_by"], each["state"]) for each in actions] == [
        (verb, "token editor", "refused" if number == 0 else "done")
        for number, verb in enumerate(("pause", "stop", "resume", "pause", "priority", "submit"))
    ]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"files": {"../x.yaml": ""}}, "files"),
        ({"files": {".bashrc": ""}}, "files"),
        ({"files": {"/etc/x": ""}}, "files"),
        ({"files": {"nets/../../x": ""}}, "files"),
        ({"files": {"nets//x": ""}}, "files"),
        ({"files": {}}, "files"),
        ({"arguments": ["--space", "other.yaml"]}, "other.yaml"),
        ({"arguments": []}, "--space"),
        ({"arguments": ["--space", "mine.yaml", "--trials", "none"]}, "none"),
        ({"arguments": ["--space", "mine.yaml", "--storage", "sqlite:///x"]}, "--storage"),
        ({"arguments": ["--space", "mine.yaml", "--checkpoints=/etc"]}, "--checkpoints"),
        ({"arguments": ["--help"]}, "help"),
        ({"command": "storage"}, "command"),
        ({"priority": 10**6}, "priority"),
        ({"cpus": float("nan")}, "cpus"),
        ({"cpus": 0}, "cpus"),
        ({"gpus": 0.5}, "gpus"),
        ({"files": {"mine.yaml": "", "mine.yaml/x": ""}}, "directory"),
        ({"arguments": ["--space", "mine.yaml", "--set", "seed=\0"]}, "NUL"),
        ({"name": "a\0b"}, "name"),
    ],
)
def test_what_no_agent_could_run_is_refused(api: Api, change: dict[str, Any], word: str) -> None:
    status, said = api.refused("/submissions", {**QUEUED, **change})
    assert (status, word in said) == (422, True), said
    assert list_actions(api.store, study="mine") == []


def test_a_launch_is_stopped_whoever_began_it(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.runs.actions.LOOK_SECONDS", 0.0)
    launch = api.begin()
    api.done(f"/launches/{launch}/ask")
    for _ in range(2):
        stopped = api.ask("POST", f"/launches/{launch}/stop", role="admin", key="stop")
        assert (stopped.status, stopped.json()["state"]) == (202, "asked")
    assert [each["verb"] for each in api.get("/actions?study=closed")] == ["stop", "begin-launch"]
    assert api.refused(f"/launches/{launch}/ask")[0] == 409
    assert [each["state"] for each in api.get("/actions?study=closed")] == ["done", "done"]
    assert api.get("/studies/closed")["trials_by_state"]["WAITING"] == 1
    status, said = api.refused(f"/launches/{launch}/stop")
    assert (status, f"launch {launch}" in said) == (409, True)
    assert api.refused("/launches/99/stop")[0] == 409
    with search.open_study("closed", storage=api._url) as study:
        study.ask()
        own = study.view.launches[-1].launch_id
        assert api.ask("POST", f"/launches/{own}/stop").status == 202


def test_the_command_makes_lists_and_revokes(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--storage", api._url]
    options = ["--name", "ci", "--role", "editor", "--expires", "30d"]
    assert tokens(["create", *options, *where]) == 0
    token = capsys.readouterr().out.strip()
    found = find_token(api.store, token)
    assert found is not None
    assert found.expires_at is not None
    assert (found.role, (found.expires_at - found.created_at).days) == ("editor", 30)
    assert tokens(["list", *where]) == 0
    listed = capsys.readouterr().out
    assert "ci" in listed
    assert token not in listed
    assert tokens(["revoke", "ci", *where]) == 0
    assert find_token(api.store, token) is None
    for wrong in (["create", *options], ["revoke", "cy"]):
        with pytest.raises(UsageError, match="token"):
            tokens([*wrong, *where])
    assert {each.name for each in list_tokens(api.store)} == {"reader", "editor", "admin", "ci"}
