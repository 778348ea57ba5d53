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
    tables                  made where they are absent, by one at a time (`storage.locking`)
    a new Optuna trial      told apart by the microsecond it was asked for (`optuna_rows.steady`)
    a trial taken up        told apart by the microsecond it was taken (`optuna_rows.steady`)
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

import optuna
from sqlalchemy.exc import DBAPIError, OperationalError

from space.errors import StorageError

__all__ = [
    "OUTAGE_SECONDS",
    "RESTART_SECONDS",
    "await_server",
    "is_outage",
    "is_unreachable",
    "ride_out",
]

OUTAGE_SECONDS = 60.0
"""A database that does not answer for so long is given up."""
RESTART_SECONDS = 5.0
"""A server that nobody has heard of yet, and whose port nobody listens at, is given up after so
long: it may be restarting, but the URL may as well be wrong."""
LONGEST_PAUSE_SECONDS = 2.0

# SQLSTATE classes and codes after which the same transaction may succeed.
_CONNECTION_LOST = ("08", "57P", "53300")
_TOOK_TURNS = ("40001", "40P01")
# What libpq and the server say of a connection that might be made in a moment.
_RESTARTING = (
    "the database system is starting up",
    "the database system is shutting down",
    "the database system is in recovery mode",
    "the database system is not yet accepting connections",
)
_NOBODY_THERE = ("Is the server running", "server closed the connection unexpectedly")

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


def is_unreachable(error: StorageError) -> bool:
    """Whether a store failed because its server is away, or cannot be connected to at all."""
    cause = _cause(error)
    return cause is not None and is_outage(cause)


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
    return _repeat(name, attempt, lambda error: OUTAGE_SECONDS if is_outage(error) else 0.0)


def await_server(name: str, attempt: Callable[[], T]) -> T:
    """Try to open a store whose server may be restarting; say so when it has to wait.

    Args:
        name: What to call the store.
        attempt: Opens it, harmless to repeat.

    Returns:
        What the attempt that succeeded returned.

    Raises:
        Exception: What the last attempt raised.
    """
    return _repeat(name, attempt, _at_first_contact)


def _at_first_contact(error: BaseException) -> float:
    """Seconds to wait for a server that was not heard of before; 0 where waiting mends nothing.

    An error of connecting has no code, so the words tell; a server that says in another language
    than English that it is starting is not waited for.
    """
    found = _cause(error)
    if not isinstance(found, DBAPIError) or not is_outage(found):
        return 0.0
    said = str(found.orig)
    was_connected = found.connection_invalidated or getattr(found.orig, "sqlstate", None)
    if was_connected or any(words in said for words in _RESTARTING):
        return OUTAGE_SECONDS
    return RESTART_SECONDS if any(words in said for words in _NOBODY_THERE) else 0.0


def _repeat(
    name: str, attempt: Callable[[], T], patience_with: Callable[[BaseException], float]
) -> T:
    """Try, and try again for as many seconds as the most hopeful error so far is worth."""
    began: float | None = None
    patience = 0.0
    pause = 0.1
    while True:
        try:
            result = attempt()
        except (DBAPIError, optuna.exceptions.StorageInternalError, StorageError) as error:
            now = time.monotonic()
            began = now if began is None else began
            hope = patience_with(error)
            if not hope or now - began > max(hope, patience):
                raise
            if hope > patience:
                patience = hope
                logger.warning(
                    "storage %s does not answer (%s); trying again for %.0f s",
                    name,
                    _said(error),
                    patience,
                )
        else:
            if began is not None:
                waited = time.monotonic() - began
                logger.warning("storage %s answers again after %.0f s", name, waited)
            return result
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def _said(error: BaseException) -> str:
    """The first line of what the driver said."""
    error = _cause(error) or error
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__


def _cause(error: BaseException) -> BaseException | None:
    """What the database's own library raised; None where there is nothing of the kind."""
    found: BaseException | None = error
    while isinstance(found, StorageError | optuna.exceptions.StorageInternalError):
        found = found.__cause__
    return found
