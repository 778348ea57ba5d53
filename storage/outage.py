"""Riding out a database server that goes away for a moment: a restart, a failover, a lost network.

Every call of the store is one transaction and is tried again as a whole. A server may die after it
committed and before it said so; the second try must then find what the first one did:

    what is read            is read again
    studies, terms          made once for each name
    launches                told apart by host, process and microsecond
    runs                    told apart by trial, purpose and replicate, or by the run taken up
    epochs, results         left alone where they are there already
    states, attributes,     said again, which changes nothing
    Optuna's reports
    a new Optuna trial      told apart by the microsecond it was asked for (`storage.steady`)
    a trial taken up        told apart by the microsecond it was taken (`storage.steady`)
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

import optuna
from sqlalchemy.exc import DBAPIError, OperationalError

__all__ = ["OUTAGE_SECONDS", "is_outage", "ride_out"]

OUTAGE_SECONDS = 60.0
"""A database that does not answer for so long is given up."""
LONGEST_PAUSE_SECONDS = 2.0

# SQLSTATE classes and codes after which the same transaction may succeed.
_CONNECTION_LOST = ("08", "57P", "53300")
_TOOK_TURNS = ("40001", "40P01")

logger = logging.getLogger(__name__)

T = TypeVar("T")


def is_outage(error: BaseException) -> bool:
    """Whether an error says that the server is away or starting, and not that we were wrong.

    SQLite has no server; what it says is final.
    """
    if isinstance(error, optuna.exceptions.StorageInternalError):
        return error.__cause__ is not None and is_outage(error.__cause__)
    if not isinstance(error, DBAPIError) or type(error.orig).__module__.startswith("sqlite3"):
        return False
    if error.connection_invalidated:
        return True
    state: str | None = getattr(error.orig, "sqlstate", None)
    if state is None:
        return isinstance(error, OperationalError)
    return state.startswith(_CONNECTION_LOST) or state in _TOOK_TURNS


def ride_out(name: str, attempt: Callable[[], T]) -> T:
    """Try until the database answers, for `OUTAGE_SECONDS` at the most; say so when it does not.

    Args:
        name: What to call the store.
        attempt: One transaction, harmless to repeat.

    Returns:
        What the attempt that succeeded returned.

    Raises:
        Exception: What the last attempt raised.
    """
    try:
        return attempt()
    except (DBAPIError, optuna.exceptions.StorageInternalError) as error:
        if not is_outage(error):
            raise
        logger.warning(
            "storage %s does not answer (%s); trying again for %.0f s",
            name,
            _said(error),
            OUTAGE_SECONDS,
        )
    began = time.monotonic()
    pause = 0.1
    while True:
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        try:
            result = attempt()
        except (DBAPIError, optuna.exceptions.StorageInternalError) as error:
            if not is_outage(error) or time.monotonic() - began > OUTAGE_SECONDS:
                raise
        else:
            logger.warning("storage %s answers again after %.0f s", name, time.monotonic() - began)
            return result


def _said(error: BaseException) -> str:
    """The first line of what the driver said."""
    if isinstance(error, optuna.exceptions.StorageInternalError) and error.__cause__ is not None:
        error = error.__cause__
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__
