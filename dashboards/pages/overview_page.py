"""The first page: every study and benchmark of a store, a row each."""

from __future__ import annotations

from markupsafe import Markup

from dashboards.headline import (
    benchmark_headline,
    confirmed_headline,
    front_headline,
    unconfirmed_headline,
)
from dashboards.numbers.overview import Overview, read_overview
from dashboards.pages.banner import banner
from dashboards.pages.documents import Document, render
from storage import Store
from storage.summaries.study import StudyGlance

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
        summary=render(
            "overview.html",
            overview=overview,
            studies=[(each, _of_study(overview, each)) for each in overview.studies],
            benchmarks=[
                (each, banner(benchmark_headline(table), is_small=True))
                for each, table in zip(overview.benchmarks, overview.tables, strict=True)
            ],
        ),
    )


def _of_study(overview: Overview, study: StudyGlance) -> Markup:
    found = overview.confirmations.get(study.study_id)
    if len(study.directions) > 1:
        headline = front_headline(study.objectives, None)
    elif found is not None:
        headline = confirmed_headline(found)
    else:
        headline = unconfirmed_headline(
            study.objective,
            best=study.best,
            baseline=study.baseline,
            n_complete=study.counts["COMPLETE"],
        )
    return banner(headline, is_small=True)
