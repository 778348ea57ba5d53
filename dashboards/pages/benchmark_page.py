"""The page of a benchmark: tables with verdicts, every figure, what is missing, provenance."""

from __future__ import annotations

from collections.abc import Collection

from dashboards.figures.benchmark.panels import benchmark_panels
from dashboards.going_on import benchmark_command
from dashboards.headline import Headline, benchmark_headline
from dashboards.numbers.benchmark import BenchmarkView, read_benchmark
from dashboards.pages.banner import banner
from dashboards.pages.documents import Document, drawn, render
from dashboards.story import benchmark_outcome, benchmark_terms
from dashboards.tables.checklist import benchmark_checklist
from dashboards.tables.formats import benchmark_sheets, report_sheet, unfinished_sheet
from dashboards.tables.provenance import provenance_sheets
from space.words import show_seeds
from storage import BenchmarkRecord, LaunchRecord, Store
from storage.commands.command_line import with_option
from storage.leases import is_alive
from storage.summaries.benchmark import benchmark_state

__all__ = ["benchmark_document", "described", "launches_of"]


def benchmark_document(
    store: Store, record: BenchmarkRecord, *, is_served: bool = True
) -> Document:
    """Read a benchmark and describe it.

    Args:
        store: The store.
        record: One of `load_benchmarks(store)`.
        is_served: See `study_document`.

    Raises:
        StorageError: If the store cannot be read.
    """
    view = read_benchmark(store, record)
    trained = {each.run.launch_id for each in view.unfinished} | {
        launch.launch_id for launch in view.launches
    }
    of_it = launches_of(store, record, trained)
    running = any(is_alive(launch) for launch in of_it if launch.launch_id in trained)
    return described(
        view,
        terms=benchmark_terms(view),
        state=benchmark_state(of_it, view.n_done, view.n_asked),
        is_running=running,
        command=(
            benchmark_command(record, of_it, store.name) if is_served and not running else None
        ),
        rows=f"/benchmark/{record.benchmark_id}/runs" if is_served else None,
    )


def launches_of(
    store: Store, record: BenchmarkRecord, trained: Collection[int] = ()
) -> list[LaunchRecord]:
    """The launches that were asked for a benchmark, or that trained a run of it; oldest first.

    Args:
        store: The store.
        record: The benchmark.
        trained: The numbers of launches that are known to have trained a run of it.
    """
    return [
        launch
        for launch in store.launches()
        if launch.launch_id in trained or launch.config.get("benchmark") == record.name
    ]


def described(
    view: BenchmarkView,
    *,
    terms: str,
    state: str = "done",
    is_running: bool = False,
    command: str | None = None,
    rows: str | None = None,
) -> Document:
    """Describe a benchmark, wherever its runs were trained.

    Args:
        view: The benchmark.
        terms: What it is of and how far it is.
        state: See `benchmark_state`.
        is_running: Whether some of its runs are being trained.
        command: What trains those that are missing, where that is to be said.
        rows: Where its runs have a page of their own.
    """
    sheets = benchmark_sheets(view.table)
    reported = {each.metric for row in view.table.rows for each in row.reported}
    if reported - {view.table.metric}:
        sheets.append(report_sheet(view.table, others=True))
    outcome, headline = benchmark_outcome(view), benchmark_headline(view.table)
    context = {
        "view": view,
        "running": is_running,
        "state": state,
        "terms": terms,
        "outcome": outcome,
        "missing": {
            row.name: show_seeds(row.result.missing)
            for row in view.table.rows
            if row.result.missing
        },
        "unfinished": drawn([unfinished_sheet(view)] if view.unfinished else []),
        "command": command,
        "headline": banner(headline, command and _with_seeds(command, headline)),
        "sheets": drawn(sheets),
        "rows": rows,
        "provenance": drawn(provenance_sheets(view.launches, view.traced())),
        "checklist": drawn([benchmark_checklist(view)]),
    }
    return Document(
        title=view.name,
        kind="benchmark",
        is_running=is_running,
        outcome=headline.sentence,
        lead=render("benchmark_lead.html", **context),
        summary=render("benchmark_summary.html", **context),
        details=render("provenance.html", **context) + render("checklist.html", **context),
        panels=benchmark_panels(view),
    )


def _with_seeds(command: str, headline: Headline) -> str:
    return with_option(command, "--seeds", str(headline.seeds)) if headline.seeds else command
