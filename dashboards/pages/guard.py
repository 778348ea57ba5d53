"""Who may use the server, and what a browser may do with what it gets from it.

A page on the web can make a browser on this machine send requests to a server that listens on
loopback. It must neither read an answer (by a host name of its own that suddenly resolves to
127.0.0.1) nor change anything (by a form or a script that posts to Optuna Dashboard's API).
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from dashboards.pages.credentials import Credentials
from dashboards.pages.responses import Response, answer, plain

__all__ = ["Guard", "is_loopback"]

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "SAMEORIGIN"),
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
_POLICY = ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'self'")
"""Of answers that bring no policy of their own: they are no pages."""


class Guard:
    """Stands before an application; lets through what may pass, with headers that protect it."""

    def __init__(self, app: WSGIApplication, credentials: Credentials | None) -> None:
        """Guard an application.

        Args:
            app: The application.
            credentials: What every request must bring. Without them only requests that name this
                machine as their host may pass, so the server must listen on loopback.
        """
        self._app = app
        self._credentials = credentials

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request, or refuse it."""
        protected = functools.partial(_start_protected, start_response)
        refusal = self._refusal(environ)
        if refusal is not None:
            return answer(refusal, environ, protected)
        # Optuna Dashboard takes for granted that every client sends this header.
        environ.setdefault("HTTP_ACCEPT_ENCODING", "identity")
        return self._app(environ, protected)

    def _refusal(self, environ: WSGIEnvironment) -> Response | None:
        host = environ.get("HTTP_HOST", "")
        if self._credentials is None:
            if not is_loopback(_host_name(host)):
                return plain(
                    HTTPStatus.FORBIDDEN,
                    "This dashboard answers only to the names of the machine itself, such as "
                    "localhost; give it a password to serve others.",
                )
        elif not self._credentials.allow(environ.get("HTTP_AUTHORIZATION", "")):
            return plain(
                HTTPStatus.UNAUTHORIZED,
                "This dashboard needs a user and a password.",
                ("WWW-Authenticate", 'Basic realm="dashboards", charset="UTF-8"'),
            )
        if environ["REQUEST_METHOD"] not in _READING and not _is_own(environ, host):
            return plain(
                HTTPStatus.FORBIDDEN,
                "Only the dashboard's own pages may change anything; a proxy in front of it must "
                "pass the Host header on.",
            )
        return None


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is one of this machine that no other machine can reach."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _host_name(host: str) -> str:
    """``Host: name:port`` -> name; an IPv6 address without its brackets."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_own(environ: WSGIEnvironment, host: str) -> bool:
    """Whether a request was made by a page of this server, or by no page at all (curl, say)."""
    if environ.get("HTTP_SEC_FETCH_SITE", "none") not in ("same-origin", "none"):
        return False
    origin = environ.get("HTTP_ORIGIN")
    return origin is None or origin.partition("://")[2].lower() == host.lower() != ""


def _start_protected(
    start_response: StartResponse,
    status: str,
    headers: list[tuple[str, str]],
    exc_info: Any = None,
) -> Callable[[bytes], object]:
    present = {name.lower() for name, _ in headers}
    wanted = [each for each in (*_HEADERS, _POLICY) if each[0].lower() not in present]
    return start_response(status, [*headers, *wanted], exc_info)
