"""Who may ask what of the API: tokens, their roles, and how often each may ask.

All of it is settled before a byte of a request's body is read.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboards.pages.credentials import Guesses
from search.serve.answers import Problem, problem
from space.errors import UserError
from storage.tables.service import TokenRecord

__all__ = ["LARGEST_REQUEST_BYTES", "Access", "Rate", "needed_role"]

LARGEST_REQUEST_BYTES = 2**20

BURST_SECONDS = 5.0
"""For how long a token that was silent may ask more often."""

_READING = ("GET", "HEAD", "OPTIONS")


def needed_role(method: str, path: str) -> str:
    """The role that a request needs.

    Args:
        method: Its method.
        path: Its path below the API's.

    Returns:
        ``"reader"`` for what only reads, ``"admin"`` for whatever is about tokens, ``"editor"``
        for everything else.
    """
    if path == "/tokens" or path.startswith("/tokens/"):
        return "admin"
    return "reader" if method in _READING or path == "/verdicts" else "editor"


class Rate:
    """How much each token may ask: a bucket that fills as time goes by, a drop a request.

    The buckets are this process's; they are full when it starts.
    """

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with full buckets.

        Args:
            rate: Requests a second.
            clock: Tells the time in seconds.
        """
        self._rate, self._most, self._clock = rate, max(1.0, rate * BURST_SECONDS), clock
        self._lock = threading.Lock()
        self._left: dict[str, tuple[float, float]] = {}
        """Token -> what its bucket held, and when."""

    def wait(self, token: str) -> int:
        """Seconds that a token has to wait; 0 where it may ask, which is counted."""
        with self._lock:
            now = self._clock()
            left, at = self._left.get(token, (self._most, now))
            left = min(self._most, left + (now - at) * self._rate)
            if left < 1:
                self._left[token] = (left, now)
                return math.ceil((1 - left) / self._rate)
            self._left[token] = (left - 1, now)
            return 0


class Access:
    """Stands before the API; lets those through who bring a token that is good for what they ask.

    Beyond it ``request.state.token`` is the token's record.
    """

    def __init__(
        self, app: ASGIApp, find: Callable[[str], TokenRecord | None], rate: float
    ) -> None:
        """Guard the API.

        Args:
            app: The API.
            find: A token -> its record, if it is good.
            rate: Requests a second for each token.
        """
        self._app, self._find, self._rate = app, find, Rate(rate)
        self._guesses = Guesses()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        scheme, _, given = Headers(scope=scope).get("Authorization", "").partition(" ")
        try:
            token = None
            if scheme.lower() == "bearer":
                token = await run_in_threadpool(self._find, given.strip())
            app: ASGIApp | Response = self._refusal(scope, token) or self._app
        except UserError as error:
            app = problem(error)
        if token is not None:
            scope.setdefault("state", {})["token"] = token
        n_bytes = 0

        async def receive_bounded() -> Message:
            nonlocal n_bytes
            message = await receive()
            n_bytes += len(message.get("body", b""))
            if n_bytes > LARGEST_REQUEST_BYTES:
                raise Problem(413, f"a request has at most {LARGEST_REQUEST_BYTES} bytes")
            return message

        await app(scope, receive_bounded, send)

    def _refusal(self, scope: Scope, token: TokenRecord | None) -> Response | None:
        if token is None:
            # Those with a good one are let in all the same: many may share a proxy's address.
            if Headers(scope=scope).get("Authorization"):
                address = scope["client"][0]
                if wait := self._guesses.wait(address):
                    text = f"too many wrong tokens came from your address; wait {wait} s"
                    return problem(text, 429, {"Retry-After": str(wait)})
                self._guesses.note(address)
            return problem(
                "this needs a token that is good: Authorization: Bearer TOKEN; `search tokens "
                "create` makes one",
                401,
                {"WWW-Authenticate": 'Bearer realm="search"'},
            )
        if wait := self._rate.wait(token.name):
            text = f"token '{token.name}' asks too often; wait {wait} s"
            return problem(text, 429, {"Retry-After": str(wait)})
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        needed = needed_role(scope["method"], path)
        if not token.allows(needed):
            return problem(
                f"token '{token.name}' has the role {token.role}; this needs {needed}", 403
            )
        return None
