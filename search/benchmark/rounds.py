"""What a benchmark trains next: all that is missing, or in a race what its verdicts lack."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from dashboards.numbers.results import ConfigResult, collect
from dashboards.numbers.tables import BenchmarkTable, benchmark_table
from dashboards.statistics.verdicts import seeds_needed
from search.benchmark.configs import resolved
from search.benchmark.request import Request
from search.runs.queue import QueuedRun
from space import NamedConfig
from space.terminal.printing import say_event
from space.words import count
from storage import BenchmarkConfig, BenchmarkRecord, Store
from storage.benchmarks import load_benchmark, save_benchmark
from storage.summaries.registered import read_registered
from trainables.contract.run_data import RunData

__all__ = ["Rounds", "wanted_seeds"]


class Rounds:
    """What is trained round by round, each read off the store: a kill loses nothing of a race.

    A benchmark of so many seeds has one round. In a race every config without a verdict, and the
    reference with it, gets one seed more a round, until all have one or the seeds end.
    """

    def __init__(
        self,
        store: Store,
        request: Request,
        named: Sequence[NamedConfig],
        configs: Sequence[BenchmarkConfig],
        data: RunData,
    ) -> None:
        """Begin.

        Args:
            store: The store.
            request: What was asked for.
            named: The configs.
            configs: The same on all seeds that there may be, in the order in which they are added.
            data: What they are trained on.
        """
        self._store = store
        self._request = request
        self._named = named
        self._configs = configs
        self._data = data
        self._tried: set[str] = set()

    def next(self) -> list[QueuedRun]:
        """The runs of the next round, seed by seed, so that every config gets its share.

        A run that failed, or that another launch trains, is not asked for a second time.
        """
        record = self._known()
        table = self._table(record, registered=False)
        if table.is_raced and record is not None:
            self._record(table, record)
        missing = [
            (seed, place) for place, row in enumerate(table.rows) for seed in row.result.missing
        ]
        queue = []
        for seed, place in sorted(missing):
            config = resolved(self._named[place], seed)
            if config.config_hash() not in self._tried:
                self._tried.add(config.config_hash())
                label = f"{self._named[place].name}, seed {seed}"
                queue.append(QueuedRun(label=label, config=config))
        if table.is_raced:
            said = [
                f"{row.name} {row.verdict}" for row in table.rows if row.name != table.reference
            ]
            say_event(f"{'; '.join(said)}: {count(len(queue), 'run')} more")
        return queue

    def table(self, *, registered: bool = False) -> BenchmarkTable:
        """What there is, and in a race what is still wanted of the seeds that there may be.

        Args:
            registered: Whether to read what was registered, too.
        """
        return self._table(self._known(), registered=registered)

    def _known(self) -> BenchmarkRecord | None:
        return load_benchmark(self._store, self._request.name, self._data.fingerprint)

    def _table(self, record: BenchmarkRecord | None, *, registered: bool) -> BenchmarkTable:
        table = self._table_of(self._results(self._configs), record, registered=registered)
        if not table.is_raced:
            return table
        wanted = wanted_seeds(table, self._configs[0].seeds)
        asked = [_on(config, wanted[config.name]) for config in self._configs]
        return self._table_of(self._results(asked), record, registered=registered)

    def _results(self, configs: Sequence[BenchmarkConfig]) -> list[ConfigResult]:
        return collect(self._store, configs, fingerprint=self._data.fingerprint)

    def _table_of(
        self, results: Sequence[ConfigResult], record: BenchmarkRecord | None, *, registered: bool
    ) -> BenchmarkTable:
        options = self._request.options
        was_raced = record is not None and record.max_seeds is not None
        return benchmark_table(
            results,
            type(self._named[0].config).measured,
            reference=options.reference,
            title=self._request.title,
            margin=options.margin if record is None else record.margin,
            is_raced=self._request.is_raced or was_raced,
            registered=read_registered(self._store, record)
            if registered and record is not None
            else None,
        )

    def _record(self, table: BenchmarkTable, record: BenchmarkRecord) -> None:
        """Record which seeds each config was asked for so far: the others are not missing."""
        asked = {row.name: {*row.result.seeds, *row.result.missing} for row in table.rows}
        configs = tuple(_on(each, asked[each.name]) for each in self._configs)
        seeds = {seed for config in configs for seed in config.seeds}
        save_benchmark(self._store, replace(record, configs=configs, n_seeds=len(seeds)))


def _on(config: BenchmarkConfig, seeds: Collection[int]) -> BenchmarkConfig:
    """The config on some of its seeds alone."""
    hashes = {seed: each for seed, each in config.by_seed.items() if seed in seeds}
    return replace(config, seeds=tuple(hashes), config_hashes=tuple(hashes.values()))


def wanted_seeds(table: BenchmarkTable, seeds: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """The seeds that each config is to have by now; once all have them, one may ask again.

    The first look is at the fewest seeds that could show anything. From then on every config
    without an answer, and the reference with it, gets one seed more at a time, those that have
    fewest first. It depends on nothing but what there is, so that a race that was cut short goes on
    as if it had not been. A seed on which either failed counts as tried.

    Args:
        table: What there is so far, compared as a race.
        seeds: All that there may be, in the order in which they are added.

    Returns:
        Config -> seeds in that order: what it has and what it lacks.
    """
    tried = {row.name: row.result.seeds.keys() | row.result.failed.keys() for row in table.rows}
    undecided = [
        row.name
        for row in table.rows
        if row.name != table.reference
        and (row.comparison is None or row.comparison.answer == "undecided")
    ]
    front: set[int] = set()
    if undecided:
        n_tried = [
            next((n for n, seed in enumerate(seeds) if seed not in both), len(seeds))
            for name in undecided
            for both in [tried[name] & tried[table.reference]]
        ]
        n_at_first = seeds_needed(len(table.rows), margin=table.margin)
        front = {*seeds[: max(n_at_first, min(n_tried) + 1)]}
    going_on = {table.reference, *undecided}
    return {
        name: tuple(seed for seed in seeds if seed in had or (name in going_on and seed in front))
        for name, had in tried.items()
    }
