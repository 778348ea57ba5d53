"""The user and password that a dashboard asks for: from the environment or a file."""

from __future__ import annotations

import base64
import binascii
import hmac
import math
import os
import stat
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from space.errors import UsageError

__all__ = ["PASSWORD_VARIABLE", "USER_VARIABLE", "Credentials", "Guesses", "find_credentials"]

USER_VARIABLE = "SEARCH_DASHBOARD_USER"
PASSWORD_VARIABLE = "SEARCH_DASHBOARD_PASSWORD"


@dataclass(frozen=True)
class Credentials:
    """A user and a password."""

    user: str
    password: str

    def __repr__(self) -> str:
        """Without the password, which must not come into a log."""
        return f"Credentials({self.user!r})"

    def allow(self, authorization: str) -> bool:
        """Whether a request's ``Authorization`` header names them (HTTP Basic, UTF-8).

        The comparison takes as long for a password that is nearly right as for any other.
        """
        scheme, _, encoded = authorization.partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            given = base64.b64decode(encoded.strip(), validate=True)
        except binascii.Error:
            return False
        return hmac.compare_digest(given, f"{self.user}:{self.password}".encode())


class Guesses:
    """Wrong passwords of late, by the address that they came from.

    After `ALLOWED` of them within `SECONDS` an address has to wait, with the right password, too:
    whether the next guess is right must not be told sooner.
    """

    ALLOWED = 10
    SECONDS = 60.0

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with none."""
        self._clock = clock
        self._latest: deque[tuple[float, str]] = deque()

    def note(self, address: str) -> None:
        """Count a wrong password."""
        self._latest.append((self._clock(), address))

    def wait(self, address: str) -> int:
        """The seconds after which an address may try again; 0 where it need not wait."""
        now = self._clock()
        while self._latest and self._latest[0][0] <= now - self.SECONDS:
            self._latest.popleft()
        own = [when for when, whose in self._latest if whose == address]
        return math.ceil(own[0] + self.SECONDS - now) if len(own) >= self.ALLOWED else 0


def find_credentials(path: str | None) -> Credentials | None:
    """The credentials that were given, if any were.

    Args:
        path: A file with one line ``user:password``; without it, the environment is asked.

    Returns:
        The credentials, or None where neither a file nor the environment has any.

    Raises:
        UsageError: If the file cannot be read, is open to everybody or is of another form, or the
            environment has only one of the two.
    """
    if path is not None:
        return _from_file(Path(path))
    user, password = os.environ.get(USER_VARIABLE), os.environ.get(PASSWORD_VARIABLE)
    if not user and not password:
        return None
    if not user or not password or ":" in user:
        raise UsageError(
            f"the dashboard's credentials need both {USER_VARIABLE} (without ':') and "
            f"{PASSWORD_VARIABLE} in the environment; set both or neither."
        )
    return Credentials(user, password)


def _from_file(path: Path) -> Credentials:
    try:
        if stat.S_IMODE(path.stat().st_mode) & stat.S_IRWXO:
            raise UsageError(
                f"--credentials: every user of this machine may use {path}; run "
                f"`chmod 600 {path}` first."
            )
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise UsageError(
            f"--credentials: {path} cannot be read ({reason}); write one line user:password."
        ) from error
    lines = text.splitlines()
    user, colon, password = lines[0].partition(":") if len(lines) == 1 else ("", "", "")
    if not (user and colon and password):
        raise UsageError(f"--credentials: {path} must hold one line user:password.")
    return Credentials(user, password)
