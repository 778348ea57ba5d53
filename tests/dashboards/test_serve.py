"""The server: who may use it, what it answers, what it says when it cannot."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote

import optuna
import pytest

from dashboards.pages.credentials import (
    PASSWORD_VARIABLE,
    USER_VARIABLE,
    Credentials,
    find_credentials,
)
from dashboards.pages.guard import Guard, is_loopback
from dashboards.pages.site import Site
from dashboards.serve import main
from space.errors import UsageError
from storage import Store
from storage.store import open_store
from tests.conftest import BACKENDS
from tests.dashboards.bulk_benchmark import add_benchmark
from tests.dashboards.bulk_rows import HOSTILE
from tests.dashboards.bulk_study import add_study
from tests.dashboards.web import basic, request, serving

SECRET = Credentials("anna", "pässword: with colon")


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(USER_VARIABLE, raising=False)
    monkeypatch.delenv(PASSWORD_VARIABLE, raising=False)


@pytest.fixture
def open_site(store: Store) -> Guard:
    """A site without a password."""
    return Guard(Site(store), None)


@pytest.fixture
def closed_site(store: Store) -> Guard:
    """A site with one."""
    return Guard(Site(store), SECRET)


# -- who may use it ------------------------------------------------------------------------------

EVERYWHERE = ("/", "/data/overview", "/pages/style.css", "/plotly.js", "/dashboard", "/api/studies")


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
    for address in (*EVERYWHERE, "/static/bundle.js", "/nowhere"):
        refused = request(closed_site, address, headers=headers)
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


# -- credentials ---------------------------------------------------------------------------------


def test_credentials_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_credentials(None) is None
    monkeypatch.setenv(USER_VARIABLE, "anna")
    with pytest.raises(UsageError, match="both"):
        find_credentials(None)
    monkeypatch.setenv(PASSWORD_VARIABLE, "secret")
    assert find_credentials(None) == Credentials("anna", "secret")
    assert "secret" not in repr(find_credentials(None))
    monkeypatch.setenv(USER_VARIABLE, "an:na")
    with pytest.raises(UsageError, match="without ':'"):
        find_credentials(None)


def test_credentials_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(USER_VARIABLE, "other")
    monkeypatch.setenv(PASSWORD_VARIABLE, "other")
    path = tmp_path / "secret"
    path.write_text("anna:pass:word\n")
    path.chmod(0o604)
    with pytest.raises(UsageError, match="chmod 600"):
        find_credentials(str(path))
    path.chmod(0o600)
    assert find_credentials(str(path)) == Credentials("anna", "pass:word")
    for text in ("", "anna", ":x", "anna:", "anna:x\nbert:y\n"):
        path.write_text(text)
        with pytest.raises(UsageError, match="one line user:password"):
            find_credentials(str(path))
    path.write_bytes(b"\xff:\xff")
    with pytest.raises(UsageError, match="UTF-8"):
        find_credentials(str(path))
    with pytest.raises(UsageError, match="No such file"):
        find_credentials(str(tmp_path / "none"))


# -- what it answers -----------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_pages_of_what_a_store_holds(store: Store, open_site: Guard) -> None:
    study_id = add_study(store, "made", 12)
    record = add_benchmark(store, models=("mlp", "siamese"), n_seeds=3, n_done=2)
    overview = request(open_site, "/data/overview").json()
    assert f'href="/study/{study_id}"' in overview["summary"]
    assert f'href="/benchmark/{record.benchmark_id}"' in overview["summary"]
    assert "<h1>made</h1>" in request(open_site, f"/study/{study_id}").text
    found = request(open_site, f"/data/study/{study_id}").json()
    assert found["title"] == "made"
    assert f"/dashboard/studies/{study_id}/trials?numbers=0" in found["details"]
    assert "python -m search.export --study made" in found["details"]
    assert len({panel["key"] for panel in found["panels"]}) == len(found["panels"]) > 3
    assert all("template" not in panel["figure"]["layout"] for panel in found["panels"])
    assert record.name in request(open_site, f"/benchmark/{record.benchmark_id}").text
    found = request(open_site, f"/data/benchmark/{record.benchmark_id}").json()
    assert "seeds 2" in found["summary"]
    assert "python -m search.benchmark --config made.yaml" in found["summary"]
    assert found["panels"]


def test_a_study_is_found_by_its_name_too(store: Store, open_site: Guard) -> None:
    for name in ("a/b c?d=é&x#y", "17", HOSTILE):
        study_id = optuna.create_study(study_name=name, storage=store.optuna_storage)._study_id
        moved = request(open_site, f"/study/{quote(name, safe='')}")
        assert (moved.status, moved.headers["Location"]) == (302, f"/study/{study_id}")
        assert request(open_site, f"/study/{study_id}").status == 200


def test_what_is_not_there(open_site: Guard) -> None:
    for name in ("study/none", "study/99", "benchmark/1", "data/study/9", "data/benchmark/9"):
        assert request(open_site, f"/{name}").status == 404
        assert request(open_site, f"/{name}{'9' * 5000}").status == 404
    for name in ("../serve.py", "%2e%2e/site.py", "page.html", "none.js"):
        found = request(open_site, f"/pages/{name}")
        assert found.status == 404
        assert b"import" not in found.body


def test_names_are_text(store: Store, open_site: Guard) -> None:
    study_id = add_study(store, n_trials=12, hostile=True)
    record = add_benchmark(store, hostile=True, models=("mlp", "convnet"), n_seeds=2)
    for address in ("overview", f"study/{study_id}", f"benchmark/{record.benchmark_id}"):
        found = request(open_site, f"/data/{address}").json()
        for part in ("summary", "details"):
            assert "<img src=x" not in found[part]
            assert "<b>bold" not in found[part]
        assert "&lt;img src=x" in found["summary"] or found["title"] == HOSTILE
    assert "<img src=x" not in request(open_site, f"/study/{study_id}").text
    assert "49" not in request(open_site, f"/study/{study_id}").text.partition("<h1>")[2][:200]


def test_what_is_known_is_not_sent_again(store: Store, open_site: Guard) -> None:
    study_id = add_study(store, "made", 12)
    for address in (f"/data/study/{study_id}", "/data/overview", "/plotly.js", "/pages/page.js"):
        first = request(open_site, address, headers={"Accept-Encoding": "gzip"})
        tag = first.headers["ETag"]
        again = request(open_site, address, headers={"If-None-Match": tag})
        assert (again.status, again.body) == (304, b"")
        weak = request(open_site, address, headers={"If-None-Match": f'"x", W/{tag}'})
        assert weak.status == 304
        other = request(open_site, address, headers={"If-None-Match": '"other"'})
        assert other.status == 200
        assert other.text == first.text
    study = optuna.load_study(study_name="made", storage=store.optuna_storage)
    study.ask()
    address = f"/data/study/{study_id}"
    tag = request(open_site, address).headers["ETag"]
    study.tell(study.ask(), 0.001)
    changed = request(open_site, address, headers={"If-None-Match": tag})
    assert changed.status == 200
    assert "0.001" in changed.json()["summary"]


def test_only_reading(open_site: Guard) -> None:
    assert request(open_site, "/", method="POST").status == 405
    head = request(open_site, "/", method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert int(head.headers["Content-Length"]) == len(request(open_site, "/").body)


def test_an_empty_store_and_empty_studies_say_what_to_do(store: Store, open_site: Guard) -> None:
    text = request(open_site, "/data/overview").json()["summary"]
    assert "python -m search.launch" in text
    assert "python -m search.benchmark" in text
    study_id = optuna.create_study(storage=store.optuna_storage)._study_id
    found = request(open_site, f"/data/study/{study_id}").json()
    assert "no trials yet" in found["summary"]
    assert found["panels"] == []


def test_a_store_of_another_tool(tmp_path: Path) -> None:
    """Without our tables; a search may add them while the dashboard runs."""
    path = tmp_path / "optuna.db"
    study = optuna.create_study(storage=f"sqlite:///{path}", study_name="theirs")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1) ** 2, n_trials=5)
    store = open_store(str(path), create=False)
    site = Guard(Site(store), None)
    assert "theirs" in request(site, "/data/overview").json()["summary"]
    found = request(site, "/data/study/1").json()
    assert found["panels"]
    assert "another Optuna tool" in found["details"]
    ours = open_store(str(path))
    add_benchmark(ours, models=("mlp",), n_seeds=2)
    assert "made-table" in request(site, "/data/overview").json()["summary"]
    ours.close()
    store.close()


def test_a_store_that_fails_is_no_bug_and_no_leak(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "s.db"
    store = open_store(str(path))
    study_id = add_study(store, "made", 3)
    site = Guard(Site(store), None)
    store.close()
    for each in tmp_path.glob("s.db*"):
        each.write_bytes(b"no database any more" * 500)
    for address in ("/data/overview", f"/study/{study_id}", f"/data/study/{study_id}"):
        found = request(site, address)
        assert found.status == 503
        assert str(tmp_path) not in found.text
    assert str(path) in caplog.text
    store.close()


# -- Optuna Dashboard ----------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_optuna_dashboard_works_at_its_own_addresses(store: Store, open_site: Guard) -> None:
    study_id = add_study(store, "made", 12)
    assert "/static/bundle.js" in request(open_site, "/dashboard").text
    assert "/static/bundle.js" in request(open_site, f"/dashboard/studies/{study_id}/trials").text
    # Without an Accept-Encoding header, too.
    assert len(request(open_site, "/static/bundle.js").body) > 10**6
    listed = request(open_site, "/api/studies").json()["study_summaries"]
    assert [study["study_name"] for study in listed] == ["made"]
    detail = request(open_site, f"/api/studies/{study_id}").json()
    assert len(detail["trials"]) == 12
    note = json.dumps({"version": 1, "body": "# seen"}).encode()
    saved = request(
        open_site,
        f"/api/studies/{study_id}/note",
        method="PUT",
        headers={"Content-Type": "application/json", "Origin": "http://localhost:8080"},
        body=note,
    )
    assert saved.status == 204
    assert request(open_site, f"/api/studies/{study_id}").json()["note"]["body"] == "# seen"
    assert "Number,State" in request(open_site, f"/csv/{study_id}").text


def dump(path: Path) -> list[str]:
    """A database's whole content."""
    with sqlite3.connect(path) as connection:
        return list(connection.iterdump())


def test_looking_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    made = open_store(str(path))
    study_id = add_study(made, "made", 12, running=True)
    record = add_benchmark(made, models=("mlp", "convnet"), n_seeds=2)
    made.close()
    before = dump(path)
    store = open_store(str(path), create=False)
    site = Guard(Site(store), None)
    for address in (
        *EVERYWHERE,
        f"/data/study/{study_id}",
        f"/data/benchmark/{record.benchmark_id}",
        f"/api/studies/{study_id}",
        f"/api/studies/{study_id}/param_importances",
    ):
        assert request(site, address).status == 200
    store.close()
    assert dump(path) == before


def test_reading_while_a_search_writes(tmp_path: Path) -> None:
    writer = open_store(str(tmp_path / "s.db"))
    study = optuna.create_study(study_name="live", storage=writer.optuna_storage)
    store = open_store(str(tmp_path / "s.db"), create=False)
    site = Guard(Site(store), None)
    statuses: list[int] = []

    def look() -> None:
        for _ in range(15):
            statuses.append(request(site, f"/data/study/{study._study_id}").status)
            statuses.append(request(site, "/data/overview").status)

    readers = [threading.Thread(target=look) for _ in range(2)]
    for reader in readers:
        reader.start()
    for _ in range(20):
        trial = study.ask()
        trial.suggest_float("x", 0, 1)
        trial.report(0.5, 1)
        study.tell(trial, 0.5)
    for reader in readers:
        reader.join()
    assert set(statuses) == {200}
    counts = request(site, f"/data/study/{study._study_id}").json()["summary"]
    assert "20 complete" in counts
    writer.close()
    store.close()


# -- the command ---------------------------------------------------------------------------------


def test_serves_until_it_is_told_to_stop(store_url: str, store: Store) -> None:
    add_study(store, "made", 5)
    with serving(store_url) as server:
        assert server.address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(f"{server.address}/data/overview") as answer:
            assert "made" in answer.read().decode()
            assert "waitress" not in str(answer.headers)
        assert server.stop(signal.SIGTERM) == (0, "")
    with serving(store_url) as server:
        assert server.stop(signal.SIGINT) == (0, "")


def test_a_password_from_the_environment(store_url: str, store: Store) -> None:
    secret = {USER_VARIABLE: "anna", PASSWORD_VARIABLE: "geheim"}
    with serving(store_url, "--host", "0.0.0.0", environment=secret) as server:
        address = server.address.replace("0.0.0.0", "127.0.0.1")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{address}/")
        with refused.value:
            assert refused.value.code == 401
        allowed = urllib.request.Request(f"{address}/", headers=basic("anna", "geheim"))
        with urllib.request.urlopen(allowed) as answer:
            assert answer.status == 200
        status, said = server.stop()
        assert status == 0
        assert "geheim" not in said


def refused(*arguments: str) -> str:
    """Run the command, which must refuse in one sentence; return it."""
    with pytest.raises(Exception) as error:
        main([*arguments])
    assert type(error.value).__module__ == "space.errors"
    text = str(error.value)
    assert "\n" not in text
    return text


def test_other_hosts_need_a_password(store_url: str, store: Store) -> None:
    for host in ("0.0.0.0", "::", "192.168.1.1", "search.example"):
        text = refused("--storage", store_url, "--host", host)
        assert PASSWORD_VARIABLE in text


def test_a_port_that_is_taken(store_url: str, store: Store) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = refused("--storage", store_url, "--port", str(port))
        assert str(port) in text
        assert "in use" in text
    for port in ("-1", "65536", "x"):
        assert "65535" in refused("--storage", store_url, f"--port={port}")


def test_a_store_that_is_not_there_or_no_store(tmp_path: Path) -> None:
    path = tmp_path / "none.db"
    assert "no such file" in refused("--storage", str(path))
    assert not path.exists()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    assert "holds no studies" in refused("--storage", str(path))
    path.write_bytes(b"something else" * 100)
    assert "no SQLite database" in refused("--storage", str(path))


def test_one_sentence_and_status_2(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dashboards.serve", "--storage", str(tmp_path / "none.db")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1
