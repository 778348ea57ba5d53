"""The API as an application: its addresses, behind tokens, with errors as sentences."""

from __future__ import annotations

import logging
from importlib.metadata import version

from fastapi import FastAPI
from starlette.types import ASGIApp

from search.serve.access import Access
from search.serve.answers import HANDLERS, Json
from search.serve.asking import asking
from search.serve.held import HeldLaunches
from search.serve.queueing import queueing
from search.serve.reading import reading
from search.serve.stores import Stores
from search.serve.tokens import tokens
from storage import Store

__all__ = ["make_api", "make_app"]

DESCRIPTION = """\
Every request brings a token: `Authorization: Bearer TOKEN`. A reader reads; an editor asks, tells,
submits and stops, too; an admin creates and revokes tokens as well. What goes wrong is
`{"error": "one sentence"}` with the status that fits; 429 says in `Retry-After` how long to wait.
A request with an `Idempotency-Key` may be sent again after a lost answer: it does nothing twice.
"""


def make_app(stores: Stores) -> FastAPI:
    """The addresses, for whoever has been let in."""
    app = FastAPI(
        title="search",
        summary="Hyperparameter search and benchmarks: studies, trials, verdicts.",
        description=DESCRIPTION,
        version=version("digit-pair-search"),
        default_response_class=Json,
        exception_handlers=HANDLERS,
        # Their scripts come from elsewhere, which no page of ours does.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.log = logging.getLogger(__name__)
    app.state.store_name = stores.reading.name
    held = HeldLaunches(stores)
    for router in (reading(stores), asking(held), queueing(stores), tokens(stores)):
        app.include_router(router)
    return app


def make_api(store: Store, *, rate: float) -> ASGIApp:
    """The API over a store.

    Args:
        store: Open to be read; it is opened once more when somebody writes.
        rate: Requests a second that each token may make.
    """
    stores = Stores(store)
    return Access(make_app(stores), stores.find_token, rate)
