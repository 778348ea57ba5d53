"""A benchmark as its figures and its page show it, read from the store once."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from dashboards.numbers.learning_curves import Curves, learning_curves
from dashboards.numbers.results import ConfigResult, collect
from dashboards.numbers.tables import BenchmarkTable, Row, benchmark_table
from dashboards.numbers.together import trained_together
from dashboards.numbers.variance import read_variances, varied_sources
from space.errors import UsageError, nearest
from storage import BenchmarkRecord, LaunchRecord, RunRecord, Store
from storage.benchmarks import load_benchmarks
from storage.summaries.registered import Registered, read_registered

__all__ = [
    "BenchmarkView",
    "UnfinishedRun",
    "find_benchmark",
    "read_benchmark",
    "table_of",
]


class UnfinishedRun(NamedTuple):
    """The latest run of a seed that has no result yet."""

    name: str
    """The config."""
    seed: int
    run: RunRecord
    """Its state, its reason where it failed, its epochs so far."""
    n_epochs_asked: int
    """The epochs of a whole run."""
    heard_at: datetime.datetime
    """When its launch last gave a sign of life."""


@dataclass(frozen=True, kw_only=True)
class BenchmarkView:
    """A benchmark, finished or not.

    Attributes:
        record: What it compares.
        table: Its numbers, a row a config: seed by seed, summaries, verdicts, the reported values.
        curves: Config -> its learning curves; configs of which no seed has finished are left out.
        unfinished: Runs that are going on, were interrupted or failed, in the table's order.
        launches: The launches that trained any of the results, oldest first.
        n_together: Runs with a result that were trained together with others.
    """

    record: BenchmarkRecord
    table: BenchmarkTable
    curves: dict[str, Curves]
    unfinished: tuple[UnfinishedRun, ...]
    launches: tuple[LaunchRecord, ...]
    n_together: int

    @property
    def name(self) -> str:
        """What the benchmark is called."""
        return self.record.name

    @property
    def n_done(self) -> int:
        """Runs that have a result."""
        return sum(row.n for row in self.table.rows)

    @property
    def n_asked(self) -> int:
        """Runs that were asked for."""
        return self.n_done + sum(len(row.result.missing) for row in self.table.rows)

    def differences(self, row: Row) -> dict[int, float]:
        """What the table compares by, minus the reference's, by seed that both have."""
        metric = self.table.metric.name
        reference = self.table.row(self.table.reference).result.by_seed(metric)
        own = row.result.by_seed(metric)
        return {seed: own[seed] - reference[seed] for seed in sorted(own.keys() & reference.keys())}

    def machines(self, row: Row) -> tuple[str, ...]:
        """The processors and GPUs that trained a config: seconds of unlike ones do not compare."""
        hardware = {launch.launch_id: launch.hardware for launch in self.launches}
        found = []
        for seed in row.result.seeds.values():
            known = hardware[seed.run.launch_id]
            gpus = dict.fromkeys(known.get("gpus") or ())
            found.append(" + ".join([known.get("processor") or "unknown", *gpus]))
        return tuple(dict.fromkeys(found))

    def traced(self) -> list[tuple[str, str, RunRecord]]:
        """Every run that counts: the benchmark, the config, the run."""
        return [
            (self.name, row.name, found.run)
            for row in self.table.rows
            for found in row.result.seeds.values()
        ]


def read_benchmark(store: Store, record: BenchmarkRecord) -> BenchmarkView:
    """Read a benchmark off the store.

    Args:
        store: The store.
        record: One of `load_benchmarks(store)`.

    Returns:
        The benchmark as far as it has got; nothing of it may be there yet.

    Raises:
        StorageError: If the store cannot be read.
    """
    results = collect(store, record.configs, fingerprint=record.data_fingerprint)
    variances = read_variances(
        store,
        record.configs,
        results,
        varied_sources(store, record),
        metric=record.measured.judged_by.name,
        fingerprint=record.data_fingerprint,
    )
    table = replace(table_of(record, results, read_registered(store, record)), variances=variances)
    launches = {launch.launch_id: launch for launch in store.launches()}
    curves = {result.name: learning_curves(store, result, record.measured) for result in results}
    runs = {seed.run.run_id: seed.run for row in table.rows for seed in row.result.seeds.values()}
    used = {run.launch_id for run in runs.values()}
    return BenchmarkView(
        record=record,
        table=table,
        curves={name: found for name, found in curves.items() if found is not None},
        unfinished=tuple(_unfinished(store, record, results, launches)),
        launches=tuple(launches[launch_id] for launch_id in sorted(used)),
        n_together=len(trained_together(store, used) & runs.keys()),
    )


def table_of(
    record: BenchmarkRecord,
    results: Sequence[ConfigResult],
    registered: Registered | None = None,
) -> BenchmarkTable:
    """A benchmark's numbers.

    Args:
        record: What it compares, on which terms.
        results: What there is of its configs, in its order.
        registered: See `BenchmarkTable`.
    """
    return benchmark_table(
        results,
        record.measured,
        reference=record.reference,
        title=record.title,
        margin=record.margin,
        is_raced=record.max_seeds is not None,
        registered=registered,
    )


def find_benchmark(store: Store, wanted: str) -> BenchmarkRecord:
    """The benchmark of a name.

    Args:
        store: The store.
        wanted: What it is called; where several data sets have a benchmark of the name, followed by
            ``@`` and the source or the fingerprint of the one that is meant.

    Returns:
        The benchmark.

    Raises:
        UsageError: If there is none, or more than one.
        StorageError: If the store cannot be read.
    """
    records = load_benchmarks(store)
    names = list(dict.fromkeys(record.name for record in records))
    name, _, data = (wanted, "", "") if wanted in names else wanted.rpartition("@")
    of_name = [record for record in records if record.name == name]
    if not of_name:
        held = f"it holds {', '.join(names)}" if names else "it holds none"
        raise UsageError(
            f"storage {store.name}: no benchmark '{wanted}'; {held}{nearest(wanted, names)}"
        )
    kinds = ("data_fingerprint", "data_source")
    found = [each for each in of_name if data in ("", *(getattr(each, kind) for kind in kinds))]
    if len(found) == 1:
        return found[0]
    choices = [f"'{name}@{each.data_fingerprint}' ({each.data_source})" for each in of_name]
    raise UsageError(
        f"storage {store.name}: '{wanted}' is not one benchmark; name its data, too: "
        f"{' or '.join(choices)}."
    )


def _unfinished(
    store: Store,
    record: BenchmarkRecord,
    results: Sequence[ConfigResult],
    launches: dict[int, LaunchRecord],
) -> list[UnfinishedRun]:
    # Two configs of a benchmark may be the same but for their names, and so share their runs.
    wanted = [
        (config.by_seed[seed], result, seed)
        for config, result in zip(record.configs, results, strict=True)
        for seed in result.missing
    ]
    if not wanted:
        return []
    hashes = {config_hash for config_hash, *_ in wanted}
    latest = {
        run.config_hash: run
        for run in store.runs(purpose="benchmark")
        if run.config_hash in hashes
        and launches[run.launch_id].data_fingerprint == record.data_fingerprint
    }
    return [
        UnfinishedRun(
            name=result.name,
            seed=seed,
            run=latest[config_hash],
            n_epochs_asked=result.config.training.epochs,
            heard_at=launches[latest[config_hash].launch_id].heartbeat_at,
        )
        for config_hash, result, seed in wanted
        if config_hash in latest
    ]
