"""Launches whose trials clients of the HTTP API train: who answers for one, what it has given out.

A server keeps such a launch's ledger in its memory, and nothing that the store does not have, too:
another server, or the same after a restart, goes on with the launch once it has written down that
it answers for it.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from storage.store import Store
from storage.tables import schema
from storage.tables.clock import StoreNow

__all__ = [
    "BEGIN",
    "begun_by",
    "forget_asks",
    "give",
    "given",
    "server_of",
    "take_launch",
    "trial_given",
]

BEGIN = "begin-launch"
"""The verb of the action by which a client begins a launch."""

_ASKS, _LAUNCHES = schema.asks, schema.launches


def begun_by(store: Store, launch_id: int) -> str | None:
    """Who began a launch, by a token; None where no client has."""
    actions = schema.actions
    own = (actions.c.launch_id == launch_id) & (actions.c.verb == BEGIN)
    rows = store.rows(sa.select(actions.c.asked_by).where(own))
    return str(rows[0]["asked_by"]) if rows else None


def server_of(store: Store, launch_id: int) -> str | None:
    """The mark of the server that answers for a launch; None where the launch has ended."""
    own = (_LAUNCHES.c.launch_id == launch_id) & (_LAUNCHES.c.status == "running")
    rows = store.rows(sa.select(_LAUNCHES.c.process).where(own))
    return str(rows[0]["process"] or "") if rows else None


def take_launch(store: Store, launch_id: int, mark: str) -> bool:
    """Answer for a launch from now on; say whether it still counts as running.

    Args:
        store: The store.
        launch_id: The launch; it is heard of by this.
        mark: Tells the server from all others.
    """
    own = (_LAUNCHES.c.launch_id == launch_id) & (_LAUNCHES.c.status == "running")
    update = _LAUNCHES.update().where(own).values(process=mark, heartbeat_at=StoreNow())
    return store.transaction(lambda connection: connection.execute(update).rowcount > 0)


def give(store: Store, launch_id: int, key: str, number: int) -> None:
    """Record that a trial was given for a request; to be done before the request is answered.

    Args:
        store: The store.
        launch_id: The launch that asked.
        key: Names the request within the launch.
        number: The trial's number.
    """
    row = {"launch_id": launch_id, "key": key, "trial_number": number}
    own = (_ASKS.c.launch_id == launch_id) & (_ASKS.c.key == key)

    def work(connection: sa.Connection) -> None:
        if connection.execute(sa.select(_ASKS.c.key).where(own)).first() is None:
            connection.execute(_ASKS.insert().values(row))

    store.transaction(work)


def trial_given(store: Store, launch_id: int, key: str) -> int | None:
    """The number of the trial that was given for a request; None where none was."""
    own = (_ASKS.c.launch_id == launch_id) & (_ASKS.c.key == key)
    rows = store.rows(sa.select(_ASKS.c.trial_number).where(own))
    return int(rows[0]["trial_number"]) if rows else None


def given(store: Store, launch_id: int, numbers: Iterable[int]) -> set[int]:
    """Those of some trials of a launch that were given out.

    A trial that is open and was not is one whose request ended before it was answered.
    """
    own = (_ASKS.c.launch_id == launch_id) & _ASKS.c.trial_number.in_(list(numbers))
    return {row["trial_number"] for row in store.rows(sa.select(_ASKS.c.trial_number).where(own))}


def forget_asks(store: Store) -> None:
    """Delete what launches have given out that have ended."""
    running = sa.select(_LAUNCHES.c.launch_id).where(_LAUNCHES.c.status == "running")
    delete = _ASKS.delete().where(_ASKS.c.launch_id.not_in(running))
    store.transaction(lambda connection: connection.execute(delete))
