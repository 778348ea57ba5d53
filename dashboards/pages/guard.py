"""Who may use the server, and what a browser may do with what it gets from it.

A page on the web can make a browser on this machine send requests to a server that listens on
loopback. It must neither read an answer (by a host name of its own that suddenly resolves to
127.0.0.1) nor change anything (by a form or a script that posts to Optuna Dashboard's API).

Pages ask for a user and a password. An API that may stand beside them asks for tokens by itself.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboards.pages.credentials import Credentials, Guesses

__all__ = ["API", "Guard", "is_loopback"]

API = "/api/v1"
"""Where an API lies that is served beside the pages."""

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

    def __init__(
        self, app: ASGIApp, credentials: Credentials | None, api: ASGIApp | None = None
    ) -> None:
        """Guard an application.

        Args:
            app: The application.
            credentials: What every request must bring, but for those to the API. Without them only
                requests that name this machine as their host may pass, so the server must listen
                on loopback.
            api: What answers below `API`; it lets nobody in without a token, by status 401.
        """
        self._app = app
        self._credentials = credentials
        self._api = api
        self._guesses = Guesses()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        app = self._app
        is_api = self._api is not None and scope["path"].startswith(f"{API}/")
        if self._api is not None and is_api:
            app, scope = self._api, {**scope, "root_path": API}
        elif self._credentials is not None:
            # Whoever is let in is this one.
            scope = {**scope, "state": {**scope.get("state", {}), "user": self._credentials.user}}

        async def send_protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await (self._refusal(scope, is_api=is_api) or app)(scope, receive, send_protected)

    def _refusal(self, scope: Scope, *, is_api: bool) -> Response | None:
        headers = Headers(scope=scope)
        refuse = _refuse_program if is_api else _refuse
        if self._credentials is None and not is_loopback(_host_name(headers.get("Host", ""))):
            return refuse(
                403,
                "This dashboard answers only to the names of the machine itself, such as "
                "localhost; give it a password to serve others.",
            )
        if self._credentials is not None and not is_api:
            if wait := self._guesses.wait(scope["client"][0]):
                text = "Too many wrong passwords came from your address."
                return refuse(429, text, {"Retry-After": str(wait)})
            given = headers.get("Authorization")
            if given is None or not self._credentials.allow(given):
                if given is not None:
                    self._guesses.note(scope["client"][0])
                challenge = {"WWW-Authenticate": 'Basic realm="dashboards", charset="UTF-8"'}
                return refuse(401, "This dashboard needs a user and a password.", challenge)
        if scope["method"] not in _READING and not _is_own(headers):
            return refuse(
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


def _refuse_program(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": text}, status, headers)


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
