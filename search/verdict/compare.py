"""The configs of a table of runs, compared as those of a benchmark are."""

from __future__ import annotations

from dashboards.numbers.benchmark import BenchmarkView
from dashboards.pages.benchmark_page import described
from dashboards.pages.documents import Document
from search.verdict.foreign import foreign_benchmark
from search.verdict.rows import Asked, Table, foreign_runs
from space.errors import UsageError
from space.words import count, show_seeds

__all__ = ["compared", "document_of"]


def compared(
    table: Table,
    asked: Asked,
    *,
    reference: str | None = None,
    margin: float | None = None,
    title: str = "",
) -> BenchmarkView:
    """Compare the configs of a table.

    Args:
        table: The table.
        asked: How it is to be read.
        reference: See `foreign_benchmark`, as for the others.
        margin: Likewise.
        title: Likewise.

    Raises:
        UsageError: If it cannot be read so, or nothing of it is finished.
    """
    runs, metrics = foreign_runs(table, asked)
    if not any(run.state == "complete" for run in runs):
        raise UsageError(f"{table.name}: no run in it has a value of {metrics[0].name}.")
    return foreign_benchmark(
        runs,
        metrics,
        source=table.name,
        fingerprint=table.fingerprint,
        reference=reference,
        margin=margin,
        title=title,
    )


def document_of(view: BenchmarkView) -> Document:
    """What the document and notebooks show of it."""
    rows = view.table.rows
    terms = (
        f"{count(view.n_done, 'run')} of {view.record.data_source} (fingerprint "
        f"{view.record.data_fingerprint}) with a result: {count(len(rows), 'config')} on the "
        f"seeds {show_seeds(view.record.seeds)}. They were trained elsewhere: which samples and "
        "which state a value is of, and what a seed fixed, only their author knows. Runs of one "
        "seed are paired."
    )
    return described(
        view, terms=terms, state="done" if view.n_done == view.n_asked else "unfinished"
    )
