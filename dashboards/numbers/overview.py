"""All studies and benchmarks of a store at a glance; cheap however many trials there are."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from storage import Store
from storage.summaries.benchmark import BenchmarkGlance, glance_at_benchmarks
from storage.summaries.study import StudyGlance, glance_at_studies

__all__ = ["Overview", "read_overview"]


@dataclass(frozen=True, kw_only=True)
class Overview:
    """What a store holds: studies and benchmarks, those that were last active first."""

    studies: tuple[StudyGlance, ...]
    benchmarks: tuple[BenchmarkGlance, ...]


def read_overview(store: Store) -> Overview:
    """Read what a store holds.

    Raises:
        StorageError: If the store cannot be read.
    """
    return Overview(
        studies=tuple(sorted(glance_at_studies(store), key=_when, reverse=True)),
        benchmarks=tuple(sorted(glance_at_benchmarks(store), key=_when, reverse=True)),
    )


def _when(glance: StudyGlance | BenchmarkGlance) -> datetime.datetime:
    return glance.last_activity or datetime.datetime.min.replace(tzinfo=datetime.UTC)
