"""Who may use a site: its password, its names, and what other sites cannot do."""

from __future__ import annotations

import json

import pytest

from dashboards.pages.credentials import Credentials, Guesses
from dashboards.pages.guard import Guard, is_loopback
from dashboards.pages.site import Site
from storage import Store
from tests.dashboards.pages.web import EVERYWHERE, basic, request

SECRET = Credentials("anna", "pässword: with colon")


OF_ROWS = ("/study/1/trials?where=state", "/study/1/trials.csv", "/benchmark/1/runs")
OF_ROWS += ("/benchmark/1/runs.csv", "/study/1/trial/0", "/data/study/1/trial/0", "/run/1")
OF_ROWS += ("/data/study/1/compare?trial=0&trial=1", "/benchmark/1/compare?config=a")


@pytest.fixture
def closed_site(store: Store) -> Guard:
    """A site with a password."""
    return Guard(Site(store), SECRET)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic("anna", "wrong"),
        basic("bert", SECRET.password),
        {"Authorization": "Basic not-base64!"},
        {"Authorization": "Bearer token"},
    ],
)
def test_nothing_is_shown_without_the_password(closed_site: Guard, headers: dict[str, str]) -> None:
    addresses = (*EVERYWHERE, *OF_ROWS, "/static/bundle.js", "/nowhere")
    for number, address in enumerate(addresses):
        refused = request(closed_site, address, headers=headers, client=f"10.0.0.{number}")
        assert refused.status == 401
        assert refused.headers["WWW-Authenticate"].startswith("Basic ")
        assert b"anna" not in refused.body


def test_everything_is_shown_with_it(closed_site: Guard) -> None:
    headers = basic(SECRET.user, SECRET.password)
    for address in EVERYWHERE:
        assert request(closed_site, address, headers=headers).status == 200
        # Behind a proxy the server has another name; the password is protection enough.
        known_as = {**headers, "Host": "search.example"}
        assert request(closed_site, address, headers=known_as).status == 200


def test_who_guesses_passwords_has_to_wait(closed_site: Guard) -> None:
    right, wrong = basic(SECRET.user, SECRET.password), basic("anna", "wrong")
    # A browser's first request, which brings none, is no guess.
    given = [{}] * 20 + [wrong] * Guesses.ALLOWED
    asked = [request(closed_site, "/", headers=each, client="10.0.0.1") for each in given]
    assert {each.status for each in asked} == {401}
    for headers in (wrong, right):
        refused = request(closed_site, "/", headers=headers, client="10.0.0.1")
        assert refused.status == 429
        assert 0 < int(refused.headers["Retry-After"]) <= Guesses.SECONDS
    # Nobody else does.
    assert request(closed_site, "/", headers=right, client="10.0.0.2").status == 200


def test_another_name_for_this_machine_is_refused_without_a_password(open_site: Guard) -> None:
    for host in ("localhost", "LOCALHOST:1", "127.0.0.1:8080", "127.3.2.1", "[::1]:8080"):
        assert request(open_site, "/", headers={"Host": host}).status == 200
    for host in (
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "10.0.0.1",
        "",
        "[",
    ):
        assert request(open_site, "/", headers={"Host": host}).status == 403


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"Origin": "http://localhost:8080"}, True),
        ({"Origin": "http://localhost:8080", "Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "http://localhost:9999"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://["}, False),
    ],
)
def test_other_sites_cannot_change_anything(
    store: Store, headers: dict[str, str], allowed: bool
) -> None:
    body = json.dumps({"study_name": "made by a page", "directions": ["minimize"]}).encode()
    sent = {"Content-Type": "application/json", **headers}
    for secret in (None, SECRET):
        site = Guard(Site(store), secret)
        also = {} if secret is None else basic(secret.user, secret.password)
        given = request(site, "/api/studies", method="POST", headers={**sent, **also}, body=body)
        if not allowed:
            assert given.status == 403
    names = [study.study_name for study in store.optuna_storage.get_all_studies()]
    assert names == (["made by a page"] if allowed else [])


def test_every_answer_protects_the_browser(open_site: Guard) -> None:
    for address in (*EVERYWHERE, "/nowhere", "/study/none"):
        headers = request(open_site, address).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Access-Control-Allow-Origin" not in headers
        # Optuna Dashboard's page has a policy of its own.
        expected = "default-src 'self'" if address == "/dashboard" else "default-src 'none'"
        assert expected in headers["Content-Security-Policy"]


def test_what_is_loopback() -> None:
    for host in ("localhost", "127.0.0.1", "127.1.2.3", "::1"):
        assert is_loopback(host)
    for host in ("0.0.0.0", "::", "", "example.org", "192.168.0.1", "1270.0.0.1"):
        assert not is_loopback(host)
