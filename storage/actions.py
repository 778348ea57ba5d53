"""What people ask of the service, and what became of it: a row an action, which nothing deletes.

An action that the store itself can carry out is done and recorded in one transaction. One that a
running launch must carry out is recorded as asked; its driver reads it with its heartbeat, does it
and answers. `Store.end_launch` refuses in its own transaction whatever its launch has not answered:
so every action has one answer, whoever is killed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, NamedTuple

import sqlalchemy as sa

from space.errors import UsageError
from storage.leases import is_alive
from storage.store import LAUNCHES, Store, ended
from storage.tables import schema
from storage.tables.clock import StoreNow
from storage.tables.optuna_models import STUDIES
from storage.tables.records import LaunchRecord
from storage.tables.service import ActionRecord, NewAction

__all__ = [
    "ADD_BUDGET",
    "LAUNCH_VERBS",
    "STOP",
    "STOP_TRIAL",
    "USED",
    "Answer",
    "act",
    "answer",
    "ask",
    "find_action",
    "list_actions",
    "open_actions",
    "refuse_unheard",
    "require_same",
]

STOP, STOP_TRIAL, ADD_BUDGET = LAUNCH_VERBS = ("stop", "stop-trial", "add-budget")
"""What a running launch can be asked for."""


USED = "this Idempotency-Key was used for another request"


class Answer(NamedTuple):
    """What becomes of an action."""

    state: str
    """``"done"``; ``"refused"`` where nothing was changed; ``"asked"`` where a launch is to do
    it, and to answer."""
    said: str | None = None
    """What became of it, in a sentence."""
    submission_id: int | None = None
    """The submission that it made, or that it turned out to be about."""
    launch_id: int | None = None
    """The launch that it began."""


_TABLE = schema.actions


def act(store: Store, action: NewAction, work: Callable[[sa.Connection], Answer]) -> ActionRecord:
    """Do something in the store and record who asked for it, in one transaction.

    Args:
        store: The store.
        action: What is asked for, and by whom.
        work: Does it, in the transaction that it is given, and says what became of it. However
            often the server goes away meanwhile, it has been done once.

    Returns:
        The action as it is recorded.

    Raises:
        UsageError: If another action has its uid.
        StorageError: If the database fails.
    """
    values = {name: getattr(action, name) for name in NewAction.__dataclass_fields__}

    def attempt(connection: sa.Connection) -> ActionRecord:
        query = sa.select(_TABLE).where(_TABLE.c.uid == action.uid)
        found = connection.execute(query).one_or_none()
        if found is None:
            done = work(connection)
            now = connection.execute(sa.select(StoreNow())).scalar_one()
            known = {**values, "asked_at": now, "state": done.state}
            if done.state != "asked":
                known |= {"answer": done.said, "answered_at": now}
            made = {"submission_id": done.submission_id, "launch_id": done.launch_id}
            known |= {name: number for name, number in made.items() if number is not None}
            connection.execute(_TABLE.insert().values(known))
            found = connection.execute(query).one()
        record = ActionRecord(**found._mapping)
        require_same(record, action)
        return record

    return store.transaction(attempt)


def require_same(found: ActionRecord, action: NewAction) -> None:
    """Refuse what is asked for under the uid of another action.

    Raises:
        UsageError: If it is not what was asked for then.
    """
    # What it made, or turned out to be about, it did not say.
    ids = [name for name in ("submission_id", "launch_id") if getattr(action, name) is not None]
    for name in ("verb", "asked_by", "study", "trial_number", "detail", *ids):
        if getattr(found, name) != getattr(action, name):
            raise UsageError(USED)


def _of_its_study(store: Store, action: NewAction) -> NewAction:
    """An action with the study of its launch, where it says none."""
    if action.study is not None:
        return action
    of_it = schema.launches.c.study_id == STUDIES.c.study_id
    name = sa.select(STUDIES.c.study_name).join(schema.launches, of_it)
    names = store.rows(name.where(schema.launches.c.launch_id == action.launch_id))
    return replace(action, study=names[0]["study_name"] if names else None)


def ask(store: Store, action: NewAction) -> ActionRecord:
    """Ask something of a running launch.

    Args:
        store: The store.
        action: One of `LAUNCH_VERBS`, with its `launch_id`.

    Returns:
        The action as it is recorded, with the study of the launch: asked, or refused where the
        launch has ended.

    Raises:
        StorageError: If the database fails.
    """
    action = _of_its_study(store, action)

    def work(connection: sa.Connection) -> Answer:
        launches = schema.launches
        own = launches.c.launch_id == action.launch_id
        # The launch does not end between the look and the record of the action.
        connection.execute(launches.update().where(own).values(status=launches.c.status))
        row = connection.execute(LAUNCHES.where(own)).one_or_none()
        if row is None:
            return Answer("refused", f"there is no launch {action.launch_id}")
        if not is_alive(LaunchRecord(**row._mapping)):
            return Answer("refused", ended(row.launch_id))
        if action.verb != STOP:
            return Answer("asked")
        # An agent would begin it again: it is its submission that is to stop.
        table = schema.submissions.c
        of_it = (table.launch_id == action.launch_id) & (table.state == "running")
        number = connection.execute(sa.select(table.submission_id).where(of_it)).scalar()
        return Answer("asked", submission_id=number)

    return act(store, action, work)


def answer(
    store: Store,
    action: ActionRecord,
    state: str,
    said: str,
    also: Callable[[sa.Connection], object] = lambda _connection: None,
) -> bool:
    """Say what became of an action; say whether that is what the store has.

    Args:
        store: The store.
        action: An action that was asked.
        state: ``"done"`` or ``"refused"``.
        said: What became of it, in a sentence.
        also: Writes what was done, in the transaction that says so, where nobody else had.

    Raises:
        StorageError: If the database fails.
    """
    own = (_TABLE.c.action_id == action.action_id) & (_TABLE.c.state == "asked")
    update = _TABLE.update().where(own)
    update = update.values(state=state, answer=said, answered_at=StoreNow())

    def work(connection: sa.Connection) -> bool:
        if connection.execute(update).rowcount:
            also(connection)
            return True
        # An attempt whose end was not heard of may have said it.
        query = sa.select(_TABLE.c.state, _TABLE.c.answer)
        found = connection.execute(query.where(_TABLE.c.action_id == action.action_id)).one()
        return tuple(found) == (state, said)

    return store.transaction(work)


def refuse_unheard(store: Store) -> None:
    """Refuse what was asked of launches that died before they could answer.

    Args:
        store: The store.

    Raises:
        StorageError: If the database fails.
    """
    to_launches = [_TABLE.c.state == "asked", _TABLE.c.submission_id.is_(None)]
    waiting = [each for each in _read(store, to_launches) if each.launch_id is not None]
    if waiting:
        alive = {launch.launch_id for launch in store.launches() if is_alive(launch)}
        for action in waiting:
            if action.launch_id not in alive:
                answer(store, action, "refused", ended(action.launch_id))


def find_action(store: Store, uid: str) -> ActionRecord | None:
    """The action of a uid; None where there is none."""
    found = _read(store, [_TABLE.c.uid == uid])
    return found[0] if found else None


def open_actions(
    store: Store, launch_id: int, submission_id: int | None = None
) -> list[ActionRecord]:
    """What a launch is asked for and has not answered, oldest first.

    Args:
        store: The store.
        launch_id: The launch.
        submission_id: The submission that it was begun for, if any: what that is asked for, too.

    Raises:
        StorageError: If the database fails.
    """
    to_it = _TABLE.c.launch_id == launch_id
    if submission_id is not None:
        to_it |= _TABLE.c.submission_id == submission_id
    return _read(store, [to_it, _TABLE.c.state == "asked"], newest_first=False)


def list_actions(
    store: Store,
    *,
    study: str | None = None,
    launch_id: int | None = None,
    submission_id: int | None = None,
    limit: int | None = None,
) -> list[ActionRecord]:
    """What was asked for, newest first.

    Args:
        store: The store.
        study: Only what is about this study.
        launch_id: Only what is about this launch.
        submission_id: Only what is about this submission.
        limit: At the most so many.

    Raises:
        StorageError: If the database fails.
    """
    wanted = {"study": study, "launch_id": launch_id, "submission_id": submission_id}
    which = [_TABLE.c[name] == value for name, value in wanted.items() if value is not None]
    return _read(store, which, limit=limit)


def _read(
    store: Store,
    which: Iterable[sa.ColumnElement[bool]],
    *,
    newest_first: bool = True,
    limit: int | None = None,
) -> list[ActionRecord]:
    order: Any = _TABLE.c.action_id
    query = sa.select(_TABLE).where(*which).order_by(order.desc() if newest_first else order)
    return [ActionRecord(**row) for row in store.rows(query.limit(limit))]
