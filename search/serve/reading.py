"""What the API shows: the numbers that `storage`'s commands print and the pages have."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import Field

from dashboards.numbers.benchmark import find_benchmark, read_benchmark
from dashboards.pages.study_page import study_document
from dashboards.tables.formats import render
from search.api.studies import epoch_rows
from search.serve.answers import Json, Problem
from search.serve.bodies import Body, Limit, Number, Offset
from search.serve.stores import Stores
from search.verdict.compare import compared
from search.verdict.rows import Asked, table_of
from space.errors import StorageError
from space.terminal.layout import Paper
from storage.summaries.naming import find_named, the_only
from storage.summaries.overview import (
    describe_benchmark,
    describe_study,
    describe_trials,
    list_benchmarks,
    list_studies,
)

__all__ = ["reading"]

Data = Annotated[
    str | None,
    Query(max_length=64, description="Source or fingerprint of the data; default: the only."),
]


class Compared(Body):
    """Runs that something else trained, to be compared."""

    csv: Annotated[str, Field(description="A header, then a row a run.")]
    config: Annotated[
        list[str] | None, Field(description="The columns that say which config a run is of.")
    ] = None
    seed: str | None = None
    metric: Annotated[
        list[str] | None, Field(description="The column that is judged, and others to show.")
    ] = None
    direction: Annotated[str | None, Field(pattern="^(minimize|maximize)$")] = None
    reference: str | None = None
    margin: Annotated[float | None, Field(gt=0, allow_inf_nan=False)] = None
    title: str = ""


def reading(stores: Stores) -> APIRouter:
    """The addresses that only read."""
    store = stores.reading
    router = APIRouter(default_response_class=Json)

    @router.get("/token", tags=["tokens"])
    def token(request: Request) -> Json:
        """The token that asks: its name, role and until when it is good."""
        return Json(request.state.token.as_json())

    @router.get("/studies", tags=["studies"])
    def studies() -> Json:
        """All studies, as `storage list --format json` has them."""
        return Json(list_studies(store))

    @router.get("/studies/{name}", tags=["studies"])
    def study(name: str) -> Json:
        """One study without its trials, as `storage show --format json` has it."""
        described = describe_study(store, name)
        return Json({key: value for key, value in described.items() if key != "trials"})

    @router.get("/studies/{name}/trials", tags=["studies"])
    def trials(name: str, offset: Offset = 0, limit: Limit = 1000) -> Json:
        """Its trials by number, as `storage show --format json` has them."""
        return Json(describe_trials(store, name, slice(offset, offset + limit)))

    @router.get("/studies/{name}/trials/{number}", tags=["studies"])
    def trial(name: str, number: Number) -> Json:
        """One of its trials."""
        found = describe_trials(store, name, number)
        if not found:
            raise Problem(404, f"study '{name}' has no trial {number}")
        return Json(found[0])

    @router.get("/studies/{name}/trials/{number}/epochs", tags=["studies"])
    def epochs_of_trial(name: str, number: Number) -> Json:
        """The epochs of a trial: replicate, epoch, each metric, seconds."""
        return Json(epoch_rows(store, name, number))

    @router.get("/studies/{name}/epochs", tags=["studies"])
    def epochs(name: str, offset: Offset = 0, limit: Limit = 1000) -> Json:
        """The epochs of all its trials."""
        return Json(epoch_rows(store, name)[offset : offset + limit])

    @router.get("/studies/{name}/verdict", tags=["verdicts"])
    def study_verdict(name: str) -> Json:
        """What was found, and what fresh seeds say of it: the sentences of its page, the numbers of
        `storage show`."""
        described = describe_study(store, name)
        outcome = study_document(store, name, is_served=False).outcome
        return Json({"outcome": outcome, "confirmation": described["confirmation"]})

    @router.get("/benchmarks", tags=["benchmarks"])
    def benchmarks() -> Json:
        """All benchmarks, as `storage list --format json` has them."""
        return Json(list_benchmarks(store))

    @router.get("/benchmarks/{name}", tags=["benchmarks"])
    def benchmark(name: str, data: Data = None) -> Json:
        """One benchmark without its statistics, as `storage show --format json` has it."""
        return Json(describe_benchmark(store, _number(name, data)))

    @router.get("/benchmarks/{name}/verdict", tags=["verdicts"])
    def verdict(name: str, data: Data = None) -> Json:
        """Its table with all verdicts, as `search benchmark --format json` prints it."""
        _number(name, data)
        record = find_benchmark(store, name if data is None else f"{name}@{data}")
        return Json(_table(read_benchmark(store, record).table))

    @router.post("/verdicts", tags=["verdicts"])
    def compare(body: Compared) -> Json:
        """Compare configs by runs that were trained elsewhere, as `search verdict` does."""
        asked = Asked(
            config=body.config,
            seed=body.seed,
            metrics=body.metric,
            direction=body.direction,
            unit="",
        )
        view = compared(
            table_of(body.csv, "csv"),
            asked,
            reference=body.reference,
            margin=body.margin,
            title=body.title,
        )
        return Json(_table(view.table))

    def _number(name: str, data: str | None) -> int:
        try:
            return the_only(find_named(store, name, kind="benchmark", data=data)).number
        except StorageError as error:
            raise Problem(404, f"there is no benchmark '{name}'") from error

    return router


def _table(table: Any) -> Any:
    return json.loads(render(table, "json", Paper(width=None)))
