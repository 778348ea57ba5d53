"""Attacks on tokens, roles, sizes, paths, origins, ids and bodies, each with what it gets.

None of them changes a row of the store, and none gets more than one sentence.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import BaseModel

from dashboards.pages.credentials import Credentials, Guesses
from dashboards.pages.guard import API, Guard
from dashboards.pages.site import Site
from search.serve.access import BURST_SECONDS, LARGEST_REQUEST_BYTES, Rate
from search.serve.app import make_api
from search.serve.space import OF_FILES
from space.study.space import Space
from storage.actions import list_actions
from storage.tables.schema import metadata
from storage.tokens import create_token, find_token, list_tokens, revoke_token
from tests.dashboards.pages.web import basic, request
from tests.search.serve.conftest import FOUR, METRICS, Api
from trainables.finding.find import SHIPPED

REPORT = {"epoch": 1, "metrics": METRICS}
DEEP = b"[" * 100_000 + b"]" * 100_000
NESTED = b'{"a": ' * 700 + b"1" + b"}" * 700
LARGE = b'{"study": "' + b"a" * LARGEST_REQUEST_BYTES + b'"}'


@dataclass
class Attack:
    """A request, and what it gets.

    Attributes:
        what: In a few words.
        status: The answer's status.
        word: A word of its sentence.
    """

    what: str
    status: int
    word: str
    method: str = "POST"
    path: str = "/launches"
    body: Any = None
    role: str = "editor"
    token: str | None = None
    key: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


def with_space(**parts: Any) -> dict[str, Any]:
    return {"space": {**FOUR, **parts}}


def without_token(scheme: str) -> dict[str, str]:
    return {"Authorization": scheme}


ATTACKS = [
    # Tokens.
    Attack("no token", 401, "token", "GET", "/studies", headers=without_token("")),
    Attack("an empty token", 401, "token", "GET", "/studies", headers=without_token("Bearer ")),
    Attack("a guessed token", 401, "token", "GET", "/studies", token="search_" + "A" * 43),
    Attack("a hash for a token", 401, "token", "GET", "/studies", token="0" * 64),
    Attack("SQL for a token", 401, "token", "GET", "/studies", token="' OR 1=1 --"),
    Attack("a token of odd bytes", 401, "token", "GET", "/studies", token="\xff\x80"),
    Attack("another scheme", 401, "token", "GET", "/studies", headers=basic("editor", "editor")),
    # Roles.
    Attack("a reader begins a launch", 403, "editor", body={"space": FOUR}, role="reader"),
    Attack("a reader asks", 403, "editor", path="/launches/1/ask", role="reader"),
    Attack("a reader tells", 403, "editor", path="/launches/1/trials/0/tell", role="reader"),
    Attack("an editor makes a token", 403, "admin", path="/tokens",
           body={"name": "mine", "role": "admin"}),
    Attack("an editor sees tokens", 403, "admin", "GET", "/tokens"),
    Attack("an editor revokes a token", 403, "admin", "DELETE", "/tokens/admin"),
    Attack("by another method", 403, "editor", "PUT", "/studies", role="reader"),
    Attack("another's launch", 403, "another token", path="/launches/1/ask", role="admin"),
    # Sizes.
    Attack("a large body", 413, "bytes", body=LARGE),
    Attack("a large body without a token", 401, "token", body=LARGE, headers=without_token("")),
    Attack("many metrics", 422, "metrics", path="/launches/1/trials/0/report",
           body={"epoch": 1, "metrics": {f"m{i}": 0.0 for i in range(1000)}}),
    Attack("a long key", 422, "Idempotency-Key", path="/launches/1/ask", key="k" * 65),
    Attack("a deep body", 400, "no JSON", body=b'{"space": ' + DEEP + b"}"),
    Attack("a nested body", 422, "nested", body=b'{"space": ' + NESTED + b"}"),
    # Paths and names.
    Attack("a path out of the API", 404, "nothing", "GET", "/../../data/overview"),
    Attack("a path with blanks", 404, "nothing", "GET", "/studies/%00/x/y"),
    Attack("a name with NUL", 404, "no study", "GET", "/studies/a%00b"),
    Attack("SQL for a name", 404, "no study", "GET", "/studies/x'%20OR%20'1'='1"),
    Attack("a file for a study", 422, "study", body={"study": "../../etc/passwd\n"}),
    # Origins and hosts.
    Attack("a page of another site", 403, "own pages", path="/launches/1/ask",
           headers={"Origin": "http://evil.example"}),
    Attack("a form of another site", 403, "own pages", path="/launches/1/ask",
           headers={"Sec-Fetch-Site": "cross-site"}),
    Attack("a host that resolves to here", 403, "names", "GET", "/studies",
           headers={"Host": "evil.example"}),
    # Ids.
    Attack("a launch of nobody", 404, "no client", path="/launches/99/ask"),
    Attack("a negative launch", 422, "launch", path="/launches/-1/ask"),
    Attack("a launch beyond the database", 422, "launch", path="/launches/99999999999999999/ask"),
    Attack("a trial of nobody", 404, "no trial", path="/launches/1/trials/77/report", body=REPORT),
    Attack("a run of another", 422, "run 99", path="/launches/1/trials/0/report",
           body={**REPORT, "run": 99}),
    # Bodies.
    Attack("no JSON", 422, "no JSON", body=b"{"),
    Attack("JSON of another kind", 422, "", body=b"[]"),
    Attack("no UTF-8", 400, "no JSON", body=b'{"study": "\xff"}'),
    Attack("an unknown key", 422, "owner", body={"study": "closed", "owner": "me"}),
    Attack("text for a number", 422, "epoch", path="/launches/1/trials/0/report",
           body={"epoch": "1", "metrics": METRICS}),
    Attack("the test split", 422, "test split", path="/launches/1/trials/0/report",
           body={"epoch": 1, "metrics": {**METRICS, "test_error": 0.0}}),
    Attack("a later epoch", 422, "first", path="/launches/1/trials/0/report",
           body={"epoch": 3, "metrics": METRICS}),
    Attack("a form for JSON", 422, "", body=b"study=closed",
           headers={"Content-Type": "application/x-www-form-urlencoded"}),
    # Spaces.
    Attack("code of a file", 422, "code", body=with_space(trainable="/tmp/evil.py:Evil")),
    Attack("code of a module", 422, "code", body=with_space(sampler={"name": "os:system"})),
    Attack("code of a module, spelled out", 422, "code",
           body=with_space(sampler={"name": "own", "path": "os:system"})),
    Attack("code in a pruner of a pruner", 422, "code",
           body=with_space(pruner={"name": "patient", "patience": 1, "pruner": "os:system"})),
    Attack("code of a callback", 422, "code", body=with_space(callbacks=["/tmp/evil.py:Evil"])),
    Attack("code where there is no GPU", 422, "code",
           body=with_space(without_gpu={"pruner": {"name": "os:system"}})),
    Attack("a file of the server", 422, "file",
           body=with_space(trainable="table-mlp", options={"csv": "/etc/passwd"})),
    Attack("a file as a searched value", 422, "file", body=with_space(
        trainable="table-mlp",
        parameters={"csv": {"type": "categorical", "choices": ["/etc/passwd", "/etc/hosts"]}})),
]  # fmt: skip


def rows(api: Api) -> dict[str, list[Any]]:
    """All that the store holds of ours, but for when launches were heard of."""
    with api.store.engine.connect() as connection:
        return {
            table.name: [
                tuple(row)
                for row in connection.execute(
                    sa.select(*(each for each in table.c if each.name != "heartbeat_at"))
                )
            ]
            for table in metadata.sorted_tables
        }


def attempt(api: Api, attack: Attack) -> tuple[int, str]:
    answer = api.ask(
        attack.method,
        attack.path,
        attack.body,
        role=attack.role,
        token=attack.token,
        key=attack.key,
        **attack.headers,
    )
    assert answer.headers["Content-Type"] == "application/json", answer.text
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    said = answer.json()
    assert set(said) == {"error"}
    assert "\n" not in said["error"]
    for leaked in ("Traceback", "root:", "sqlite", "s.db", "site-packages"):
        assert leaked not in said["error"]
    return answer.status, said["error"]


def test_attacks(api: Api) -> None:
    launch = api.begin()
    assert (launch, api.done("/launches/1/ask")["trial"]["number"]) == (1, 0)
    before = rows(api)
    wrong = []
    for attack in ATTACKS:
        status, said = attempt(api, attack)
        if (status, attack.word in said) != (attack.status, True):
            wrong.append((attack.what, status, said))
    assert wrong == []
    assert len(ATTACKS) >= 30
    assert rows(api) == before


def test_a_token_that_is_revoked_or_expired_is_refused_at_once(api: Api) -> None:
    short = create_token(api.store, "short", "reader", asked_by="test", seconds=1e-6)
    assert api.ask("GET", "/studies", token=short).status == 401
    assert api.ask("GET", "/studies").status == 200
    revoke_token(api.store, "editor", asked_by="test")
    assert api.ask("GET", "/studies").status == 401
    assert {each.name: each.state for each in list_tokens(api.store)} == {
        "reader": "active", "editor": "revoked", "admin": "active", "short": "expired",
    }  # fmt: skip


def test_the_store_has_no_token(api: Api) -> None:
    with api.store.engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert raw is not None
        dump = "\n".join(raw.iterdump())
    for token in api.tokens.values():
        assert token not in dump
        assert find_token(api.store, token) is not None
        assert find_token(api.store, token[:-1]) is None


def test_admins_make_and_revoke_tokens_and_it_is_written_down(api: Api) -> None:
    body = {"name": "ci", "role": "editor", "expires": "30d"}
    made = api.ask("POST", "/tokens", body, role="admin")
    assert made.status == 201
    token = made.json()["token"]
    assert api.ask("POST", "/launches", {"space": FOUR}, token=token).status == 201
    assert api.ask("POST", "/tokens", body, role="admin").status == 422
    assert token not in api.ask("GET", "/tokens", role="admin").text
    for _ in range(2):
        assert api.ask("DELETE", "/tokens/ci", role="admin").status == 200
    assert api.ask("DELETE", "/tokens/cy", role="admin").status == 404
    assert api.ask("GET", "/studies", token=token).status == 401
    # Its name is never another token's.
    assert api.ask("POST", "/tokens", body, role="admin").status == 422
    done = [(each.verb, each.asked_by, each.detail["name"]) for each in list_actions(api.store)
            if each.detail.get("name") == "ci"]  # fmt: skip
    assert done == [("revoke-token", "token admin", "ci")] * 2 + [
        ("create-token", "token admin", "ci")
    ]


def test_who_guesses_tokens_has_to_wait_and_nobody_else(api: Api) -> None:
    wrong = {"Authorization": "Bearer search_guess"}
    statuses = [
        request(api.app, f"{API}/studies", headers=wrong, client="10.0.0.1").status
        for _ in range(Guesses.ALLOWED + 1)
    ]
    assert statuses == [401] * Guesses.ALLOWED + [429]
    refused = request(api.app, f"{API}/studies", headers=wrong, client="10.0.0.1")
    assert 0 < int(refused.headers["Retry-After"]) <= Guesses.SECONDS
    assert request(api.app, f"{API}/studies", headers=wrong, client="10.0.0.2").status == 401
    # Behind a proxy all come from its address: who has a token is not kept out by who has not.
    right = {"Authorization": f"Bearer {api.tokens['reader']}"}
    assert request(api.app, f"{API}/studies", headers=right, client="10.0.0.1").status == 200
    # Pages count their own guesses.
    assert request(api.app, "/", client="10.0.0.1").status == 200


def test_who_asks_too_often_has_to_wait(api: Api) -> None:
    api.rate = 1.0
    api.restart()
    answers = [api.ask("GET", "/studies") for _ in range(int(BURST_SECONDS) + 3)]
    assert answers[0].status == 200
    assert answers[-1].status == 429
    assert answers[-1].headers["Retry-After"] == "1"
    assert api.ask("GET", "/studies", role="reader").status == 200


def test_a_bucket_fills_with_time() -> None:
    now = [0.0]
    rate = Rate(2.0, lambda: now[0])
    assert [rate.wait("a") for _ in range(11)] == [0] * 10 + [1]
    now[0] = 0.5
    assert [rate.wait("a"), rate.wait("a")] == [0, 1]
    assert rate.wait("b") == 0


@pytest.mark.parametrize("path", ["/", "/data/overview", "/api/studies"])
def test_a_token_opens_no_page(api: Api, path: str) -> None:
    site = Guard(
        Site(api.looking), Credentials("anna", "secret"), make_api(api.looking, rate=api.rate)
    )
    token = {"Authorization": f"Bearer {api.tokens['admin']}"}
    assert request(site, path, headers=token).status == 401
    assert request(site, f"{API}/studies", headers=token).status == 200
    # With a password the pages may be served to others, and so may the API.
    assert (
        request(site, f"{API}/studies", headers={**token, "Host": "search.example"}).status == 200
    )
    assert request(site, f"{API}/studies", headers=basic("anna", "secret")).status == 401


def test_a_number_takes_no_memory_of_the_servers(api: Api) -> None:
    wide = {**FOUR, "study": "wide", "trainable": "digits-cnn", "options": {"width": 10**6}}
    launch = api.begin(wide)
    trial = api.done(f"/launches/{launch}/ask")["trial"]  # The client may have what it takes.
    assert trial["runs"][0]["config"]["options"]["width"] == 10**6
    many = {**FOUR, "study": "many", "replicates": 10**9}
    assert api.refused("/launches", {"space": many})[0] == 422


def test_a_mistake_of_ours_tells_nothing(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []

    def fails(*_: Any) -> None:
        raise RuntimeError("secret of the server")

    monkeypatch.setattr("search.serve.reading.list_studies", fails)
    original: Callable[..., Any] = api.app.__call__

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def keep(message: Any) -> None:
            sent.append(message)
            await send(message)

        with pytest.raises(RuntimeError):
            await original(scope, receive, keep)

    token = {"Authorization": f"Bearer {api.tokens['reader']}"}
    answer = request(app, f"{API}/studies", headers=token)
    assert answer.status == 500
    assert "secret" not in json.dumps([str(each) for each in sent])


def test_every_setting_that_is_a_text_is_known_to_name_a_file_or_none() -> None:
    """A new one of a shipped trainable has to be looked at: may a client set it?"""
    texts: set[str] = set()

    def look(model: type[BaseModel]) -> None:
        for name, each in model.model_fields.items():
            if each.annotation in (str, str | None):
                texts.add(name)
            if isinstance(each.annotation, type) and issubclass(each.annotation, BaseModel):
                look(each.annotation)

    for name in SHIPPED:
        look(Space.of({"trainable": name}).config_type)
    assert texts - OF_FILES == {"exit_marker", "name", "target", "trainable"}
