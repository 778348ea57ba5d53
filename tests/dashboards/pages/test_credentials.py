"""The user and the password of a server: from the environment or from a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboards.pages.credentials import (
    PASSWORD_VARIABLE,
    USER_VARIABLE,
    Credentials,
    Guesses,
    find_credentials,
)
from space.errors import UsageError

pytestmark = pytest.mark.usefixtures("_no_credentials")


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


def test_guesses_are_forgotten_in_time() -> None:
    now = [0.0]
    guesses = Guesses(lambda: now[0])
    for _ in range(Guesses.ALLOWED):
        assert guesses.wait("a") == 0
        guesses.note("a")
        now[0] += 1
    assert guesses.wait("a") == Guesses.SECONDS - Guesses.ALLOWED
    assert guesses.wait("b") == 0
    now[0] = Guesses.SECONDS
    assert guesses.wait("a") == 0
    guesses.note("a")
    assert guesses.wait("a") == 1
