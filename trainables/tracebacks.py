"""What a user is told of an exception in their code: the place, and their part of the traceback."""

from __future__ import annotations

import inspect
import os
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from space.errors import UserError
from trainables.failures import LONGEST_REASON, TrialFailure

__all__ = ["OURS", "SENT_TEXT", "describe", "mistakes_told", "traceback_of", "where"]

OURS = ("space", "trainables", "storage", "dashboards", "search")
"""Packages that are no user's, also where a user's file lies beside them."""
SENT_TEXT = "trainable-"
"""How the name of a folder begins from which a worker has loaded a user's text."""
MOST_CHARACTERS = 6000
"""Of a traceback; what lies between its beginning and its end goes first."""

_ROOT = Path(__file__).resolve().parents[1]
_OURS = tuple(f"{_ROOT / name}{os.sep}" for name in OURS)
_SHIPPED = f"{_ROOT / 'trainables' / 'shipped'}{os.sep}"  # Written as a user would write it.
_STANDARD = f"{sysconfig.get_paths()['stdlib']}{os.sep}"


def describe(error: BaseException) -> str:
    """An exception in a sentence: the place in the user's code, else in ours, and what it is."""
    stack = traceback.extract_tb(error.__traceback__)
    frame = ([each for each in stack if _is_users(each.filename)] or list(stack))[-1]
    place = f"{Path(frame.filename).name}, line {frame.lineno}"
    return f"{place}: {type(error).__name__}: {error}".removesuffix(": ")


def where(method: Callable[..., Any]) -> str:
    """Where a method of a user's stands, as the beginning of a sentence on what it gives."""
    function = inspect.unwrap(getattr(method, "__func__", method))
    code = getattr(function, "__code__", None)
    place = "" if code is None else f"{Path(code.co_filename).name}, line {code.co_firstlineno}: "
    return f"{place}{function.__qualname__}"


@contextmanager
def mistakes_told(kind: type[UserError]) -> Iterator[None]:
    """Where a user's code runs in the process that has been started: its mistakes are sentences.

    Args:
        kind: What an exception becomes that the user's code raises; ours stay as they are.
    """
    try:
        yield
    except (UserError, TrialFailure):
        raise
    except Exception as error:
        files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
        if not any(_is_users(file) and not file.startswith(_SHIPPED) for file in files):
            raise
        raise kind(" ".join(describe(error).split())[:LONGEST_REASON]) from error


def traceback_of(error: BaseException) -> str:
    """The user's part of a traceback: their frames, and what the last of them called.

    What trains them and PyTorch's own way from one of their methods to the next are left out. Where
    no frame is theirs, it is our bug, and nothing is left out.

    Args:
        error: The exception, with those that led to it.

    Returns:
        At most about `MOST_CHARACTERS`.
    """
    told = traceback.TracebackException.from_exception(error)
    for each in _chain(told):
        each.stack = _users_part(each.stack)
    text = "".join(told.format())
    for filename in {frame.filename for each in _chain(told) for frame in each.stack}:
        text = text.replace(f'File "{filename}"', f'File "{_shown(filename)}"')
    if len(text) > MOST_CHARACTERS:
        left = len(text) - MOST_CHARACTERS
        head, tail = MOST_CHARACTERS // 3, 2 * MOST_CHARACTERS // 3
        text = f"{text[:head]}\n[... {left:,} characters left out ...]\n{text[-tail:]}"
    return text


def _chain(told: traceback.TracebackException) -> Iterator[traceback.TracebackException]:
    """An exception and those that led to it."""
    waiting, seen = [told], set[int]()
    while waiting:
        each = waiting.pop()
        if id(each) not in seen:
            seen.add(id(each))
            yield each
            waiting += [cause for cause in (each.__cause__, each.__context__) if cause is not None]


def _users_part(stack: traceback.StackSummary) -> traceback.StackSummary:
    frames = [frame for frame in stack if not _is_ours(frame.filename)]
    users = [n for n, frame in enumerate(frames) if _is_users(frame.filename)]
    if not users:
        return stack
    kept = [frames[n] for n in users] + frames[users[-1] + 1 :]
    return traceback.StackSummary.from_list(kept)


def _is_ours(filename: str) -> bool:
    return filename.startswith(_OURS) and not filename.startswith(_SHIPPED)


def _is_users(filename: str) -> bool:
    """Whether it is neither ours nor PyTorch's nor Python's own."""
    if _is_ours(filename) or filename.startswith("<frozen"):
        return False
    parts = Path(filename).parts
    if "site-packages" in parts:
        return parts[parts.index("site-packages") + 1] != "torch"
    return not filename.startswith(_STANDARD)


def _shown(filename: str) -> str:
    """The file's path as its user knows it."""
    sent = filename.partition(f"{os.sep}{SENT_TEXT}")[2]
    if sent:
        return sent.partition(os.sep)[2]
    here = f"{os.getcwd()}{os.sep}"
    return filename.removeprefix(here)
