"""Rows with named columns: filtered, sorted, grouped and cut into pages."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev
from typing import NamedTuple
from urllib.parse import urlencode

from dashboards.numbers.rows.filters import read_filter
from space import Value
from space.errors import UsageError, nearest
from space.metrics import Metric

__all__ = ["Column", "Found", "N", "Query", "Row", "Rows", "Spread"]

PAGE = 100
"""Rows of a page: as many as a browser draws at once, on a phone, too."""
N = "n"
"""The column that says how many rows a group has."""

Values = Mapping[str, Value | None]


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column.

    Attributes:
        name: What filters, addresses and CSV call it.
        words: What people call it.
        metric: What is measured in it, if anything is.
        is_shown: Whether it is there before anybody has chosen columns.
        is_label: Whether its numbers only name something, so that a mean of them says nothing.
    """

    name: str
    words: str
    metric: Metric | None = None
    is_shown: bool = True
    is_label: bool = False


class Spread(NamedTuple):
    """The numbers of a group in one column."""

    n: int
    std: float | None
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A row, or a group of rows as one.

    Attributes:
        key: What a page makes its address of; of a group, None.
        values: Column -> value; of a group, the mean.
        spreads: Column -> how far apart a group's values lie.
    """

    key: str | None
    values: Values
    spreads: Mapping[str, Spread] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Query:
    """What is wanted of some rows, as an address says it.

    Attributes:
        where: A filter; see `read_filter`. Empty: all rows.
        sort: A column, with a minus before it for descending; empty: as they come.
        columns: The columns; none: those that are shown by themselves.
        group: The column by whose values the rows are grouped; empty: not at all.
        page: From 1.
    """

    where: str = ""
    sort: str = ""
    columns: tuple[str, ...] = ()
    group: str = ""
    page: int = 1

    @classmethod
    def of(cls, words: Iterable[tuple[str, str]]) -> Query:
        """Read what an address says behind its question mark; words of others are let be."""
        given: dict[str, list[str]] = {}
        for name, value in words:
            given.setdefault(name, []).append(value)
        page = given.get("page", ["1"])[-1]
        return cls(
            where=given.get("where", [""])[-1].strip(),
            sort=given.get("sort", [""])[-1],
            columns=tuple(dict.fromkeys(given.get("columns", []))),
            group=given.get("group", [""])[-1],
            page=max(1, int(page)) if page.isascii() and page.isdigit() and len(page) < 7 else 1,
        )

    def address(self, **changes: object) -> str:
        """The same with changes, as words for an address; the first page unless it is changed."""
        wanted = {**vars(self), "page": 1, **changes}
        wanted["page"] = "" if wanted["page"] == 1 else wanted["page"]
        return urlencode({name: value for name, value in wanted.items() if value}, doseq=True)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a query found.

    Attributes:
        columns: The columns, in order.
        rows: All rows that were found, sorted.
        n_matched: Rows that the filter holds of, which may be grouped in `rows`.
        page: The page, from 1; the last one where there are fewer than were asked for.
    """

    columns: tuple[Column, ...]
    rows: Sequence[Row]
    n_matched: int
    page: int

    @property
    def n_pages(self) -> int:
        """Pages, at least one."""
        return max(1, math.ceil(len(self.rows) / PAGE))

    @property
    def on_page(self) -> Sequence[Row]:
        """The rows of the page."""
        return self.rows[(self.page - 1) * PAGE : self.page * PAGE]


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Rows and their columns.

    Attributes:
        columns: Every column that there is; the first one names the rows.
        rows: The rows.
    """

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    def find(self, query: Query) -> Found:
        """Filter, group and sort.

        Raises:
            UsageError: If the query's filter cannot be read, or it names no column of these.
        """
        by_name = {column.name: column for column in self.columns}
        for name in (query.sort.removeprefix("-"), query.group, *query.columns):
            if name and name not in (*by_name, N):
                raise UsageError(f"there is no column “{name}”{nearest(name, by_name) or '.'}")
        holds = read_filter(query.where, by_name)
        rows = [row for row in self.rows if holds(row.values)]
        n_matched = len(rows)
        shown = [by_name[name] for name in query.columns if name in by_name]
        shown = shown or [column for column in self.columns if column.is_shown]
        if query.group:
            rows, shown = _grouped(rows, by_name[query.group], shown)
        if query.sort:
            rows = _sorted(rows, query.sort)
        pages = max(1, math.ceil(len(rows) / PAGE))
        return Found(
            columns=tuple(shown), rows=rows, n_matched=n_matched, page=min(query.page, pages)
        )


def _sorted(rows: Sequence[Row], order: str) -> list[Row]:
    name, is_falling = order.removeprefix("-"), order.startswith("-")
    known = [row for row in rows if row.values.get(name) is not None]
    known.sort(key=lambda row: _rank(row.values[name]), reverse=is_falling)
    return [*known, *(row for row in rows if row.values.get(name) is None)]


def _rank(value: Value | None) -> tuple[bool, float, str]:
    """Numbers before texts, either in order."""
    if isinstance(value, int | float):
        return False, float(value), ""
    return True, 0.0, str(value)


def _grouped(
    rows: Sequence[Row], by: Column, shown: Sequence[Column]
) -> tuple[list[Row], list[Column]]:
    groups: dict[object, list[Row]] = {}
    for row in rows:
        value = row.values.get(by.name)
        # True and 1 are equal, but not the same.
        groups.setdefault((type(value), value), []).append(row)
    measured = [
        column
        for column in shown
        if column != by
        and not column.is_label
        and any(_numbers(rows_of, column.name) for rows_of in groups.values())
    ]
    found = []
    for of_group in groups.values():
        values: dict[str, Value | None] = {
            by.name: of_group[0].values.get(by.name),
            N: len(of_group),
        }
        spreads = {}
        for column in measured:
            if numbers := _numbers(of_group, column.name):
                values[column.name] = fmean(numbers)
                spreads[column.name] = Spread(
                    n=len(numbers),
                    std=stdev(numbers) if len(numbers) > 1 else None,
                    low=min(numbers),
                    high=max(numbers),
                )
        found.append(Row(key=None, values=values, spreads=spreads))
    return _sorted(found, by.name), [by, Column(name=N, words="rows"), *measured]


def _numbers(rows: Iterable[Row], name: str) -> list[float]:
    values = (row.values.get(name) for row in rows)
    return [
        value for value in values if isinstance(value, int | float) and not isinstance(value, bool)
    ]
