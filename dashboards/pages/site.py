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
import hashlib
import logging
import re
import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import optuna_dashboard
import plotly.offline

from dashboards.pages.benchmark_page import benchmark_document
from dashboards.pages.documents import STATIC, Document, figure_templates, render
from dashboards.pages.overview_page import overview_document
from dashboards.pages.responses import JSON, Response, answer, plain
from dashboards.pages.study_page import study_document
from space.errors import StorageError
from storage import BenchmarkRecord, Store, open_store
from storage.benchmarks import load_benchmarks
from storage.summaries.study import benchmark_version, study_names, study_version

__all__ = ["Site"]

_KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
_KINDS |= {".svg": "image/svg+xml"}
_CACHED_DOCUMENTS = 16
_ID = "[0-9]{1,18}"

# Figures drawn by WebGL compile their shaders, for which plotly needs 'unsafe-eval'; it also sets
# styles in elements. Nothing comes from another host.
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
    )
)


class Site:
    """The whole site over one store, as a WSGI application for several threads."""

    def __init__(self, store: Store) -> None:
        """Serve a store, which is only read; what people do in Optuna Dashboard goes its own way.

        Args:
            store: The store.
        """
        self._store = store
        self._optuna: WSGIApplication = optuna_dashboard.wsgi(store.optuna_storage)
        # One at a time: several browsers that find the same change wait for one answer.
        self._making = threading.Lock()
        self._kept: dict[str, Response] = {}
        self._routes: list[tuple[re.Pattern[str], Callable[[str], Response]]] = [
            (re.compile(r"/()"), self._overview),
            (re.compile(r"/study/(.+)"), self._study),
            (re.compile(rf"/benchmark/({_ID})"), self._benchmark),
            (re.compile(r"/data/()overview"), self._overview_data),
            (re.compile(rf"/data/study/({_ID})"), self._study_data),
            (re.compile(rf"/data/benchmark/({_ID})"), self._benchmark_data),
            (re.compile(r"/pages/([a-z-]+\.[a-z]+)"), _file),
            (re.compile(r"/()plotly\.js"), lambda _: _plotly()),
        ]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        # WSGI hands the address over as bytes that are written as Latin-1.
        path = environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace") or "/"
        for pattern, view in self._routes:
            found = pattern.fullmatch(path)
            if found is None:
                continue
            if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
                refusal = plain(HTTPStatus.METHOD_NOT_ALLOWED, "This can only be read.")
                return answer(refusal, environ, start_response)
            return answer(self._guarded(view, found[1]), environ, start_response)
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return self._optuna(environ, start_response)
        return self._write(environ, start_response)

    def _write(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """What a person does in Optuna Dashboard, with a store of its own that may be written."""
        url = self._store.url.render_as_string(hide_password=False)
        with contextlib.closing(open_store(url, create=False)) as store:
            return list(optuna_dashboard.wsgi(store.optuna_storage)(environ, start_response))

    def _guarded(self, view: Callable[[str], Response], argument: str) -> Response:
        try:
            return view(argument)
        except StorageError as error:
            # The sentence names the store's place, which is for who started the server alone.
            logging.getLogger(__name__).warning("%s", error)
            return _problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "The store cannot be read right now",
                "The terminal in which the dashboard was started says why. "
                "This page is tried again by itself.",
            )

    # -- pages -------------------------------------------------------------------------------

    def _overview(self, _: str) -> Response:
        return _page("Overview", "/data/overview", here="overview")

    def _study(self, wanted: str) -> Response:
        names = study_names(self._store)
        if re.fullmatch(_ID, wanted) and int(wanted) in names:
            study_id = int(wanted)
            return _page(
                names[study_id], f"/data/study/{study_id}", optuna=f"/dashboard/studies/{study_id}"
            )
        by_name = {name: study_id for study_id, name in names.items()}
        if wanted in by_name:
            to = ("Location", f"/study/{by_name[wanted]}")
            return plain(HTTPStatus.FOUND, "It is found by its number.", to)
        return _problem(
            HTTPStatus.NOT_FOUND, "No such study", f"The store has no study “{wanted}”."
        )

    def _benchmark(self, wanted: str) -> Response:
        benchmark = self._find_benchmark(wanted)
        if benchmark is None:
            return _no_benchmark()
        return _page(benchmark.name, f"/data/benchmark/{benchmark.benchmark_id}")

    # -- their content -----------------------------------------------------------------------

    def _overview_data(self, _: str) -> Response:
        body = overview_document(self._store).as_json()
        return Response(kind=JSON, body=body, tag=hashlib.sha256(body).hexdigest()[:20])

    def _study_data(self, wanted: str) -> Response:
        name = study_names(self._store).get(int(wanted))
        if name is None:
            return plain(HTTPStatus.NOT_FOUND, "There is no such study.")
        version = study_version(self._store, int(wanted))
        return self._latest(f"study {wanted}", version, lambda: study_document(self._store, name))

    def _benchmark_data(self, wanted: str) -> Response:
        benchmark = self._find_benchmark(wanted)
        if benchmark is None:
            return plain(HTTPStatus.NOT_FOUND, "There is no such benchmark.")
        version = benchmark_version(self._store, benchmark)
        return self._latest(
            f"benchmark {wanted}", version, lambda: benchmark_document(self._store, benchmark)
        )

    def _latest(self, address: str, version: str, make: Callable[[], Document]) -> Response:
        """The answer for an address: the one that is kept, where it is of this version."""
        with self._making:
            kept = self._kept.pop(address, None)
            if kept is None or kept.tag != version:
                kept = Response.fixed(make().as_json(), JSON, tag=version)
            self._kept[address] = kept
            if len(self._kept) > _CACHED_DOCUMENTS:
                del self._kept[next(iter(self._kept))]
            return kept

    def _find_benchmark(self, wanted: str) -> BenchmarkRecord | None:
        records = load_benchmarks(self._store)
        return next((each for each in records if each.benchmark_id == int(wanted)), None)


def _page(title: str, data: str, *, here: str = "", optuna: str = "/dashboard") -> Response:
    """The frame of a page, which its script fills with the document at `data`."""
    body = render("page.html", title=title, data=data, here=here, optuna=optuna)
    return Response(body=body.encode(), headers=(("Content-Security-Policy", _POLICY),))


def _problem(status: HTTPStatus, title: str, text: str) -> Response:
    body = render("problem.html", title=title, text=text, here="", optuna="/dashboard")
    headers = (("Content-Security-Policy", _POLICY),)
    return Response(status=status, body=body.encode(), headers=headers)


def _no_benchmark() -> Response:
    return _problem(
        HTTPStatus.NOT_FOUND, "No such benchmark", "The store has no benchmark of this number."
    )


@functools.cache
def _plotly() -> Response:
    return Response.fixed(plotly.offline.get_plotlyjs().encode(), _KINDS[".js"])


@functools.cache
def _files() -> dict[str, Response]:
    found = {
        path.name: Response.fixed(path.read_bytes(), _KINDS[path.suffix])
        for path in STATIC.iterdir()
        if path.suffix in _KINDS
    }
    return {**found, "templates.json": Response.fixed(figure_templates().encode(), JSON)}


def _file(name: str) -> Response:
    found = _files().get(name)
    return found or plain(HTTPStatus.NOT_FOUND, "There is no such file.")
