"""The tables of all trials of a study and of all runs of a benchmark, and the same as CSV.

What is shown is in the address alone, so that a table can be sent to somebody: forms and links
make addresses, and no script is needed.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from dashboards.numbers.rows.rows import Column, Found, Query, Row, Rows
from dashboards.numbers.rows.runs import CONFIG, run_rows
from dashboards.numbers.rows.trials import trial_rows
from dashboards.pages.addresses import find_benchmark, find_study
from dashboards.pages.documents import render
from dashboards.pages.latest import Latest
from dashboards.pages.responses import Content
from space.errors import UsageError
from space.notation import Notation
from space.terminal.printing import as_csv
from space.words import NOTHING, capitalised, number
from storage import Store
from storage.summaries.study import benchmark_version, study_version

__all__ = ["RowPages"]

CSV = "text/csv; charset=utf-8"


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table that is asked for.

    Attributes:
        title: What it is of.
        up: The page of the study or benchmark.
        rows: Its rows.
        what: What a row is.
        ticked: What the address of a comparison calls a ticked row, and the column that says which
            it is; the rows are ticked where that column has each value once.
        of_row: The address of a row's own page.
        optuna: Where Optuna Dashboard shows the same.
    """

    title: str
    up: str
    rows: Rows
    what: str
    ticked: str
    of_row: Callable[[str], str]
    optuna: str = "/dashboard"


class RowPages:
    """The tables over one store."""

    def __init__(self, store: Store, latest: Latest) -> None:
        """Show a store's rows.

        Args:
            store: The store.
            latest: Keeps the rows while the store is the same.
        """
        self._store = store
        self._latest = latest

    def routes(self) -> Iterator[BaseRoute]:
        """Where they are."""
        for path, read in (
            ("/study/{number:id}/trials", self._trials),
            ("/benchmark/{number:id}/runs", self._runs),
        ):
            yield Route(path, _page_of(read))
            yield Route(f"{path}.csv", _csv_of(read))

    def _trials(self, request: Request) -> Table:
        study_id, name = find_study(self._store, request)
        version = study_version(self._store, study_id)
        return Table(
            title=name,
            up=f"/study/{study_id}",
            rows=self._latest.get(
                f"trials {study_id}", version, lambda: trial_rows(self._store, study_id)
            ),
            what="trial",
            ticked="trial",
            of_row=lambda key: f"/study/{study_id}/trial/{key}",
            optuna=f"/dashboard/studies/{study_id}/trials",
        )

    def _runs(self, request: Request) -> Table:
        record = find_benchmark(self._store, request)
        version = benchmark_version(self._store, record)
        return Table(
            title=record.name,
            up=f"/benchmark/{record.benchmark_id}",
            rows=self._latest.get(
                f"runs {record.benchmark_id}", version, lambda: run_rows(self._store, record)
            ),
            what="run",
            ticked=CONFIG,
            of_row=lambda key: f"/run/{key}",
        )


def _page_of(read: Callable[[Request], Table]) -> Callable[[Request], Response]:
    def page(request: Request) -> Response:
        table = read(request)
        query = Query.of(request.query_params.multi_items())
        problem, status = "", 200
        try:
            found = table.rows.find(query)
        except UsageError as error:
            problem, status = capitalised(str(error)), 400
            found = Rows(columns=table.rows.columns, rows=()).find(Query())
        # Trials are ticked a row each, configs where a row is all runs of one.
        compares = query.group == ("" if table.ticked == table.what else table.ticked)
        content = render(
            "rows.html",
            title=table.title,
            here="",
            optuna=table.optuna,
            table=table,
            query=query,
            found=found,
            problem=problem,
            headings=[_heading(column, query) for column in found.columns],
            lines=_lines(found, table, compares=compares),
            compares=compares and len(found.rows) > 1,
            chosen={column.name for column in found.columns},
            now=datetime.datetime.now(datetime.UTC),
        )
        return Content.of(content).answer(request, status)

    return page


def _csv_of(read: Callable[[Request], Table]) -> Callable[[Request], Response]:
    def csv(request: Request) -> Response:
        table = read(request)
        try:
            found = table.rows.find(Query.of(request.query_params.multi_items()))
        except UsageError as error:
            return Response(f"{capitalised(str(error))}\n", 400, media_type="text/plain")
        names = [column.name for column in found.columns]
        rows = [[row.values.get(name) for name in names] for row in found.rows]
        return Content.of(as_csv(names, rows), CSV).answer(request)

    return csv


@dataclass(frozen=True, kw_only=True)
class _Heading:
    words: str
    hover: str
    address: str
    order: str


def _heading(column: Column, query: Query) -> _Heading:
    """A click sorts upwards, the next one downwards, the third not at all."""
    after = {column.name: f"-{column.name}", f"-{column.name}": ""}.get(query.sort, column.name)
    order = {column.name: "ascending", f"-{column.name}": "descending"}.get(query.sort, "none")
    unit = f", {column.metric.unit}" if column.metric and column.metric.unit else ""
    return _Heading(
        words=column.metric.heading if column.metric else column.words,
        hover=f"{column.name}{unit}",
        address=query.address(sort=after),
        order=order,
    )


@dataclass(frozen=True, kw_only=True)
class _Cell:
    text: str
    hover: str
    is_number: bool


@dataclass(frozen=True, kw_only=True)
class _Line:
    """A row of a page.

    Attributes:
        cells: Its cells.
        address: Of its own page.
        tick: What a comparison calls it; None where it cannot be compared.
    """

    cells: list[_Cell]
    address: str | None
    tick: str | None


def _lines(found: Found, table: Table, *, compares: bool) -> list[_Line]:
    notations = {
        column.name: column.metric.notation(_numbers(found, column.name))
        for column in found.columns
        if column.metric is not None
    }
    lines = []
    for row in found.on_page:
        ticked = row.values.get(table.ticked)
        lines.append(
            _Line(
                cells=[_cell(row, each, notations.get(each.name)) for each in found.columns],
                address=None if row.key is None else table.of_row(row.key),
                tick=str(ticked) if compares and ticked is not None else None,
            )
        )
    return lines


def _numbers(found: Found, name: str) -> list[float]:
    values = (row.values.get(name) for row in found.on_page)
    return [value for value in values if isinstance(value, int | float)]


def _cell(row: Row, column: Column, notation: Notation | None) -> _Cell:
    value = row.values.get(column.name)
    hover = NOTHING if value is None else str(value)
    if value is None:
        text = NOTHING
    elif isinstance(value, bool):
        text = "yes" if value else "no"
    elif column.is_label or isinstance(value, str):
        text = str(value)
    else:
        text = number(value) if notation is None else notation.value(value)
    if spread := row.spreads.get(column.name):
        hover = f"mean of {spread.n}: {value}, from {spread.low} to {spread.high}"
        if notation is not None and spread.std is not None:
            text += f" ± {notation.value(spread.std)}"
            hover += f", standard deviation {spread.std}"
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return _Cell(text=text, hover=hover, is_number=is_number)
