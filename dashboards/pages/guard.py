"""Who may use the server, and what a browser may do with what it gets from it.

A page on the web can make a browser on this machine send requests to a server that listens on
loopback. It must neither read an answer (by a host name of its own that suddenly resolves to
127.0.0.1) nor change anything (by a form or a script that posts to Optuna Dashboard's API).
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboards.pages.credentials import Credentials, Guesses

__all__ = ["Guard", "is_loopback"]

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_HEADERS = {
    # Kept by the browser, but never shown without asking whether it is still the same.
    "Cache-Control": "private, no-cache",
    # Of answers that bring no policy of their own: they are no pages.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'self'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
}
"""Of every answer that does not say otherwise."""


class Guard:
    """Stands before an application; lets through what may pass, with headers that protect it."""

    def __init__(self, app: ASGIApp, credentials: Credentials | None) -> None:
        """Guard an application.

        Args:
            app: The application.
            credentials: What every request must bring. Without them only requests that name this
                machine as their host may pass, so the server must listen on loopback.
        """
        self._app = app
        self._credentials = credentials
        self._guesses = Guesses()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""

        async def send_protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        app = self._refusal(scope) or self._app
        await app(scope, receive, send_protected)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if self._credentials is None:
            if not is_loopback(_host_name(headers.get("Host", ""))):
                return _refuse(
                    403,
                    "This dashboard answers only to the names of the machine itself, such as "
                    "localhost; give it a password to serve others.",
                )
        else:
            address, given = scope["client"][0], headers.get("Authorization")
            if wait := self._guesses.wait(address):
                text = "Too many wrong passwords came from your address."
                return _refuse(429, text, {"Retry-After": str(wait)})
            if given is None or not self._credentials.allow(given):
                if given is not None:
                    self._guesses.note(address)
                challenge = {"WWW-Authenticate": 'Basic realm="dashboards", charset="UTF-8"'}
                return _refuse(401, "This dashboard needs a user and a password.", challenge)
        if scope["method"] not in _READING and not _is_own(headers):
            return _refuse(
                403,
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


def _refuse(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(f"{text}\n", status, headers)


def _host_name(host: str) -> str:
    """``Host: name:port`` -> name; an IPv6 address without its brackets."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_own(headers: Headers) -> bool:
    """Whether a request was made by a page of this server, or by no page at all (curl, say)."""
    if headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
        return False
    origin, host = headers.get("Origin"), headers.get("Host", "").lower()
    return origin is None or origin.partition("://")[2].lower() == host != ""
