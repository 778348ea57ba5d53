"""Which address shows what: our pages, and Optuna Dashboard at its own addresses.

/                    overview of studies and benchmarks
/study/ID            a study; also by its name, which leads to its number
/study/ID/trials     all its trials as a table; with .csv the same as CSV
/study/ID/trial/N    one of them
/study/ID/compare    some of them beside one another
/benchmark/ID        a benchmark
/benchmark/ID/runs   all its runs as a table; with .csv the same as CSV
/benchmark/ID/compare   some of its configs beside one another
/run/ID              a run, of whatever
/data/...            the content of each page that follows the store, as JSON, which the page asks
                     for again and again; answered with 304 and nothing while it is the same
/study/ID/actions    what can be done to it, and who asked for what
/queue               what waits for an agent, and the form that starts something
/now/...             what is being trained of a study or a benchmark, likewise
/pages/..., /plotly.js   files of ours, kept by the browser
all others           Optuna Dashboard
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import logging
import sys
from collections.abc import Callable, Iterable
from typing import Any, cast
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import plotly.offline
from a2wsgi import WSGIMiddleware
from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboards.pages.acting.queue import Check, QueueActions, queue_document
from dashboards.pages.acting.study import StudyActions, asked_document
from dashboards.pages.addresses import ADDRESSES, STUDY, Shown
from dashboards.pages.documents import STATIC, Document, figure_templates, render
from dashboards.pages.latest import Latest
from dashboards.pages.now_page import benchmark_now, study_now
from dashboards.pages.overview_page import overview_document
from dashboards.pages.responses import JSON, Content
from dashboards.pages.row_pages import RowPages
from space.errors import StorageError
from storage import Store, open_store

__all__ = ["Site", "load_dashboard"]

LARGEST_REQUEST_BYTES = 16 * 2**20
_KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
_KINDS |= {".svg": "image/svg+xml"}
ACTIONS = "/study/{number:id}/actions"
_Find = Callable[[Store, Request], Shown]


class Id(Convertor[int]):
    """A number that every database can look for."""

    regex = "[0-9]{1,18}"

    def convert(self, value: str) -> int:
        """From an address."""
        return int(value)

    def to_string(self, value: int) -> str:
        """To an address."""
        return str(value)


register_url_convertor("id", Id())


class Site:
    """The whole site over one store, as an ASGI application."""

    def __init__(self, store: Store, check: Check | None = None) -> None:
        """Serve a store, which is only read; what people do in Optuna Dashboard goes its own way.

        Args:
            store: The store.
            check: Refuses what no agent could run, by a `UserError`; None where nobody knows the
                commands.
        """
        self._store = store
        self._latest = Latest()
        documents = [
            Route(f"{before}{path}", functools.partial(show, find))
            for path, find in ADDRESSES.items()
            for before, show in (("", self._page), ("/data", self._data))
        ]
        self._app = Starlette(
            routes=[
                Route("/", self._overview),
                Route("/data/overview", self._overview_data),
                *documents,
                Route("/queue", QueueActions(store, check).answer, methods=["GET", "POST"]),
                Route("/data/queue", functools.partial(self._live, queue_document)),
                Route(ACTIONS, StudyActions(store).answer, methods=["GET", "POST"]),
                Route(f"/data{ACTIONS}", functools.partial(self._live, asked_document)),
                Route("/now/study/{number:id}", functools.partial(self._live, study_now)),
                Route("/now/benchmark/{number:id}", functools.partial(self._live, benchmark_now)),
                *RowPages(store, self._latest).routes(),
                # By its name; all there is to see lies under its number.
                Route("/study/{number:path}", functools.partial(self._page, ADDRESSES[STUDY])),
                Route("/pages/{name}", _file),
                Route("/plotly.js", _plotly),
                Mount("/", cast(ASGIApp, WSGIMiddleware(cast(Any, self._optuna)))),
            ],
            exception_handlers={StorageError: _unreadable, HTTPException: _problem},
            max_body_size=LARGEST_REQUEST_BYTES,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await self._app(scope, receive, send)

    # -- Optuna Dashboard --------------------------------------------------------------------

    @functools.cached_property
    def _reading(self) -> WSGIApplication:
        return _dashboard(self._store)

    def _optuna(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        # It takes for granted that every client sends this header.
        environ.setdefault("HTTP_ACCEPT_ENCODING", "identity")
        environ["wsgi.errors"] = sys.stderr
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return self._reading(environ, start_response)
        # What a person does there, with a store of its own that may be written.
        url = self._store.url.render_as_string(hide_password=False)
        with contextlib.closing(open_store(url, create=False)) as store:
            return list(_dashboard(store)(environ, start_response))

    # -- pages -------------------------------------------------------------------------------

    def _overview(self, request: Request) -> Response:
        return _frame(request, "Overview", "/data/overview", here="overview")

    def _overview_data(self, request: Request) -> Response:
        return Content.of(overview_document(self._store).as_json(), JSON).answer(request)

    def _page(self, find: _Find, request: Request) -> Response:
        shown = find(self._store, request)
        address = _address(request)
        now = f"/now{address}" if shown.is_followed else ""
        return _frame(request, shown.title, f"/data{address}", now=now, optuna=shown.optuna)

    def _data(self, find: _Find, request: Request) -> Response:
        shown = find(self._store, request)
        version = shown.version()

        def make() -> Content:
            return Content.of(shown.make().as_json(), JSON, tag=version)

        return self._latest.get(_address(request), version, make).answer(request)

    def _live(self, read: Callable[[Store, Request], Document], request: Request) -> Response:
        return Content.of(read(self._store, request).as_json(), JSON).answer(request)


def _address(request: Request) -> str:
    query = request.scope["query_string"].decode("latin-1")
    return f"{request.scope['path']}?{query}" if query else str(request.scope["path"])


def load_dashboard() -> Any:
    """Optuna Dashboard; the first time, loading it and scikit-learn with it takes a second.

    A server begins to serve before, and has it loaded while nobody asks yet: the importance of
    parameters, on a study's page, needs the most of it, too.
    """
    return importlib.import_module("optuna_dashboard")


def _dashboard(store: Store) -> WSGIApplication:
    found: WSGIApplication = load_dashboard().wsgi(store.optuna_storage)
    return found


def _frame(
    request: Request,
    title: str,
    data: str,
    *,
    now: str = "",
    here: str = "",
    optuna: str = "/dashboard",
) -> Response:
    """The frame of a page, which its script fills with the documents at `data` and at `now`."""
    page = render("page.html", title=title, data=data, now=now, here=here, optuna=optuna)
    return Content.of(page).answer(request)


def _say(request: Request, status: int, title: str, text: str) -> Response:
    page = render("problem.html", title=title, text=text, here="", optuna="/dashboard")
    return Content.of(page).answer(request, status)


def _problem(request: Request, error: Any) -> Response:
    if error.headers:
        return Response(status_code=error.status_code, headers=error.headers)
    title = "Not here" if error.status_code == 404 else "This cannot be shown"
    return _say(request, error.status_code, title, error.detail)


def _unreadable(request: Request, error: Exception) -> Response:
    # The sentence names the store's place, which is for who started the server alone.
    logging.getLogger(__name__).warning("%s", error)
    return _say(
        request,
        503,
        "The store cannot be read right now",
        "The terminal in which the dashboard was started says why. "
        "This page is tried again by itself.",
    )


@functools.cache
def _plotly_content() -> Content:
    return Content.of(plotly.offline.get_plotlyjs(), _KINDS[".js"])


def _plotly(request: Request) -> Response:
    return _plotly_content().answer(request)


@functools.cache
def _files() -> dict[str, Content]:
    found = {
        path.name: Content.of(path.read_bytes(), _KINDS[path.suffix])
        for path in STATIC.iterdir()
        if path.suffix in _KINDS
    }
    return {**found, "templates.json": Content.of(figure_templates(), JSON)}


def _file(request: Request) -> Response:
    found = _files().get(request.path_params["name"])
    if found is None:
        raise HTTPException(404, "There is no such file.")
    return found.answer(request)
