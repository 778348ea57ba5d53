"""Launches and benchmarks that wait for an agent, are in the hands of one, or have ended.

    queued    waits for an agent with room for it
    paused    waits for somebody to resume it
    running   an agent has taken it: it holds it by heartbeats, as a launch holds its trials
    done      its command ended and said so
    failed    its command could not do it, or died again and again; the reason says why
    stopped   somebody stopped it

Every taking has a `hold` of its own. The command that an agent starts begins its launch under it
(`begin_under`), in the transaction that records the launch, or ends at once: an agent may die, its
submission be put back and taken by another while the first one's command still starts. One that
did begin its launch goes on without its agent, and counts as running until that launch has ended.

What a running submission is asked for, to stop or to pause, its launch reads and obeys; it is
answered when the submission leaves the state `running` (`end_hold`), in the same transaction. So
it holds even where the launch is killed before it could obey.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import sqlalchemy as sa

from space.errors import LeaseLostError, UsageError
from storage.actions import Answer, act
from storage.leases import is_alive, is_heard_of, status_of
from storage.store import Store
from storage.tables import schema
from storage.tables.clock import SecondsSince, StoreNow
from storage.tables.records import LaunchRecord
from storage.tables.service import (
    ENDED,
    ActionRecord,
    Holder,
    NewAction,
    NewSubmission,
    SubmissionRecord,
    WholeSubmission,
)

__all__ = [
    "MAX_DEATHS",
    "SUBMISSIONS",
    "SUBMISSION_VERBS",
    "add_arguments",
    "begin_under",
    "change_submission",
    "end_hold",
    "hold_on",
    "is_held",
    "list_submissions",
    "put_back",
    "state_after",
    "submission_of",
    "submission_record",
    "submit",
    "take",
]

SUBMISSION_VERBS = ("stop", "pause", "resume", "priority")
"""What a submission can be asked for."""
_STATE_AFTER = {"stop": "stopped", "pause": "paused", "resume": "queued"}
_NOT_SUBMITTED = {"--storage", "--checkpoints", "--ray-address", "--dry-run"}
_RESUMABLE = ("paused", "failed", "stopped")

MAX_DEATHS = 5
"""A submission whose command dies so often in a row, and has not trained an epoch nor ended a run
in between, has failed: most likely it takes more memory than there is."""

_TABLE = schema.submissions
_ACTIONS = schema.actions
_SILENCE = SecondsSince(_TABLE.c.heartbeat_at).label("silence")
SUBMISSIONS = sa.select(*(each for each in _TABLE.c if each.name != "files"), _SILENCE)
"""What `submission_record` is to be given: files may be large, and are read one by one."""
_WHOLE = sa.select(_TABLE, _SILENCE)


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
    found = store.rows(_WHOLE.where(_TABLE.c.submission_id == submission_id))
    return WholeSubmission(**_fields(found[0])) if found else None


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


def take(
    store: Store, holder: Holder, *, free: tuple[float, float], total: tuple[float, float]
) -> WholeSubmission | None:
    """Take the next submission that an agent has room for.

    One that would fit if the agent had nothing to do is waited for: smaller ones behind it do not
    pass it by.

    Args:
        store: The store.
        holder: The agent's process.
        free: CPUs and GPUs that it has left.
        total: CPUs and GPUs that it has in all.

    Returns:
        The submission, in its hands; None where there is none for it now.

    Raises:
        StorageError: If the database fails.
    """
    hold = uuid.uuid4().hex
    taken_up = {
        "state": "running",
        "reason": None,
        "hold": hold,
        **vars(holder),
        "heartbeat_at": StoreNow(),
        "started_at": StoreNow(),
        "ended_at": None,
        "launch_id": None,
    }
    order = (_TABLE.c.priority.desc(), _TABLE.c.submission_id)
    waiting = sa.select(_TABLE.c.submission_id, _TABLE.c.cpus, _TABLE.c.gpus)
    waiting = waiting.where(_TABLE.c.state == "queued").order_by(*order)
    ours = _WHOLE.where(_TABLE.c.hold == hold)

    def work(connection: sa.Connection) -> WholeSubmission | None:
        # An attempt whose end was not heard of may have taken one.
        found = connection.execute(ours).one_or_none()
        if found is None:
            for number, *wanted in connection.execute(waiting).all():
                if not _fits(wanted, total):
                    continue
                if not _fits(wanted, free):
                    return None
                own = (_TABLE.c.submission_id == number) & (_TABLE.c.state == "queued")
                if connection.execute(_TABLE.update().where(own).values(taken_up)).rowcount:
                    break
            found = connection.execute(ours).one_or_none()
        return None if found is None else WholeSubmission(**_fields(found._mapping))

    return store.transaction(work)


def hold_on(store: Store, hold: str, holder: Holder) -> bool:
    """Record that an agent is alive and holds a submission; say whether it still does.

    Args:
        store: The store.
        hold: Of its taking.
        holder: The agent: another than before where it looks after what a dead one left.

    Raises:
        StorageError: If the database fails.
    """
    own = (_TABLE.c.hold == hold) & (_TABLE.c.state == "running")
    update = _TABLE.update().where(own).values(heartbeat_at=StoreNow(), **vars(holder))
    return store.transaction(lambda connection: connection.execute(update).rowcount > 0)


def begin_under(connection: sa.Connection, hold: str, launch_id: int) -> int:
    """Record which launch works on a submission, as the launch begins; return whose that is.

    Raises:
        LeaseLostError: If the submission is not held so any more: the launch must not begin.
    """
    own = (_TABLE.c.hold == hold) & (_TABLE.c.state == "running")
    update = _TABLE.update().where(own).values(launch_id=launch_id)
    if not connection.execute(update).rowcount:
        raise LeaseLostError(
            "the agent that started this command was taken for dead, so its submission was put "
            "back; it goes on from the queue."
        )
    return int(connection.execute(sa.select(_TABLE.c.submission_id).where(own)).scalar_one())


def add_arguments(connection: sa.Connection, submission_id: int, arguments: list[str]) -> None:
    """Have a submission's command begin with more arguments the next time."""
    own = _TABLE.c.submission_id == submission_id
    before = connection.execute(sa.select(_TABLE.c.arguments).where(own)).scalar_one()
    connection.execute(_TABLE.update().where(own).values(arguments=[*before, *arguments]))


def end_hold(store: Store, seen: SubmissionRecord, state: str, reason: str | None) -> str | None:
    """Record what has become of a running submission, and answer what it was asked for.

    Args:
        store: The store.
        seen: The submission as it was read once its command had ended.
        state: ``"done"``, ``"failed"``, or ``"queued"`` where it is to go on, ``"died"`` where it
            is to for some deaths: unless it was asked to stop or to pause, which then is what has
            happened.
        reason: Why, where there is more to say.

    Returns:
        The state it is in now; None where that was settled, or a launch begun, since it was read.

    Raises:
        StorageError: If the database fails.
    """
    own = (_TABLE.c.hold == seen.hold) & (_TABLE.c.state == "running")
    own &= _TABLE.c.launch_id.is_not_distinct_from(seen.launch_id)
    to_it = (_ACTIONS.c.submission_id == seen.submission_id) & (_ACTIONS.c.state == "asked")

    def work(connection: sa.Connection) -> str | None:
        # The first statement is a write: nobody asks for anything meanwhile.
        if not connection.execute(_TABLE.update().where(own).values(hold=seen.hold)).rowcount:
            return None
        asked = sa.select(_ACTIONS.c.verb).where(to_it).order_by(_ACTIONS.c.action_id)
        verbs = connection.execute(asked).scalars().all()
        after, why, deaths = state, reason, 0
        if state in ("queued", "died") and verbs:
            # To stop is the stronger wish, whichever came first.
            after = "stopped" if "stop" in verbs else "paused"
            why = None
        elif state == "died":
            after = "queued"
            has_trained = connection.execute(_trained_by(seen.launch_id)).first() is not None
            deaths = 0 if has_trained else seen.deaths + 1
            if deaths == MAX_DEATHS:
                after = "failed"
                why = (
                    f"{reason}: the {MAX_DEATHS}th death in a row that came before anything was "
                    f"trained; see to its memory, then `search resume {seen.submission_id}`"
                )
        said = "done" if after in ("stopped", "paused") else "refused"
        answers = {"state": said, "answer": f"it is {after}", "answered_at": StoreNow()}
        connection.execute(_ACTIONS.update().where(to_it).values(answers))
        ended_at = StoreNow() if after in ENDED else None
        values = {"state": after, "reason": why, "ended_at": ended_at, "deaths": deaths}
        connection.execute(_TABLE.update().where(own).values(values))
        return after

    return store.transaction(work)


def _trained_by(launch_id: int | None) -> sa.Select[Any]:
    """A run that a launch has ended, or trained for an epoch, among those that it had last."""
    runs, epochs = schema.runs.c, schema.epochs.c
    epoch = (epochs.run_id == runs.run_id) & (epochs.launch_id == launch_id)
    has_trained = runs.state.not_in(("running", "interrupted")) | sa.exists().where(epoch)
    return sa.select(runs.run_id).where(runs.launch_id == launch_id, has_trained).limit(1)


def put_back(store: Store) -> tuple[list[SubmissionRecord], list[int]]:
    """Look after what dead agents held.

    What has no living launch is queued again, or is what that launch said it is.

    Args:
        store: The store.

    Returns:
        What lives on without its agent, as its launch is alive; and the numbers of the others.

    Raises:
        StorageError: If the database fails.
    """
    orphans = [each for each in list_submissions(store, "running") if not is_held(each)]
    if not orphans:
        return [], []
    launches = {launch.launch_id: launch for launch in store.launches()}
    alive, settled = [], []
    for orphan in orphans:
        launch = None if orphan.launch_id is None else launches.get(orphan.launch_id)
        if launch is not None and is_alive(launch):
            alive.append(orphan)
        else:
            end_hold(store, orphan, *state_after(launch))
            settled.append(orphan.submission_id)
    return alive, settled


def state_after(launch: LaunchRecord | None) -> tuple[str, str | None]:
    """What has become of a submission, by how its launch ended: as `end_hold` is told, and why."""
    if launch is None:
        return "queued", "its agent died"
    status = status_of(launch)
    if status in ("died", "interrupted"):
        after = "died" if status == "died" else "queued"
        return after, f"launch {launch.launch_id} {status}"
    if status == "failed":
        return "failed", f"launch {launch.launch_id} failed"
    return "done", None if status == "done" else status


def is_held(submission: SubmissionRecord) -> bool:
    """Whether the agent that has a running submission may be alive."""
    by, silence = submission.holder, submission.silence
    if by is None or silence is None:
        return False
    return is_heard_of(by.host, by.pid, by.process, silence)


def _fits(wanted: list[float], room: tuple[float, float]) -> bool:
    return all(each <= there for each, there in zip(wanted, room, strict=True))


def submission_record(row: Any) -> SubmissionRecord:
    """A row of `SUBMISSIONS` as a record."""
    return SubmissionRecord(**_fields(row))


def _fields(row: Any) -> dict[str, Any]:
    """A row of the table as the fields of a record."""
    values = dict(row)
    host, pid, process = (values.pop(name) for name in ("host", "pid", "process"))
    holder = None if host is None else Holder(host=host, pid=pid, process=process)
    return {**values, "holder": holder}
