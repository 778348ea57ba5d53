"""Which address shows what: our pages, and Optuna Dashboard at its own addresses.

/                    overview of studies and benchmarks
/study/ID            a study; also by its name, which leads to its number
/benchmark/ID        a benchmark
/data/...            the content of each of these as JSON, which its page asks for again and
                     again; answered with 304 and nothing as long as it is the same
/pages/..., /plotly.js   files of ours, kept by the browser
all others           Optuna Dashboard
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import logging
import re
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any, cast
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import plotly.offline
from a2wsgi import WSGIMiddleware
from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboards.pages.benchmark_page import benchmark_document
from dashboards.pages.documents import STATIC, Document, figure_templates, render
from dashboards.pages.overview_page import overview_document
from dashboards.pages.responses import JSON, Content
from dashboards.pages.study_page import study_document
from space.errors import StorageError
from storage import BenchmarkRecord, Store, open_store
from storage.benchmarks import load_benchmarks
from storage.summaries.study import benchmark_version, study_names, study_version

__all__ = ["Site", "load_dashboard"]

LARGEST_REQUEST_BYTES = 16 * 2**20
_KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
_KINDS |= {".svg": "image/svg+xml"}
_CACHED_DOCUMENTS = 16


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

    def __init__(self, store: Store) -> None:
        """Serve a store, which is only read; what people do in Optuna Dashboard goes its own way.

        Args:
            store: The store.
        """
        self._store = store
        # One at a time: several browsers that find the same change wait for one answer.
        self._making = threading.Lock()
        self._kept: dict[str, Content] = {}
        self._app = Starlette(
            routes=[
                Route("/", self._overview),
                Route("/study/{wanted:path}", self._study),
                Route("/benchmark/{number:id}", self._benchmark),
                Route("/data/overview", self._overview_data),
                Route("/data/study/{number:id}", self._study_data),
                Route("/data/benchmark/{number:id}", self._benchmark_data),
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
        return _page(request, "Overview", here="overview")

    def _study(self, request: Request) -> Response:
        names, wanted = study_names(self._store), request.path_params["wanted"]
        if re.fullmatch(Id.regex, wanted) and int(wanted) in names:
            optuna = f"/dashboard/studies/{int(wanted)}"
            return _page(request, names[int(wanted)], optuna=optuna)
        by_name = {name: number for number, name in names.items()}
        if wanted in by_name:
            return RedirectResponse(f"/study/{by_name[wanted]}", 302)
        raise HTTPException(404, f"The store has no study “{wanted}”.")

    def _benchmark(self, request: Request) -> Response:
        return _page(request, self._find_benchmark(request).name)

    # -- their content -----------------------------------------------------------------------

    def _overview_data(self, request: Request) -> Response:
        return Content.of(overview_document(self._store).as_json(), JSON).answer(request)

    def _study_data(self, request: Request) -> Response:
        number = request.path_params["number"]
        name = study_names(self._store).get(number)
        if name is None:
            raise HTTPException(404, "The store has no study of this number.")
        version = study_version(self._store, number)
        return self._latest(request, version, lambda: study_document(self._store, name))

    def _benchmark_data(self, request: Request) -> Response:
        benchmark = self._find_benchmark(request)
        version = benchmark_version(self._store, benchmark)
        return self._latest(request, version, lambda: benchmark_document(self._store, benchmark))

    def _latest(self, request: Request, version: str, make: Callable[[], Document]) -> Response:
        """The answer for an address: the one that is kept, where it is of this version."""
        address = request.scope["path"]
        with self._making:
            kept = self._kept.pop(address, None)
            if kept is None or kept.tag != version:
                kept = Content.of(make().as_json(), JSON, tag=version)
            self._kept[address] = kept
            if len(self._kept) > _CACHED_DOCUMENTS:
                del self._kept[next(iter(self._kept))]
        return kept.answer(request)

    def _find_benchmark(self, request: Request) -> BenchmarkRecord:
        for record in load_benchmarks(self._store):
            if record.benchmark_id == request.path_params["number"]:
                return record
        raise HTTPException(404, "The store has no benchmark of this number.")


def load_dashboard() -> Any:
    """Optuna Dashboard; the first time, loading it and scikit-learn with it takes a second.

    A server begins to serve before, and has it loaded while nobody asks yet: the importance of
    parameters, on a study's page, needs the most of it, too.
    """
    return importlib.import_module("optuna_dashboard")


def _dashboard(store: Store) -> WSGIApplication:
    found: WSGIApplication = load_dashboard().wsgi(store.optuna_storage)
    return found


def _page(request: Request, title: str, *, here: str = "", optuna: str = "/dashboard") -> Response:
    """The frame of a page, which its script fills with the document at /data/ and its address."""
    path = "/overview" if request.scope["path"] == "/" else request.scope["path"]
    page = render("page.html", title=title, data=f"/data{path}", here=here, optuna=optuna)
    return Content.of(page).answer(request)


def _say(request: Request, status: int, title: str, text: str) -> Response:
    page = render("problem.html", title=title, text=text, here="", optuna="/dashboard")
    return Content.of(page).answer(request, status)


def _problem(request: Request, error: Any) -> Response:
    return _say(request, error.status_code, "Not here", error.detail)


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
