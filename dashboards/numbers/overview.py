"""All studies and benchmarks of a store at a glance; cheap however many trials there are."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from space.metrics import UNKNOWN, Metric
from storage import LaunchRecord, Store, StudyRecord
from storage.leases import is_alive
from storage.summaries.benchmark import BenchmarkGlance, glance_at_benchmarks
from storage.summaries.study import StudyGlance, abandoned_trials, glance_at_studies

__all__ = ["Overview", "StudySummary", "read_overview"]


@dataclass(frozen=True, kw_only=True)
class StudySummary:
    """A study in one row.

    Attributes:
        glance: What was counted: states, best and baseline value, last activity.
        n_abandoned: Trials that Optuna says are running, but whose launch died.
        metrics: What its objectives measure, one a direction; without words for a study that
            another Optuna tool made.
        data_source: Where its data is from; None for a study of another tool.
        is_running: Whether a launch of it is alive.
        n_trials_asked: The trials that its latest launch asked for, if it asked for a number.
        n_epochs_asked: The epochs, likewise.
        status: How its latest launch ended, or ``"running"``; None without a launch.
    """

    glance: StudyGlance
    n_abandoned: int
    metrics: tuple[Metric, ...]
    data_source: str | None
    is_running: bool
    n_trials_asked: int | None
    n_epochs_asked: int | None
    status: str | None

    @property
    def counts(self) -> dict[str, int]:
        """Trials by state; those of a launch that died wait for the next one."""
        counts = dict(self.glance.counts)
        counts["RUNNING"] -= self.n_abandoned
        counts["WAITING"] += self.n_abandoned
        return counts

    @property
    def n_trials(self) -> int:
        """Trials in any state."""
        return sum(self.glance.counts.values())

    @property
    def n_ended(self) -> int:
        """Trials that ended complete, pruned or failed."""
        return sum(self.glance.counts[state] for state in ("COMPLETE", "PRUNED", "FAIL"))


@dataclass(frozen=True, kw_only=True)
class Overview:
    """What a store holds: studies and benchmarks, those that were last active first."""

    studies: tuple[StudySummary, ...]
    benchmarks: tuple[BenchmarkGlance, ...]


def read_overview(store: Store) -> Overview:
    """Read what a store holds.

    Raises:
        StorageError: If the store cannot be read.
    """
    launches = store.launches()
    records = store.study_records()
    abandoned = abandoned_trials(store)
    studies = [
        _study(
            glance,
            len(abandoned.get(glance.study_id, ())),
            records.get(glance.study_id),
            [launch for launch in launches if launch.study_id == glance.study_id],
        )
        for glance in glance_at_studies(store)
    ]
    studies.sort(key=lambda study: _when(study.glance.last_activity), reverse=True)
    benchmarks = glance_at_benchmarks(store, launches)
    benchmarks.sort(key=lambda benchmark: _when(benchmark.last_activity), reverse=True)
    return Overview(studies=tuple(studies), benchmarks=tuple(benchmarks))


def _when(time: datetime.datetime | None) -> datetime.datetime:
    return time or datetime.datetime.min.replace(tzinfo=datetime.UTC)


def _study(
    glance: StudyGlance,
    n_abandoned: int,
    record: StudyRecord | None,
    launches: Sequence[LaunchRecord],
) -> StudySummary:
    names = [""] * len(glance.directions) if record is None else record.metrics
    measured = UNKNOWN if record is None else record.measured
    is_running = any(is_alive(launch) for launch in launches)
    budget: Mapping[str, Any] = launches[-1].config.get("budget", {}) if launches else {}
    status = launches[-1].status if launches else None
    if status == "running" and not is_running:
        status = "died"
    return StudySummary(
        glance=glance,
        n_abandoned=n_abandoned,
        metrics=tuple(map(measured.metric, names)),
        data_source=None if record is None else record.data_source,
        is_running=is_running,
        n_trials_asked=budget.get("trials"),
        n_epochs_asked=budget.get("epochs"),
        status="running" if is_running else status,
    )
