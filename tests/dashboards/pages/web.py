"""Requests to a site without a network, and a server of its own process with one."""

from __future__ import annotations

import asyncio
import base64
import gzip
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

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Scope

__all__ = ["EVERYWHERE", "Answer", "Server", "asked", "basic", "request", "serving"]

EVERYWHERE = ("/", "/data/overview", "/pages/style.css", "/plotly.js", "/dashboard", "/api/studies")
"""Addresses of every kind that a site has, whatever its store holds."""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Headers
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


def request(app: ASGIApp, address: str, **what: Any) -> Answer:
    """Ask an application, and wait; see `asked`."""
    return asyncio.run(asked(app, address, **what))


async def asked(
    app: ASGIApp,
    address: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    client: str = "127.0.0.1",
) -> Answer:
    """Ask an application as a server would that was reached as localhost."""
    split = urlsplit(address)
    sent = {"Host": "localhost:8080", "Content-Length": str(len(body)), **(headers or {})}
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "root_path": "",
        "path": unquote(split.path),
        "query_string": split.query.encode(),
        "headers": [
            (name.lower().encode(), value.encode("latin-1")) for name, value in sent.items()
        ],
        "server": ("localhost", 8080),
        "client": (client, 50000),
    }
    received: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        received.append(message)

    await app(scope, receive, send)
    begun, *rest = received
    content = b"".join(message.get("body", b"") for message in rest)
    return Answer(begun["status"], Headers(scope=begun), content)


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
    url: str,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    module: str = "dashboards.serve",
    port: int = 0,
) -> Iterator[Server]:
    """Serve a store, by default at a free port."""
    command = [sys.executable, "-m", module, "--storage", url, "--port", str(port)]
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
