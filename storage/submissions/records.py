"""Submissions as the store has them, read with their files or without."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from storage.leases import is_heard_of
from storage.store import Store
from storage.tables import schema
from storage.tables.clock import SecondsSince
from storage.tables.service import Holder, SubmissionRecord, WholeSubmission

__all__ = [
    "SUBMISSIONS",
    "WHOLE",
    "fields_of",
    "is_held",
    "list_submissions",
    "submission_of",
    "submission_record",
]

_TABLE = schema.submissions
_SILENCE = SecondsSince(_TABLE.c.heartbeat_at).label("silence")
SUBMISSIONS = sa.select(*(each for each in _TABLE.c if each.name != "files"), _SILENCE)
"""What `submission_record` is to be given: files may be large, and are read one by one."""
WHOLE = sa.select(_TABLE, _SILENCE)
"""The same with the files, of a `WholeSubmission`."""


def list_submissions(
    store: Store, *states: str, newest: int | None = None, offset: int = 0
) -> list[SubmissionRecord]:
    """The submissions in some states, or all of them: as they are taken, then the older first.

    Args:
        store: The store.
        states: The states; none: all.
        newest: So many at the most, the newest first.
        offset: So many of these are passed over.

    Raises:
        StorageError: If the database fails.
    """
    query = SUBMISSIONS if not states else SUBMISSIONS.where(_TABLE.c.state.in_(states))
    if newest is None:
        query = query.order_by(_TABLE.c.priority.desc(), _TABLE.c.submission_id)
    else:
        query = query.order_by(_TABLE.c.submission_id.desc()).limit(newest).offset(offset)
    return [submission_record(row) for row in store.rows(query)]


def submission_of(store: Store, submission_id: int) -> WholeSubmission | None:
    """A submission by its number; None where there is none.

    Raises:
        StorageError: If the database fails.
    """
    found = store.rows(WHOLE.where(_TABLE.c.submission_id == submission_id))
    return WholeSubmission(**fields_of(found[0])) if found else None


def is_held(submission: SubmissionRecord) -> bool:
    """Whether the agent that has a running submission may be alive."""
    by, silence = submission.holder, submission.silence
    if by is None or silence is None:
        return False
    return is_heard_of(by.host, by.pid, by.process, silence)


def submission_record(row: Any) -> SubmissionRecord:
    """A row of `SUBMISSIONS` as a record."""
    return SubmissionRecord(**fields_of(row))


def fields_of(row: Any) -> dict[str, Any]:
    """A row of `SUBMISSIONS` or of `WHOLE` as the fields of a record."""
    values = dict(row)
    host, pid, process = (values.pop(name) for name in ("host", "pid", "process"))
    holder = None if host is None else Holder(host=host, pid=pid, process=process)
    return {**values, "holder": holder}
