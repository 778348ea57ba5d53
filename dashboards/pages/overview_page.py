"""The first page: every study and benchmark of a store, a row each."""

from __future__ import annotations

from dashboards.numbers.overview import read_overview
from dashboards.pages.documents import Document, render
from storage import Store

__all__ = ["overview_document"]


def overview_document(store: Store) -> Document:
    """Read a store and describe it.

    Raises:
        StorageError: If the store cannot be read.
    """
    overview = read_overview(store)
    running = [each.is_running for each in overview.studies]
    running += [each.is_running for each in overview.benchmarks]
    return Document(
        title="Overview",
        is_running=any(running),
        summary=render("overview.html", overview=overview),
    )
