"""The page of a benchmark: tables with verdicts, every figure, what is missing, provenance."""

from __future__ import annotations

from markupsafe import Markup

from dashboards.figures.benchmark.panels import benchmark_panels
from dashboards.going_on import benchmark_command
from dashboards.numbers.benchmark import BenchmarkView, read_benchmark
from dashboards.numbers.together import together_note
from dashboards.pages.documents import Document, render
from dashboards.tables.benchmark import unfinished_sheet
from dashboards.tables.drawing import draw
from dashboards.tables.formats import benchmark_sheets
from dashboards.tables.provenance import (
    commands_sheet,
    launches_sheet,
    runs_sheet,
    versions_sheet,
)
from dashboards.tables.words import show_seeds
from storage import BenchmarkRecord, Store
from storage.leases import is_alive

__all__ = ["benchmark_document"]


def benchmark_document(store: Store, record: BenchmarkRecord) -> Document:
    """Read a benchmark and describe it.

    Raises:
        StorageError: If the store cannot be read.
    """
    view = read_benchmark(store, record)
    launches = {launch.launch_id: launch for launch in store.launches()}
    trained = {each.run.launch_id for each in view.unfinished} | {
        launch.launch_id for launch in view.launches
    }
    of_it = [
        launch
        for launch in launches.values()
        if launch.launch_id in trained or launch.config.get("benchmark") == record.name
    ]
    running = any(is_alive(launches[launch_id]) for launch_id in trained)
    context = {
        "view": view,
        "running": running,
        "best": view.table.best,
        "reference": next(row for row in view.table.rows if row.name == view.table.reference),
        "missing": [
            (row.name, show_seeds(row.result.missing))
            for row in view.table.rows
            if row.result.missing
        ],
        "unfinished": Markup(draw(unfinished_sheet(view), "html")) if view.unfinished else None,
        "command": benchmark_command(record, of_it, store.name),
        "sheets": [Markup(draw(sheet, "html")) for sheet in benchmark_sheets(view.table)],
        "together": together_note(view.n_together, view.n_done),
        "provenance": _provenance(view),
    }
    return Document(
        title=view.name,
        is_running=running,
        summary=render("benchmark_summary.html", **context),
        details=render("benchmark_details.html", **context),
        panels=benchmark_panels(view),
    )


def _provenance(view: BenchmarkView) -> list[Markup]:
    """Sheets, which draw themselves with every text in them escaped."""
    if not view.launches:
        return []
    traced = view.traced()
    sheets = (
        commands_sheet(view.launches),
        launches_sheet(view.launches, traced),
        runs_sheet(traced),
        versions_sheet(view.launches),
    )
    return [Markup(draw(sheet, "html")) for sheet in sheets]
