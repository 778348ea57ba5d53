"""Every benchmark of a store at a glance: what is done of it, by whom, and what came of it."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import sqlalchemy as sa

from space.metrics import Metric
from storage.benchmarks import load_benchmarks
from storage.leases import is_alive, status_of
from storage.store import Store
from storage.tables import schema
from storage.tables.metric_rows import as_value
from storage.tables.records import BenchmarkConfig, BenchmarkRecord, LaunchRecord

__all__ = ["BenchmarkGlance", "benchmark_state", "glance_at_benchmarks", "says_it_is_of"]


@dataclass(frozen=True, kw_only=True)
class BenchmarkGlance:
    """What can be counted of a benchmark.

    Attributes:
        record: What it compares.
        values: Config hash -> the metric that it is judged by, of each run that has a result.
        launches: Those that trained one of its runs, or say that they are of it, oldest first.
    """

    record: BenchmarkRecord
    values: Mapping[str, float]
    launches: tuple[LaunchRecord, ...]

    @property
    def metric(self) -> Metric:
        """What it compares its configs by."""
        return self.record.measured.judged_by

    @property
    def n_done(self) -> int:
        """Runs that have a result."""
        return sum(self.n_done_of(config) for config in self.record.configs)

    @property
    def n_asked(self) -> int:
        """Runs that were asked for."""
        return sum(len(config.config_hashes) for config in self.record.configs)

    def n_done_of(self, config: BenchmarkConfig) -> int:
        """Runs of a config that have a result."""
        return len(self._values_of(config))

    def mean_of(self, config: BenchmarkConfig) -> float | None:
        """A config's mean, over those of its seeds that have finished."""
        values = self._values_of(config)
        return fmean(values) if values else None

    def _values_of(self, config: BenchmarkConfig) -> list[float]:
        return [self.values[each] for each in config.config_hashes if each in self.values]

    @property
    def best(self) -> tuple[str, float] | None:
        """The config with the best mean, and that mean.

        Of those with every seed that any config has, if there are others beside it: means over
        unlike seeds are no comparison.
        """
        seeds = {config.name: self._seeds_of(config) for config in self.record.configs}
        every = frozenset().union(*seeds.values())
        full = [config for config in self.record.configs if every and seeds[config.name] == every]
        if len(full) < min(2, sum(map(bool, seeds.values()))):
            return None
        means = [(config.name, fmean(self._values_of(config))) for config in full]
        return min(means, key=lambda each: self.metric.rank(each[1]), default=None)

    def _seeds_of(self, config: BenchmarkConfig) -> frozenset[int]:
        return frozenset(seed for seed, each in config.by_seed.items() if each in self.values)

    @property
    def reference_value(self) -> float | None:
        """The reference's mean."""
        of_name = {config.name: config for config in self.record.configs}
        reference = of_name.get(self.record.reference)
        return None if reference is None else self.mean_of(reference)

    @property
    def is_running(self) -> bool:
        """Whether a launch of it is alive."""
        return any(is_alive(launch) for launch in self.launches)

    @property
    def state(self) -> str:
        """See `benchmark_state`."""
        return benchmark_state(self.launches, self.n_done, self.n_asked)

    @property
    def last_activity(self) -> datetime.datetime | None:
        """When a launch of it was last heard of, or it was last asked for (UTC)."""
        times = [launch.heartbeat_at for launch in self.launches]
        if self.record.updated_at is not None:
            times.append(self.record.updated_at)
        return max(times, default=None)


def benchmark_state(launches: Sequence[LaunchRecord], n_done: int, n_asked: int) -> str:
    """``"running"``, ``"done"``, or how its latest launch ended before everything was done.

    Args:
        launches: Those of the benchmark, oldest first.
        n_done: Its runs that have a result.
        n_asked: Those that were asked for.

    Returns:
        The state; ``"unfinished"`` where the latest launch did all that it was asked for, ``"not
        begun"`` where there was none.
    """
    if any(map(is_alive, launches)):
        return "running"
    if n_done == n_asked:
        return "done"
    if not launches:
        return "not begun"
    status = status_of(launches[-1])
    return "unfinished" if status == "done" else status


def glance_at_benchmarks(store: Store) -> list[BenchmarkGlance]:
    """Every benchmark of a store, in the order they were first asked for.

    Raises:
        StorageError: If the store cannot be read.
    """
    records = load_benchmarks(store)
    if not records:
        return []
    launches = store.launches()
    runs, results, metrics = schema.runs.c, schema.results.c, schema.result_metrics
    query = sa.select(
        runs.run_id, runs.config_hash, runs.launch_id, results.data_fingerprint
    ).select_from(schema.runs.outerjoin(schema.results, runs.run_id == results.run_id))
    rows = store.rows(query.where(runs.purpose == "benchmark").order_by(runs.run_id))
    judging = {record.measured.judged_by.name for record in records}
    of_run = {
        (row["run_id"], row["name"]): as_value(row["value"])
        for row in store.rows(sa.select(metrics).where(metrics.c.name.in_(judging)))
    }
    found = []
    for record in records:
        hashes = {config_hash for config in record.configs for config_hash in config.config_hashes}
        own = [row for row in rows if row["config_hash"] in hashes]
        values: dict[str, float] = {}
        for row in own:
            # Of several runs of one config and seed the first counts.
            if row["data_fingerprint"] == record.data_fingerprint:
                value = of_run.get((row["run_id"], record.measured.judged_by.name), math.nan)
                values.setdefault(row["config_hash"], value)
        trained = {row["launch_id"] for row in own}
        found.append(
            BenchmarkGlance(
                record=record,
                values=values,
                launches=tuple(
                    launch
                    for launch in launches
                    if (
                        launch.launch_id in trained
                        and launch.data_fingerprint == record.data_fingerprint
                    )
                    or says_it_is_of(launch, record)
                ),
            )
        )
    return found


def says_it_is_of(launch: LaunchRecord, record: BenchmarkRecord) -> bool:
    """Whether a launch says that it is of a benchmark; older ones do not say of which they are."""
    return (
        launch.study_id is None
        and launch.data_fingerprint == record.data_fingerprint
        and launch.config.get("benchmark") == record.name
    )
