"""All studies and benchmarks of a store at a glance; cheap however many trials there are."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import sqlalchemy as sa

from storage import BenchmarkConfig, BenchmarkRecord, LaunchRecord, Store, StudyRecord, schema
from storage.benchmarks import load_benchmarks
from storage.glance import StudyGlance, glance_at_studies
from storage.leases import is_alive

__all__ = ["BenchmarkSummary", "Overview", "StudySummary", "read_overview"]


@dataclass(frozen=True, kw_only=True)
class StudySummary:
    """A study in one row.

    Attributes:
        glance: What was counted: states, best and baseline value, last activity.
        metrics: What its objectives measure, one a direction; empty texts for a study that another
            Optuna tool made.
        data_source: Where its data is from; None for a study of another tool.
        is_running: Whether a launch of it is alive.
        n_trials_asked: The trials that its latest launch asked for, if it asked for a number.
        n_epochs_asked: The epochs, likewise.
        status: How its latest launch ended, or ``"running"``; None without a launch.
    """

    glance: StudyGlance
    metrics: tuple[str, ...]
    data_source: str | None
    is_running: bool
    n_trials_asked: int | None
    n_epochs_asked: int | None
    status: str | None

    @property
    def n_trials(self) -> int:
        """Trials in any state."""
        return sum(self.glance.counts.values())

    @property
    def n_ended(self) -> int:
        """Trials that ended complete, pruned or failed."""
        return sum(self.glance.counts[state] for state in ("COMPLETE", "PRUNED", "FAIL"))


@dataclass(frozen=True, kw_only=True)
class BenchmarkSummary:
    """A benchmark in one row.

    Attributes:
        record: What it compares.
        n_done: Runs that have a result.
        n_asked: Runs that were asked for.
        best: The config with the lowest mean test error, and that error (a fraction of the pairs).
        reference_error: The reference's mean test error.
        is_running: Whether a launch that trains one of its runs is alive.
        last_activity: When such a launch was last heard of, or the benchmark last asked for (UTC).
    """

    record: BenchmarkRecord
    n_done: int
    n_asked: int
    best: tuple[str, float] | None
    reference_error: float | None
    is_running: bool
    last_activity: datetime.datetime | None


@dataclass(frozen=True, kw_only=True)
class Overview:
    """What a store holds: studies and benchmarks, those that were last active first."""

    studies: tuple[StudySummary, ...]
    benchmarks: tuple[BenchmarkSummary, ...]


def read_overview(store: Store) -> Overview:
    """Read what a store holds.

    Raises:
        StorageError: If the store cannot be read.
    """
    launches = store.launches()
    records = store.study_records()
    studies = [
        _study(
            glance,
            records.get(glance.study_id),
            [launch for launch in launches if launch.study_id == glance.study_id],
        )
        for glance in glance_at_studies(store)
    ]
    studies.sort(key=lambda study: _when(study.glance.last_activity), reverse=True)
    benchmarks = _benchmarks(store, {launch.launch_id: launch for launch in launches})
    benchmarks.sort(key=lambda benchmark: _when(benchmark.last_activity), reverse=True)
    return Overview(studies=tuple(studies), benchmarks=tuple(benchmarks))


def _when(time: datetime.datetime | None) -> datetime.datetime:
    return time or datetime.datetime.min.replace(tzinfo=datetime.UTC)


def _study(
    glance: StudyGlance, record: StudyRecord | None, launches: Sequence[LaunchRecord]
) -> StudySummary:
    metrics = [""] * len(glance.directions) if record is None else record.metrics
    is_running = any(is_alive(launch) for launch in launches)
    budget: Mapping[str, Any] = launches[-1].config.get("budget", {}) if launches else {}
    status = launches[-1].status if launches else None
    if status == "running" and not is_running:
        status = "died"
    return StudySummary(
        glance=glance,
        metrics=tuple(metrics),
        data_source=None if record is None else record.data_source,
        is_running=is_running,
        n_trials_asked=budget.get("trials"),
        n_epochs_asked=budget.get("epochs"),
        status="running" if is_running else status,
    )


def _benchmarks(store: Store, launches: Mapping[int, LaunchRecord]) -> list[BenchmarkSummary]:
    records = load_benchmarks(store)
    if not records:
        return []
    runs, results = schema.runs.c, schema.results.c
    query = sa.select(
        runs.config_hash, runs.launch_id, results.test_error, results.data_fingerprint
    ).select_from(schema.runs.outerjoin(schema.results, runs.run_id == results.run_id))
    rows = store.rows(query.where(runs.purpose == "benchmark").order_by(runs.run_id))
    alive = {launch_id for launch_id, launch in launches.items() if is_alive(launch)}
    found = []
    for record in records:
        hashes = {config_hash for config in record.configs for config_hash in config.config_hashes}
        own = [row for row in rows if row["config_hash"] in hashes]
        of = {row["launch_id"] for row in own}
        errors: dict[str, float] = {}
        for row in own:
            # Of several runs of one config and seed the first counts.
            if row["data_fingerprint"] == record.data_fingerprint:
                errors.setdefault(row["config_hash"], row["test_error"])
        means = _means(record.configs, errors)
        times = [launches[launch_id].heartbeat_at for launch_id in of if launch_id in launches]
        if record.updated_at is not None:
            times.append(record.updated_at)
        found.append(
            BenchmarkSummary(
                record=record,
                n_done=sum(
                    config_hash in errors
                    for config in record.configs
                    for config_hash in config.config_hashes
                ),
                n_asked=sum(len(config.config_hashes) for config in record.configs),
                best=min(means.items(), key=lambda item: item[1], default=None),
                reference_error=means.get(record.reference),
                is_running=bool(of & alive),
                last_activity=max(times, default=None),
            )
        )
    return found


def _means(configs: Sequence[BenchmarkConfig], errors: Mapping[str, float]) -> dict[str, float]:
    """Config -> its mean test error, of those of which a seed has finished."""
    means = {}
    for config in configs:
        own = [errors[each] for each in config.config_hashes if each in errors]
        if own:
            means[config.name] = fmean(own)
    return means
