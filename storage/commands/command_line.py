"""Commands as a user types them: shown, stored, and read again to propose the next one."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

from space.errors import StorageError
from space.terminal.program import words_of

__all__ = ["command_line", "has_option", "option_values", "with_option"]

AUTH_MODE = "RAY_AUTH_MODE"
"""Ray joins a cluster that wants a token only where this says ``token``."""


def command_line(module: str, argv: list[str]) -> str:
    """The command that started this process, fit to be shown and stored.

    Args:
        module: The module that was run, e.g. ``"search.launch"``.
        argv: Its arguments.

    Returns:
        A shell line; storage URLs in it are without their passwords. In a cluster that wants a
        token it begins with the variable that tells Ray so.
    """
    shown = list(argv)
    for index, argument in enumerate(argv):
        option, equals, value = argument.partition("=")
        if option == "--storage" and equals:
            shown[index] = f"{option}={_shown_storage(value)}"
        elif index and argv[index - 1] == "--storage":
            shown[index] = _shown_storage(argument)
    mode = os.environ.get(AUTH_MODE)
    is_guarded = mode and any(each.startswith("--ray-address") for each in argv)
    before = [f"{AUTH_MODE}={mode}"] if is_guarded else []
    program, *words = words_of(module)
    return shlex.join([*before, _as_typed(program), *words, *shown])


def option_values(command: str, option: str) -> tuple[str, ...]:
    """The values of an option in a recorded command, however often it is given.

    Args:
        command: A shell line.
        option: Its name, e.g. ``"--config"``; it may take several values.

    Returns:
        The values, in order; none where the command does not have the option or is no shell line.
    """
    try:
        words = shlex.split(command)
    except ValueError:
        return ()
    found: list[str] = []
    is_inside = False
    for word in words:
        name, equals, value = word.partition("=")
        if word.startswith("-"):
            is_inside = word == option
            if equals and name == option:
                found.append(value)
        elif is_inside:
            found.append(word)
    return tuple(found)


def has_option(command: str, option: str) -> bool:
    """Whether a recorded command has an option, e.g. ``"--augment"``."""
    try:
        return option in shlex.split(command)
    except ValueError:
        return False


def with_option(command: str, option: str, *value: str) -> str:
    """A recorded command with another value of an option, which takes one, or without it.

    Args:
        command: A shell line.
        option: Its name, e.g. ``"--trials"``.
        value: The value; without one, the option is left out.

    Raises:
        ValueError: If the command is no shell line.
    """
    words = shlex.split(command)
    kept = [
        word
        for before, word in zip(["", *words], words, strict=False)
        if option not in (before, word) and not word.startswith(f"{option}=")
    ]
    return shlex.join([*kept, option, *value] if value else kept)


def _shown_storage(url: str) -> str:
    if "://" not in url:
        return url
    from storage.connect.engine import parse_url, redact

    try:
        parsed = parse_url(url)
    except StorageError:
        return "***"
    # A file's path stays as it was typed, so that the command can be typed again elsewhere.
    return url if parsed.get_backend_name() == "sqlite" else redact(parsed)


def _as_typed(program: str) -> str:
    """A program that is beside this Python as one would type it here."""
    own = Path(sys.executable) if program == "python" else Path(sys.executable).parent / program
    found = shutil.which(program)
    if found is not None and Path(found) == own:
        return program
    return str(own.relative_to(Path.cwd())) if own.is_relative_to(Path.cwd()) else str(own)
