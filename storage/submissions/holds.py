"""Submissions in the hands of agents: taken, held, ended, put back."""

from __future__ import annotations

import uuid
from typing import Any

import sqlalchemy as sa

from space.errors import LeaseLostError
from storage.leases import is_alive, status_of
from storage.store import Store
from storage.submissions.records import WHOLE, fields_of, is_held, list_submissions
from storage.tables import schema
from storage.tables.clock import StoreNow
from storage.tables.records import LaunchRecord
from storage.tables.service import ENDED, Holder, SubmissionRecord, WholeSubmission

__all__ = [
    "MAX_DEATHS",
    "add_arguments",
    "begin_under",
    "end_hold",
    "hold_on",
    "put_back",
    "state_after",
    "take",
]

MAX_DEATHS = 5
"""A submission whose command dies so often in a row, and has not trained an epoch nor ended a run
in between, has failed: most likely it takes more memory than there is."""
_TABLE = schema.submissions
_ACTIONS = schema.actions


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
    ours = WHOLE.where(_TABLE.c.hold == hold)

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
        return None if found is None else WholeSubmission(**fields_of(found._mapping))

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
    """What has become of a submission, by how its launch ended: as `end_hold` is told, and why.

    Args:
        launch: The launch, whose command has ended: one that was killed on another machine counts
            as running until its lease does.
    """
    if launch is None:
        return "queued", "its agent died"
    status = status_of(launch)
    if status == "running":
        status = "died"
    if status in ("died", "interrupted"):
        after = "died" if status == "died" else "queued"
        return after, f"launch {launch.launch_id} {status}"
    if status == "failed":
        return "failed", f"launch {launch.launch_id} failed"
    return "done", None if status == "done" else status


def _fits(wanted: list[float], room: tuple[float, float]) -> bool:
    return all(each <= there for each, there in zip(wanted, room, strict=True))
