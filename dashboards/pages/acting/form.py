"""What a browser sends from a form, and the answer that leads it back to the page."""

from __future__ import annotations

import contextlib
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import replace
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from space.amounts import parse_duration
from space.errors import UsageError, UserError
from space.words import describe
from storage import Store, open_store
from storage.actions import STOP, ask
from storage.submissions import change_submission, list_submissions
from storage.tables.service import NewAction, asker, new_uid

__all__ = ["Acting", "Form", "stop_launch", "user_of"]


class Form:
    """What was sent, by the names of the fields."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        """Keep them; of several of a name the last one."""
        self.fields = dict(fields)

    def text(self, name: str, longest: int) -> str:
        """A text that must be there.

        Raises:
            UsageError: If it is empty or too long.
        """
        text = self.fields.get(name, "").strip()
        if not text or len(text) > longest:
            raise UsageError(f"{name}: write something, of {longest:,} characters at the most.")
        return text

    def whole(self, name: str, *, may_be_negative: bool = False) -> int | None:
        """A whole number, None where the field is empty or not there.

        Raises:
            UsageError: If it is none, or a negative one that it may not be.
        """
        text = self.fields.get(name, "").strip()
        if not text:
            return None
        unsigned = text.removeprefix("-") if may_be_negative else text
        if not (unsigned.isascii() and unsigned.isdigit() and len(unsigned) < 10):
            expected = "a whole number" if may_be_negative else "a whole number from 0 on"
            raise UsageError(f"{name}: found {describe(text)}; expected {expected}.")
        return int(text)

    def uid(self, asked_by: str) -> str:
        """What names what it asks for in the store: the same, however often the form is sent.

        Without a key of the page that it stands on, as a table's buttons have none, it is another
        each time.
        """
        if not self.fields.get("key"):
            return new_uid()
        return hashlib.sha256(repr((asked_by, sorted(self.fields.items()))).encode()).hexdigest()[
            :32
        ]

    def seconds(self, name: str) -> float | None:
        """A span of time such as ``10m``, None where the field is empty or not there.

        Raises:
            UserError: If it is none.
        """
        text = self.fields.get(name, "").strip()
        return parse_duration(text) if text else None


def user_of(request: Request) -> str | None:
    """Who is signed in; None where the server asks nobody who they are."""
    found: str | None = getattr(request.state, "user", None)
    return found


class Acting(ABC):
    """A page of forms over one store, and what becomes of them."""

    def __init__(self, store: Store) -> None:
        """Act upon a store.

        Args:
            store: The store; what is written is written through another of the same place.
        """
        self._store = store

    @abstractmethod
    def page(self, request: Request, problem: str = "", form: Form | None = None) -> Response:
        """The page.

        Args:
            request: Who wants to see it.
            problem: What is wrong with the form.
            form: What was sent, which is not to be written again.
        """

    @abstractmethod
    def act(self, store: Store, request: Request, form: Form, action: NewAction) -> None:
        """Do what a form asks for.

        Args:
            store: Open to be written.
            request: The form's.
            form: The form.
            action: What is asked for: it has its verb, who asks, and what names it, already.

        Raises:
            UserError: If something is wrong with the form.
        """

    async def answer(self, request: Request) -> Response:
        """Show the page, or do what a form of it asks for and lead the browser back.

        It is done in a thread of its own: where the store does not answer, no other request waits.
        """
        form = None
        if request.method == "POST":
            form = Form(dict(parse_qsl((await request.body()).decode("utf-8", "replace"))))
        return await run_in_threadpool(self._answer, request, form)

    def _answer(self, request: Request, form: Form | None) -> Response:
        if form is None:
            return self.page(request)
        user = user_of(request)
        if user is None:
            return self.page(request, NO_USER, form)
        asked_by = asker("page", user)
        verb = form.fields.get("verb", "")
        action = NewAction(verb=verb, asked_by=asked_by, uid=form.uid(asked_by))
        try:
            with _writing(self._store) as store:
                self.act(store, request, form, action)
        except UserError as error:
            return self.page(request, f"Nothing was done: {error}", form)
        return Response(status_code=303, headers={"Location": request.url.path})


NO_USER = (
    "Nobody is signed in, so nothing was done: the dashboard was started without a user. Start it "
    "with SEARCH_DASHBOARD_USER and SEARCH_DASHBOARD_PASSWORD, or with --credentials."
)


def stop_launch(store: Store, action: NewAction) -> None:
    """Ask a launch to stop, or to pause where an agent began it.

    Args:
        store: The store.
        action: ``"stop"`` or ``"pause"``, with its launch.

    Raises:
        UsageError: If it cannot be paused.
    """
    running = list_submissions(store, "running")
    held = [each for each in running if each.launch_id == action.launch_id]
    if held:
        change_submission(store, replace(action, submission_id=held[0].submission_id))
    elif action.verb == STOP:
        ask(store, action)
    else:
        raise UsageError("only what an agent took from the queue can be paused; stop it.")


@contextlib.contextmanager
def _writing(store: Store) -> Iterator[Store]:
    """The same store, to be written: pages themselves only read."""
    url = store.url.render_as_string(hide_password=False)
    with contextlib.closing(open_store(url, create=False)) as opened:
        yield opened
