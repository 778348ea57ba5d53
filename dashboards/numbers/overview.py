"""All studies and benchmarks of a store at a glance; cheap however many trials there are."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from dashboards.numbers.benchmark import table_of
from dashboards.numbers.results import collect
from dashboards.numbers.study.confirmation import Confirmation, read_confirmation
from dashboards.numbers.tables import BenchmarkTable
from storage import BenchmarkRecord, Store
from storage.summaries.baselines import in_order
from storage.summaries.benchmark import BenchmarkGlance, glance_at_benchmarks
from storage.summaries.study import StudyGlance, glance_at_studies
from storage.tables.attributes import BASELINE

__all__ = ["Overview", "read_overview"]


@dataclass(frozen=True, kw_only=True)
class Overview:
    """What a store holds.

    Attributes:
        studies: Those that were last active first.
        benchmarks: Likewise.
        confirmations: Study's number -> what fresh seeds say, of those that have all of them.
        tables: The benchmarks' numbers, in their order.
    """

    studies: tuple[StudyGlance, ...]
    benchmarks: tuple[BenchmarkGlance, ...]
    confirmations: dict[int, Confirmation]
    tables: tuple[BenchmarkTable, ...]


def read_overview(store: Store) -> Overview:
    """Read what a store holds.

    Raises:
        StorageError: If the store cannot be read.
    """
    studies = tuple(sorted(glance_at_studies(store), key=_when, reverse=True))
    benchmarks = tuple(sorted(glance_at_benchmarks(store), key=_when, reverse=True))
    return Overview(
        studies=studies,
        benchmarks=benchmarks,
        confirmations=_confirmations(store),
        tables=tuple(_table(store, each.record) for each in benchmarks),
    )


def _confirmations(store: Store) -> dict[int, Confirmation]:
    """What fresh seeds say, of the studies that have trained on any."""
    tried = {run.study_id for run in store.runs(purpose="confirm") if run.study_id is not None}
    read = {
        study_id: read_confirmation(store, study_id, _baselines(store, study_id))
        for study_id in tried
    }
    return {study_id: found for study_id, found in read.items() if found is not None}


def _baselines(store: Store, study_id: int) -> list[int]:
    with store.guarded():
        trials = store.optuna_storage.get_all_trials(study_id, deepcopy=False)
    return in_order({t.number: t.state.name for t in trials if BASELINE in t.user_attrs})


def _table(store: Store, record: BenchmarkRecord) -> BenchmarkTable:
    results = collect(store, record.configs, fingerprint=record.data_fingerprint)
    return table_of(record, results)


def _when(glance: StudyGlance | BenchmarkGlance) -> datetime.datetime:
    return glance.last_activity or datetime.datetime.min.replace(tzinfo=datetime.UTC)
