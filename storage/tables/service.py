"""What is asked of the service, and by whom, as plain records: submissions, actions, tokens."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = [
    "ENDED",
    "ROLES",
    "ActionRecord",
    "Holder",
    "NewAction",
    "NewSubmission",
    "SubmissionRecord",
    "Submitted",
    "TokenRecord",
    "WholeSubmission",
    "asker",
    "new_uid",
]

ENDED = ("done", "failed", "stopped")
"""The states of a submission that no agent takes; the others are queued, paused and running."""
ROLES = ("reader", "editor", "admin")
"""What a token allows, each with what stands before it: to read; to ask, tell, submit and stop; to
create and revoke tokens."""


def asker(kind: Literal["page", "token", "user"], name: str) -> str:
    """Who asks: one who is signed in on the pages, a token, or the system's user of a command.

    One of them may be called like another; so the kind is said with the name.
    """
    return f"{kind} {name}"


def new_uid() -> str:
    """One that nothing in any store has."""
    return uuid.uuid4().hex


@dataclass(frozen=True, kw_only=True)
class NewAction:
    """What somebody asks of the service.

    Attributes:
        verb: What is to be done: ``"stop"``, ``"stop-trial"``, ``"add-budget"``, ``"submit"``, ...
        asked_by: Who asks; see `asker`.
        study: The study that it is about, if any; its name, as rows come and go.
        launch_id: The launch that is to carry it out, or the one that did.
        trial_number: The trial that it is about, by Optuna's number in its study.
        submission_id: The submission that it is about.
        detail: What else the verb needs; JSON.
        uid: Belongs to no other action of any store.
    """

    verb: str
    asked_by: str
    study: str | None = None
    launch_id: int | None = None
    trial_number: int | None = None
    submission_id: int | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    uid: str = field(default_factory=new_uid, compare=False, repr=False)


@dataclass(frozen=True, kw_only=True)
class ActionRecord(NewAction):
    """An action in the store.

    Attributes:
        action_id: Its number.
        asked_at: When it was asked for, by the store's clock.
        state: ``"asked"``, ``"done"`` or ``"refused"``.
        answer: What became of it, in a sentence.
        answered_at: When that was said.
    """

    action_id: int
    asked_at: datetime.datetime
    state: str
    answer: str | None
    answered_at: datetime.datetime | None


@dataclass(frozen=True, kw_only=True)
class Submitted:
    """What was submitted, without the files.

    Attributes:
        submitted_by: Who submits it; see `asker`.
        name: What it is called: the study's name, or the benchmark's.
        command: ``"launch"`` or ``"benchmark"``.
        arguments: The command's arguments; they name its files.
        priority: Higher ones go first; of equal ones the older.
        cpus: CPUs that the agent sets aside for it.
        gpus: GPUs, likewise.
        uid: Belongs to no other submission of any store.
    """

    submitted_by: str
    name: str
    command: str
    arguments: list[str]
    priority: int = 0
    cpus: float = 1.0
    gpus: float = 0.0
    uid: str = field(default_factory=new_uid, compare=False, repr=False)


@dataclass(frozen=True, kw_only=True)
class NewSubmission(Submitted):
    """A launch or a benchmark that is to wait for an agent.

    Attributes:
        files: File name -> text; the space or config files first, what they need beside them.
    """

    files: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Holder:
    """The process of an agent.

    Attributes:
        host: Its machine.
        pid: Its number there.
        process: `storage.leases.process_mark` of it, where the system can tell.
    """

    host: str
    pid: int
    process: str | None


@dataclass(frozen=True, kw_only=True)
class SubmissionRecord(Submitted):
    """A submission in the store.

    Attributes:
        submission_id: Its number.
        submitted_at: When it was submitted, by the store's clock, as are all times.
        state: ``"queued"``, ``"paused"``, ``"running"``, ``"done"``, ``"failed"`` or ``"stopped"``.
        reason: Why it is in that state, where there is more to say.
        hold: Tells this taking from all others: what works under another may not write.
        holder: The agent that took it last.
        heartbeat_at: When that agent was heard of last.
        silence: Seconds since then, when this was read.
        launch_id: The launch that it began last.
        started_at: When it was taken last.
        ended_at: When it ended.
        deaths: How often in a row its command died before it had trained anything.
    """

    submission_id: int
    submitted_at: datetime.datetime
    state: str
    reason: str | None
    hold: str | None
    holder: Holder | None
    heartbeat_at: datetime.datetime | None
    silence: float | None = field(compare=False, repr=False)
    launch_id: int | None
    started_at: datetime.datetime | None
    ended_at: datetime.datetime | None
    deaths: int


@dataclass(frozen=True, kw_only=True)
class WholeSubmission(SubmissionRecord, NewSubmission):
    """A submission in the store, with its files."""


@dataclass(frozen=True, kw_only=True)
class TokenRecord:
    """A token in the store, without what it is known by.

    Attributes:
        name: Its name, which no other token ever has: what it did stays told by it.
        role: One of `ROLES`.
        created_at: When it was made, by the store's clock, as are all times.
        created_by: Who made it; see `asker`.
        expires_at: Until when it is good; None for ever.
        revoked_at: When it was revoked; None where it was not.
        overdue: Seconds since it expired, negative before, when this was read.
    """

    name: str
    role: str
    created_at: datetime.datetime
    created_by: str
    expires_at: datetime.datetime | None
    revoked_at: datetime.datetime | None
    overdue: float | None = field(compare=False, repr=False)

    @property
    def asker(self) -> str:
        """Who asks with it, as it is recorded."""
        return asker("token", self.name)

    @property
    def state(self) -> str:
        """``"active"``, ``"expired"`` or ``"revoked"``."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.overdue is not None and self.overdue >= 0 else "active"

    def allows(self, role: str) -> bool:
        """Whether it may do what a role may."""
        return ROLES.index(self.role) >= ROLES.index(role)

    def as_json(self) -> dict[str, str | None]:
        """As plain values."""
        times = (self.created_at, self.expires_at, self.revoked_at)
        created, expires, revoked = (
            None if time is None else time.isoformat(timespec="seconds") for time in times
        )
        return {
            "name": self.name,
            "role": self.role,
            "state": self.state,
            "created_at": created,
            "created_by": self.created_by,
            "expires_at": expires,
            "revoked_at": revoked,
        }
