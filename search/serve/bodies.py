"""What requests bring and what they get, as types: the API's schema is drawn from them."""

from __future__ import annotations

import hashlib
import uuid
from typing import Annotated, Any

from fastapi import Header, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from space.terminal.command import LARGEST_INT
from storage.tables.service import TokenRecord

__all__ = [
    "Failure",
    "Given",
    "GivenRun",
    "GivenTrial",
    "Goes",
    "Key",
    "Launch",
    "Lease",
    "Limit",
    "Name",
    "NewClientLaunch",
    "NewToken",
    "Number",
    "Offset",
    "Report",
    "State",
    "uid_of",
]

MOST_ROWS = 10_000
Offset = Annotated[int, Query(ge=0, le=LARGEST_INT, description="Rows to pass over.")]
Limit = Annotated[int, Query(ge=1, le=MOST_ROWS, description="Rows at the most.")]
Number = Annotated[int, Path(ge=0, le=LARGEST_INT)]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=64,
        pattern=r"^[!-~]+$",
        description="Names this request: the same one again, after a lost answer, does nothing "
        "twice. Printable ASCII without blanks.",
    ),
]
Name = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$")]


class Body(BaseModel):
    """What a request brings: no other keys, and no text for a number."""

    model_config = ConfigDict(extra="forbid", strict=True)


class NewClientLaunch(Body):
    """A launch whose trials the client trains."""

    study: Annotated[Name | None, Field(description="Its name; default: the space's.")] = None
    space: Annotated[
        dict[str, Any] | None,
        Field(
            description="What a space file holds; needed for a study that is not there yet. It "
            "names no code and no files: those are for `search launch` and submissions."
        ),
    ] = None


class Launch(BaseModel):
    """A launch that has begun; it lasts as long as something of it is heard."""

    launch: Annotated[int, Field(description="Its number, for what follows.")]
    study: str
    study_id: int
    lease_seconds: Annotated[
        float, Field(description="After so much silence its trials are given to others.")
    ]


class GivenRun(BaseModel):
    """One training with one config."""

    run: Annotated[int, Field(description="Its number in the store.")]
    config: Annotated[dict[str, Any], Field(description="All settings, seeds among them.")]
    known: Annotated[int, Field(description="Epochs that have been reported before.")]


class GivenTrial(BaseModel):
    """A trial to be trained."""

    number: int
    params: dict[str, Any]
    epochs: Annotated[int, Field(description="How many epochs a run has.")]
    runs: Annotated[list[GivenRun], Field(description="One, or one a replicate.")]


class Given(BaseModel):
    """The answer to a client that asks."""

    trial: Annotated[GivenTrial | None, Field(description="Null where there is none now.")]
    finished: Annotated[
        bool,
        Field(
            description="Whether there will be none: without a trial and not finished, others "
            "train the last ones; ask again now and then, as they may be left behind."
        ),
    ]


class Report(Body):
    """An epoch of a run."""

    epoch: Annotated[int, Field(ge=1, le=LARGEST_INT, description="Which one, from 1.")]
    metrics: Annotated[
        dict[Annotated[str, Field(min_length=1, max_length=255)], float | None],
        Field(
            max_length=100,
            description="Name with its split, as in val_error -> value, the objectives at the "
            "least; null: not a finite number, with which the trial fails.",
        ),
    ]
    run: Annotated[
        int | None,
        Field(ge=0, le=LARGEST_INT, description="Of a trial with several runs, which one."),
    ] = None
    seconds: Annotated[
        float | None,
        Field(ge=0, le=1e9, description="What it took; default: since the last report."),
    ] = None


class Goes(BaseModel):
    """What becomes of a run after a report."""

    goes_on: Annotated[
        bool, Field(description="False: it has all its epochs, was pruned, or has failed.")
    ]
    state: Annotated[str, Field(description="Of its trial.")]


class Failure(Body):
    """How a trial ended, from its client."""

    failure: Annotated[
        str | None,
        Field(min_length=1, max_length=10_000, description="Why it cannot go on, if it cannot."),
    ] = None


class State(BaseModel):
    """The state of something."""

    state: str


class Lease(BaseModel):
    """How long a launch may be silent from now on."""

    lease_seconds: float


class NewToken(Body):
    """A token to be made."""

    name: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][\w.@-]*$")]
    role: Annotated[str, Field(pattern="^(reader|editor|admin)$")]
    expires: Annotated[
        str | None, Field(max_length=32, description="As in 30d; default: never.")
    ] = None


def uid_of(token: TokenRecord, key: str | None) -> str:
    """What names a request in the store: the same for the same key of a token."""
    if key is None:
        return uuid.uuid4().hex
    return hashlib.sha256(f"{token.name}\0{key}".encode()).hexdigest()[:32]
