"""A benchmark as an object: run, and looked at."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dashboards.numbers.benchmark import BenchmarkView, find_benchmark, read_benchmark
from dashboards.numbers.tables import BenchmarkTable
from dashboards.pages.benchmark_page import benchmark_document
from dashboards.pages.documents import Document
from dashboards.tables.formats import render
from search.api.arguments import Callbacks, Paths, Settings, options_of
from search.api.frames import frame
from search.api.notebook import Shown, quiet
from search.benchmark.__main__ import main as benchmark_command
from search.benchmark.request import read_request
from search.benchmark.run import benchmark as run_benchmark
from space.terminal.layout import Paper
from storage.commands.kit import default_storage, opened
from storage.connect.engine import parse_url, redact

__all__ = ["Benchmark", "benchmark"]


class Benchmark(Shown):
    """A benchmark in a store. Whatever is asked of it is read anew.

    Attributes:
        name: Its name.
        storage: Its store's name, without a password.
        ended: How the call that returned it ended: "done", "time limit" or "interrupted".
    """

    def __init__(self, name: str, data: str, storage: str | None, *, ended: str) -> None:
        """
        Args:
            name: Its name.
            data: The fingerprint of its data.
            storage: Its store's URL.
            ended: See the class.
        """
        self.name = name
        self._data = data
        self._url = default_storage(storage)
        self.storage = redact(parse_url(self._url))
        self.ended = ended

    @property
    def view(self) -> BenchmarkView:
        """All that pages and reports show of it, as numbers."""
        with opened(self._url) as store:
            return read_benchmark(store, find_benchmark(store, f"{self.name}@{self._data}"))

    @property
    def table(self) -> BenchmarkTable:
        """A row a config: its runs, means and verdict."""
        return self.view.table

    def runs(self) -> Any:
        """A row a finished run: config, seed, each metric of the kept state, epochs, seconds.

        Returns:
            A pandas DataFrame, where pandas is installed; else a list of dictionaries.
        """
        rows = [
            {
                "config": row.name,
                "seed": seed,
                **found.result.metrics,
                "epochs": found.run.n_epochs,
                "seconds": found.run.train_seconds,
            }
            for row in self.table.rows
            for seed, found in row.result.seeds.items()
        ]
        return frame(rows)

    def text(self, output_format: str = "text") -> str:
        """Its table: "text", "markdown", "latex", "csv" or "json"."""
        return render(self.table, output_format, Paper(width=None))

    def __repr__(self) -> str:
        """Its table as text."""
        return f"Benchmark '{self.name}' in {self.storage}\n{self.text()}"

    def _document(self) -> Document:
        """See `Shown._document`."""
        with opened(self._url) as store:
            record = find_benchmark(store, f"{self.name}@{self._data}")
            return benchmark_document(store, record, is_served=False)


def benchmark(
    config: Paths,
    *,
    seeds: int | None = None,
    until_decided: bool = False,
    max_seeds: int | None = None,
    fresh_seeds: bool = False,
    margin: float | None = None,
    only: str | Iterable[str] | None = None,
    reference: str | None = None,
    storage: str | None = None,
    epochs: int | None = None,
    augment: bool = False,
    set: Settings | None = None,
    time_limit: str | float | None = None,
    callbacks: Callbacks = (),
    cpus: float | None = None,
    gpus: float | str | None = None,
    strategy: str | None = None,
    processes: int | None = None,
    concurrency: int | None = None,
    ray_address: str | None = None,
    checkpoints: str | Path | None = None,
    keep_weights: bool = False,
    vary: bool | Iterable[str] = False,
    table_only: bool = False,
    verbose: bool = False,
) -> Benchmark:
    """Train configs on several seeds and compare them on the test split.

    As the command ``search benchmark``: the same call later trains only what is missing.

    Args:
        config: Config files, or the names of shipped ones.
        seeds: How many seeds, from 0; default: 10.
        until_decided: Add seeds instead, config by config, until it has a verdict.
        max_seeds: The most seeds of a config then; default: 30.
        fresh_seeds: As many that no run of the store was trained on instead.
        margin: Differences of the mean below it do not matter; see ``--margin``.
        only: Of their configs, these alone.
        reference: The config that others are compared with; default: the first.
        storage: As for `search.launch`.
        epochs: Epochs of every config; default: its own.
        augment: Augmentation for every config.
        set: Dotted path -> value, laid over every config.
        time_limit: When to stop, in seconds or as in ``"10m"``; default: never.
        callbacks: Who is told of the runs beside the store, as for `search.launch`.
        cpus: CPUs for a worker; default: 1.
        gpus: GPUs for a worker; default: what pays.
        strategy: ``"ddp"`` has several processes train each run; see ``--strategy``.
        processes: How many, without GPUs.
        concurrency: The most workers at once; default: as many as fit.
        ray_address: A Ray cluster to join.
        checkpoints: Where unfinished runs lie.
        keep_weights: Keep every run's weights, in ``benchmark/weights`` below the checkpoints.
        vary: Train as well runs that differ in one source of randomness alone, to see where the
            variance comes from: names as for ``--vary``, or True for the usual ones.
        table_only: Train nothing.
        verbose: Let the libraries' own messages through.

    Returns:
        The benchmark.

    Raises:
        UserError: What the user can mend.
    """
    options = options_of(
        benchmark_command,
        config=config,
        seeds=seeds,
        until_decided=until_decided,
        max_seeds=max_seeds,
        fresh_seeds=fresh_seeds,
        margin=margin,
        only=only,
        reference=reference,
        storage=storage,
        epochs=epochs,
        augment=augment,
        set=set,
        time_limit=f"{time_limit}s" if isinstance(time_limit, int | float) else time_limit,
        callbacks=callbacks,
        cpus=cpus,
        gpus=gpus,
        strategy=strategy,
        processes=processes,
        concurrency=concurrency,
        ray_address=ray_address,
        checkpoints=checkpoints,
        keep_weights=keep_weights,
        vary=vary,
        table_only=table_only,
        verbose=verbose,
    )
    request = read_request(options)
    with quiet(verbose=verbose):
        outcome = run_benchmark(request)
    return Benchmark(request.name, outcome.fingerprint, options.storage, ended=outcome.status)
