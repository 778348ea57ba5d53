"""What another library's code may raise in the midst of a search: anything."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TypeVar

from space.errors import UserError

__all__ = ["brief", "safely"]

T = TypeVar("T")


def safely(call: Callable[[], T], otherwise: Callable[[Exception], T]) -> T:
    """Call a library's code, and do without it where it raises.

    Args:
        call: The call.
        otherwise: What to do instead, given the error.

    Raises:
        UserError: What the call met in the store.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # What they grumble at is not for a person to mend.
            return call()
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001 - no library says what it may raise
        return otherwise(error)


def brief(error: Exception) -> str:
    """An error in one short line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
