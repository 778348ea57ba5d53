"""The page of the queue: what waits for an agent, what runs, and the form that starts something."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from dashboards.pages.acting.form import Acting, Form, stop_launch, user_of
from dashboards.pages.documents import Document, drawn, render
from dashboards.pages.responses import Content
from dashboards.tables.asked import asked_sheet
from space import load_configs, read_space_file
from space.errors import UsageError, UserError
from storage import Store
from storage.actions import STOP, list_actions
from storage.commands.command_line import command_line
from storage.commands.kit import storage_arguments
from storage.submissions import (
    SUBMISSION_VERBS,
    change_submission,
    is_held,
    list_submissions,
    submit,
)
from storage.tables.service import ENDED, NewAction, NewSubmission

__all__ = ["Check", "QueueActions", "queue_document"]

Check = Callable[[NewSubmission], None]

N_ENDED = 20
"""So many submissions that have ended are shown."""
MAY = {
    "queued": ("pause", "stop", "priority"),
    "paused": ("resume", "stop", "priority"),
    "running": ("pause", "stop"),
    "failed": ("resume",),
    "stopped": ("resume",),
}
"""State of a submission -> what can be asked of it."""
FILE = "space.yaml"


class QueueActions(Acting):
    """The forms of the queue."""

    def __init__(self, store: Store, check: Check | None) -> None:
        """Act upon a store's queue.

        Args:
            store: The store.
            check: See `dashboards.pages.site.Site`.
        """
        super().__init__(store)
        self._check = check

    def act(self, store: Store, request: Request, form: Form, action: NewAction) -> None:
        """As `Acting` says."""
        _act(store, self._check, form, action)

    def page(self, request: Request, problem: str = "", form: Form | None = None) -> Response:
        """As `Acting` says."""
        option = storage_arguments(self._store.name)
        page = render(
            "acting/queue.html",
            title="Queue",
            here="queue",
            optuna="/dashboard",
            data="/data/queue",
            now="",
            user=user_of(request),
            problem=problem,
            given=form.fields if form else {},
            command=command_line("search.service.submit", ["--space", FILE, *option]),
        )
        return Content.of(page).answer(request, 400 if problem else 200)


def queue_document(store: Store, request: Request) -> Document:
    """What waits, what runs and what has ended of late, and who asked for what.

    Args:
        store: The store.
        request: Who is signed in may change it.
    """
    going = list_submissions(store, "queued", "paused", "running")
    ended = list_submissions(store, *ENDED, newest=N_ENDED + 1)
    agents = {each.submission_id for each in going if each.state == "running" and is_held(each)}
    studies = {launch.launch_id: launch.study_id for launch in store.launches()}
    asked = [
        each
        for each in list_actions(store, limit=200)
        if each.submission_id is not None or each.study is None
    ]
    return Document(
        title="Queue",
        is_running=any(each.state in ("queued", "running") for each in going),
        summary=render(
            "acting/submissions.html",
            submissions=[*going, *ended[:N_ENDED]],
            are_more=len(ended) > N_ENDED,
            waits=any(each.state == "queued" for each in going),
            held=agents,
            studies=studies,
            may=MAY if user_of(request) else {},
            agent=command_line("search.agent", storage_arguments(store.name)),
            asked=drawn([asked_sheet(asked[:N_ENDED])] if asked else []),
        ),
    )


def _act(store: Store, check: Check | None, form: Form, action: NewAction) -> None:
    verb = action.verb
    if verb == "submit":
        submission = _submission(form, action)
        if check is not None:
            check(submission)
        submit(store, submission)
    elif verb == STOP and "launch" in form.fields:  # Of a benchmark: it has no page of actions.
        stop_launch(store, replace(action, launch_id=form.whole("launch")))
    elif verb in SUBMISSION_VERBS:
        detail = {}
        if verb == "priority":
            detail = {"priority": form.whole("priority", may_be_negative=True) or 0}
        number = form.whole("submission")
        change_submission(store, replace(action, submission_id=number, detail=detail))
    else:
        raise UsageError("the page has no such form.")


def _submission(form: Form, action: NewAction) -> NewSubmission:
    """What is to be started; it is read as the command will read it.

    Raises:
        UserError: If a file is not right.
    """
    command = form.fields.get("command", "launch")
    if command not in ("launch", "benchmark"):
        raise UsageError("command: expected launch or benchmark.")
    files = {FILE if command == "launch" else "configs.yaml": form.text("file", 1_000_000)}
    if form.fields.get("code_name", "").strip():
        name = form.text("code_name", 100)
        if Path(name).name != name or not name.endswith(".py"):
            raise UsageError(f"code_name: {name} is no name of a Python file, such as mine.py.")
        files[name] = form.text("code", 1_000_000)
    first = next(iter(files))
    try:
        more = shlex.split(form.fields.get("arguments", ""))
    except ValueError as error:
        raise UsageError(f"arguments: a shell could not read them ({error}).") from error
    option = "--space" if command == "launch" else "--config"
    return NewSubmission(
        submitted_by=action.asked_by,
        uid=action.uid,
        name=_name(files, command, form),
        command=command,
        files=files,
        arguments=[option, first, *more],
        priority=form.whole("priority", may_be_negative=True) or 0,
    )


def _name(files: dict[str, str], command: str, form: Form) -> str:
    """What it is called; the file is read on the way."""
    with tempfile.TemporaryDirectory() as directory:
        for name, text in files.items():
            (Path(directory) / name).write_text(text, encoding="utf-8")
        path = Path(directory) / next(iter(files))
        try:
            if command == "launch":
                return replace(read_space_file(path), name=FILE).forms()[0].study
            name = load_configs(path).name
        except UserError as error:
            # Whoever wrote the file knows it by its name alone.
            raise UsageError(str(error).replace(f"{directory}/", "")) from error
    return form.text("name", 255) if form.fields.get("name", "").strip() else name
