"""What people do to submissions: submit, stop, pause, resume, give another priority."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath

import sqlalchemy as sa

from space.errors import UsageError
from storage.actions import Answer, act
from storage.store import Store
from storage.tables import schema
from storage.tables.clock import StoreNow
from storage.tables.service import ENDED, ActionRecord, NewAction, NewSubmission

__all__ = ["SUBMISSION_VERBS", "change_submission", "submit"]

SUBMISSION_VERBS = ("stop", "pause", "resume", "priority")
"""What a submission can be asked for."""
_STATE_AFTER = {"stop": "stopped", "pause": "paused", "resume": "queued"}
_NOT_SUBMITTED = {"--storage", "--checkpoints", "--ray-address", "--dry-run"}
_RESUMABLE = ("paused", "failed", "stopped")
_TABLE = schema.submissions


def submit(store: Store, submission: NewSubmission) -> int:
    """Put a submission into the queue, and record who did; return its number.

    Raises:
        UsageError: If no agent could run it.
        StorageError: If the database fails.
    """
    _refuse_unfit(submission)
    names = NewSubmission.__dataclass_fields__
    values = {name: getattr(submission, name) for name in names}

    def work(connection: sa.Connection) -> Answer:
        new = _TABLE.insert().values(**values, state="queued", submitted_at=StoreNow())
        done = connection.execute(new)
        number = int(done.inserted_primary_key[0])  # type: ignore[index]
        return Answer("done", "it is queued", submission_id=number)

    action = NewAction(
        verb="submit",
        asked_by=submission.submitted_by,
        study=submission.name,
        detail={"priority": submission.priority},
        uid=submission.uid,
    )
    return int(act(store, action, work).submission_id or 0)


def _refuse_unfit(submission: NewSubmission) -> None:
    """Refuse what an agent is not to run, or not to write.

    Raises:
        UsageError: If there is something.
    """
    if submission.command not in ("launch", "benchmark"):
        raise UsageError(f"'{submission.command}' is no command; expected launch or benchmark.")
    for name in submission.files:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or not path.name:
            raise UsageError(f"{name!r}: a file's name is a path below the working directory.")
        inside = [str(each) for each in path.parents if str(each) in submission.files]
        if inside:
            raise UsageError(f"{name!r}: {inside[0]!r} is a file, so it is no directory of it.")
    for text in (*submission.files, *submission.arguments):
        if "\0" in text:
            raise UsageError(f"{text!r}: neither files' names nor arguments have NUL in them.")
    options = {word.partition("=")[0] for word in submission.arguments}
    for option in _NOT_SUBMITTED & options:
        raise UsageError(f"{option}: a submission has none; it is for who runs the command.")
    if submission.cpus < 1 or submission.cpus % 1 or submission.gpus % 1:
        raise UsageError("cpus and gpus are whole numbers, of at least one CPU.")


def change_submission(store: Store, action: NewAction) -> ActionRecord:
    """Stop, pause or resume a submission, or give it a priority (``detail={"priority": 3}``).

    Args:
        store: The store.
        action: One of `SUBMISSION_VERBS`, with its `submission_id`.

    Returns:
        The action as it is recorded: done, refused with the reason, or asked of the launch that
        runs for it.

    Raises:
        StorageError: If the database fails.
    """
    verb = action.verb
    own = _TABLE.c.submission_id == action.submission_id
    if action.study is None:
        names = store.rows(sa.select(_TABLE.c.name).where(own))
        action = replace(action, study=names[0]["name"] if names else None)

    def work(connection: sa.Connection) -> Answer:
        # The first statement is a write: the row is ours until the transaction ends.
        connection.execute(_TABLE.update().where(own).values(state=_TABLE.c.state))
        state = connection.execute(sa.select(_TABLE.c.state).where(own)).scalar()
        if state is None:
            return Answer("refused", f"there is no submission {action.submission_id}")
        if verb == "priority":
            if state not in ("queued", "paused"):
                return Answer("refused", f"it is {state}")
            priority = int(action.detail["priority"])
            connection.execute(_TABLE.update().where(own).values(priority=priority))
            return Answer("done", f"its priority is {priority}")
        if verb == "resume":
            may = state in _RESUMABLE
        else:
            may = state == "queued" or (verb, state) == ("stop", "paused")
            if state == "running":
                return Answer("asked")
        if not may:
            return Answer("refused", f"it is {state}")
        after = _STATE_AFTER[verb]
        ended_at = StoreNow() if after in ENDED else None
        values = {"state": after, "reason": None, "ended_at": ended_at, "deaths": 0}
        connection.execute(_TABLE.update().where(own).values(values))
        return Answer("done", f"it is {after}")

    return act(store, action, work)
