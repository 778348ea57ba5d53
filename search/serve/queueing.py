"""What editors ask of the service over the API: to queue, to stop, to pause, to go on."""

from __future__ import annotations

import shlex
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field

from search.__main__ import command
from search.serve.answers import Json, Problem
from search.serve.bodies import Body, Key, Limit, Name, Number, Offset, uid_of
from search.serve.stores import Stores
from search.service.queue import submission_as_json
from space.errors import UsageError
from space.terminal.command import LARGEST_INT
from storage.actions import STOP, USED, ask, list_actions
from storage.commands.command_line import option_values
from storage.submissions import change_submission, list_submissions, submission_of, submit
from storage.tables.service import ActionRecord, NewAction, NewSubmission

__all__ = ["check_submission", "queueing"]

OF_FILES = {"launch": "--space", "benchmark": "--config"}
"""Command -> its option that names the file or files that it begins with."""
PART = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}"
FileName = Annotated[str, Field(pattern=rf"^(?:{PART}/){{0,5}}{PART}$")]
"""A path below the directory that the command is run in."""
Priority = Annotated[int, Field(ge=-1000, le=1000, description="Higher ones go first.")]


class Queued(Body):
    """A launch or a benchmark that is to wait for an agent."""

    command: Literal["launch", "benchmark"]
    name: Annotated[Name, Field(description="The study's name, or the benchmark's.")]
    files: Annotated[
        dict[FileName, str],
        Field(
            min_length=1,
            max_length=20,
            description="Name -> text: the space or config files first, beside them what they "
            "name, such as the file of a trainable of one's own.",
        ),
    ]
    arguments: Annotated[
        list[Annotated[str, Field(max_length=1000)]],
        Field(
            max_length=100,
            description="The command's, as typed: --space mine.yaml --trials 20. Files are named "
            "as in files.",
        ),
    ]
    priority: Priority = 0
    cpus: Annotated[int, Field(ge=1, le=10_000, description="What it takes of its agent's.")] = 1
    gpus: Annotated[int, Field(ge=0, le=10_000)] = 0


class NewPriority(Body):
    """Where a submission is to stand."""

    priority: Priority


def queueing(stores: Stores) -> APIRouter:
    """The addresses below ``/submissions`` and ``/actions``, and that which stops a launch."""
    router = APIRouter(tags=["queue"])

    @router.get("/submissions")
    def submissions(offset: Offset = 0, limit: Limit = 100) -> Json:
        """What waits, runs and has ended, without the files; newest first."""
        found = list_submissions(stores.reading, newest=limit, offset=offset)
        return Json([submission_as_json(each) for each in found])

    @router.get("/submissions/{number}")
    def submission(number: Number) -> Json:
        """One submission with its files."""
        found = submission_of(stores.reading, number)
        if found is None:
            raise Problem(404, f"there is no submission {number}")
        return Json({**submission_as_json(found), "files": dict(found.files)})

    @router.post("/submissions", status_code=201)
    def queue(request: Request, body: Queued, key: Key = None) -> Json:
        """Put a launch or a benchmark into the queue, for the next agent that has room for it."""
        token = request.state.token
        new = NewSubmission(**dict(body), submitted_by=token.asker, uid=uid_of(token, key))
        check_submission(new)
        store = stores.writing
        number = submit(store, new)
        found = submission_of(store, number)
        if found is None or any(getattr(found, name) != value for name, value in _fixed(body)):
            raise UsageError(USED)
        return Json({"submission": number}, 201)

    @router.post("/submissions/{number}/priority")
    def priority(request: Request, number: Number, body: NewPriority, key: Key = None) -> Json:
        """Give a submission that waits another priority."""
        return change(request, "priority", number, key, {"priority": body.priority})

    @router.post("/submissions/{number}/{verb}")
    def change_state(
        request: Request,
        number: Number,
        verb: Literal["stop", "pause", "resume"],
        key: Key = None,
    ) -> Json:
        """Stop a submission, pause it, or queue it again; one that runs stops in good order."""
        return change(request, verb, number, key, {})

    def change(
        request: Request, verb: str, number: int, key: str | None, detail: dict[str, Any]
    ) -> Json:
        token = request.state.token
        action = NewAction(
            verb=verb,
            asked_by=token.asker,
            submission_id=number,
            detail=detail,
            uid=uid_of(token, key),
        )
        return _answered(change_submission(stores.writing, action))

    @router.post("/launches/{launch}/stop")
    def stop(request: Request, launch: Number, key: Key = None) -> Json:
        """Have a launch stopped in good order, whoever began it: what is open goes on later."""
        token = request.state.token
        action = NewAction(
            verb=STOP, asked_by=token.asker, launch_id=launch, uid=uid_of(token, key)
        )
        return _answered(ask(stores.writing, action))

    @router.get("/actions")
    def actions(
        study: str | None = None,
        launch: Annotated[int | None, Query(ge=0, le=LARGEST_INT)] = None,
        submission: Annotated[int | None, Query(ge=0, le=LARGEST_INT)] = None,
        limit: Limit = 100,
    ) -> Json:
        """What was asked for, by whom, and what became of it; newest first."""
        found = list_actions(
            stores.reading,
            study=study,
            launch_id=launch,
            submission_id=submission,
            limit=limit,
        )
        return Json([_as_json(each) for each in found])

    return router


def _fixed(body: Queued) -> list[tuple[str, Any]]:
    """What a submission keeps of a request for good."""
    return [(name, value) for name, value in body if name != "priority"]


def check_submission(new: NewSubmission) -> None:
    """Refuse what no agent could run, whether it came over the API or from a page.

    Args:
        new: What is to be submitted.

    Raises:
        UsageError: If the arguments are wrong, or name files that are not there.
    """
    try:
        command(new.command).build_parser().parse_args(new.arguments)
    except SystemExit as error:
        raise UsageError("arguments: there is nobody to be helped") from error
    option = OF_FILES[new.command]
    named = option_values(shlex.join(new.arguments), option)
    missing = [name for name in named if name not in new.files]
    if missing or not named:
        raise UsageError(
            f"arguments: {option} names {', '.join(missing) or 'nothing'}, and files has "
            f"{', '.join(new.files)}"
        )


def _answered(done: ActionRecord) -> Json:
    """What became of an action: done, asked of whoever is to do it, or refused.

    Raises:
        Problem: If it is refused.
    """
    if done.state == "refused":
        raise Problem(409, str(done.answer))
    return Json(_as_json(done), 202 if done.state == "asked" else 200)


def _as_json(action: ActionRecord) -> dict[str, Any]:
    return {
        "action": action.action_id,
        "asked_at": action.asked_at.isoformat(timespec="seconds"),
        "asked_by": action.asked_by,
        "verb": action.verb,
        "study": action.study,
        "launch": action.launch_id,
        "trial": action.trial_number,
        "submission": action.submission_id,
        "detail": dict(action.detail),
        "state": action.state,
        "answer": action.answer,
    }
