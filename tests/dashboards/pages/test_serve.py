"""The server's command: it serves until it is told to stop, and says why it cannot."""

from __future__ import annotations

import signal
import socket
import sqlite3
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from dashboards.pages.credentials import PASSWORD_VARIABLE, USER_VARIABLE
from dashboards.serve import _listen, _terminable, main
from storage import Store
from tests.dashboards.made.bulk_study import add_study
from tests.dashboards.pages.web import basic, serving

pytestmark = pytest.mark.usefixtures("_no_credentials")


def test_serves_until_it_is_told_to_stop(store_url: str, store: Store) -> None:
    add_study(store, "made", 5)
    with serving(store_url) as server:
        assert server.address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(f"{server.address}/data/overview") as answer:
            assert "made" in answer.read().decode()
            assert "Server" not in answer.headers
        asked = urllib.request.Request(f"{server.address}/", method="HEAD")
        with urllib.request.urlopen(asked) as answer:
            assert answer.status == 200
            assert int(answer.headers["Content-Length"]) > 0
            assert answer.read() == b""
        assert server.stop(signal.SIGTERM) == (0, "")


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
        status, said = server.stop(signal.SIGINT)
        assert status == 0
        assert "geheim" not in said


def test_the_body_of_an_answer_follows_its_head_at_once() -> None:
    with _listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_a_shell_has_ignored_ends_the_server_too(number: signal.Signals) -> None:
    """As for what a script starts in the background; afterwards it is ignored as before."""
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with pytest.raises(KeyboardInterrupt), _terminable():
            signal.raise_signal(number)
        signal.raise_signal(number)
    finally:
        signal.signal(number, before)


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
