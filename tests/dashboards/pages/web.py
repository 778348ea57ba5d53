"""Requests to a site without a network, and a server of its own process with one."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit
from wsgiref.types import WSGIApplication

__all__ = ["EVERYWHERE", "Answer", "Server", "basic", "request", "serving"]

EVERYWHERE = ("/", "/data/overview", "/pages/style.css", "/plotly.js", "/dashboard", "/api/studies")
"""Addresses of every kind that a site has, whatever its store holds."""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body, unpacked."""
        packed = self.headers.get("Content-Encoding") == "gzip"
        return (gzip.decompress(self.body) if packed else self.body).decode()

    def json(self) -> Any:
        """The body's content."""
        return json.loads(self.text)


def basic(user: str, password: str) -> dict[str, str]:
    """The header that brings a user and a password."""
    encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {encoded}"}


def request(
    app: WSGIApplication,
    address: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> Answer:
    """Ask an application as a server would that was reached as localhost."""
    split = urlsplit(address)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(split.path, encoding="latin-1"),
        "QUERY_STRING": split.query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "8080",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_HOST": "localhost:8080",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in (headers or {}).items():
        key = name.upper().replace("-", "_")
        environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
    begun: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Any:
        begun.append((status, headers))

    chunks = app(environ, start_response)
    try:
        content = b"".join(chunks)
    finally:
        if hasattr(chunks, "close"):
            chunks.close()
    status, received = begun[-1]
    return Answer(int(status.split()[0]), dict(received), content)


@dataclass(frozen=True)
class Server:
    """A server that runs."""

    address: str
    process: subprocess.Popen[str]

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """End it by a signal; say with which status it left and what it said on stderr."""
        self.process.send_signal(number)
        _, said = self.process.communicate()
        return self.process.returncode, said


@contextmanager
def serving(
    url: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Serve a store at a free port."""
    command = [sys.executable, "-m", "dashboards.serve", "--storage", url, "--port", "0"]
    process = subprocess.Popen(
        [*command, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.match(r"(http://\S+)/ ", line)
        if found is None:
            raise AssertionError(f"no address but {line!r}: {process.communicate()[1]}")
        yield Server(found[1], process)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
