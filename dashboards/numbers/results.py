"""Benchmark results as they lie in the store, by config and seed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from dashboards.numbers.origins import Origin, read_origin
from space import Reported, RunConfig
from storage import BenchmarkConfig, ResultRecord, RunRecord, Store

__all__ = ["ConfigResult", "SeedResult", "collect", "usual_fingerprint"]


@dataclass(frozen=True, kw_only=True)
class SeedResult:
    """One finished benchmark run.

    Attributes:
        seed: Fixes data draw, split, initialisation and order.
        run: The run in the store: its config, curves (by `run_id`), seconds and launch.
        result: The metrics of the state it kept.
    """

    seed: int
    run: RunRecord
    result: ResultRecord


@dataclass(frozen=True, kw_only=True)
class ConfigResult:
    """What is known of one config.

    Attributes:
        name: What tables call it.
        config: The config, complete but for its seeds.
        n_parameters: Trainable parameters.
        reported: What a publication reports for it, if anything.
        seeds: Seed -> finished run, of the seeds asked for.
        missing: The seeds asked for that no run has finished.
        failed: Those of them whose latest run failed -> why.
        origin: Where its settings came from; None where a publication gives them, and where it has
            not been trained yet.
    """

    name: str
    config: RunConfig
    n_parameters: int
    reported: Reported | None
    seeds: dict[int, SeedResult]
    missing: tuple[int, ...]
    failed: dict[int, str]
    origin: Origin | None

    def by_seed(self, metric: str) -> dict[int, float]:
        """Seed -> a metric of the state that was kept, of the finished runs."""
        return {seed: found.result[metric] for seed, found in self.seeds.items()}

    def by_selection(self, metric: str) -> tuple[dict[int, float], dict[int, float]]:
        """A metric of both states that a run has.

        Args:
            metric: Its name.

        Returns:
            Seed -> the state's that is kept by metric, and the same of that which is kept by loss,
            of the finished runs of which both are known.
        """
        both = {
            seed: (found.result[metric], found.result.other[metric])
            for seed, found in self.seeds.items()
            if metric in found.result.other and math.isfinite(found.result[metric])
        }
        own, other = ({seed: values[place] for seed, values in both.items()} for place in (0, 1))
        return (other, own) if self.config.selection == "loss" else (own, other)


def usual_fingerprint(store: Store, configs: Sequence[BenchmarkConfig]) -> str | None:
    """The data that most of the results of some configs are of.

    Args:
        store: The store.
        configs: The configs.

    Returns:
        The fingerprint, the smallest of several that are as frequent; None without results.
    """
    hashes = {config_hash for config in configs for config_hash in config.config_hashes}
    counts = Counter(result.data_fingerprint for _, result in store.results(sorted(hashes)))
    return min(counts, key=lambda found: (-counts[found], found), default=None)


def collect(
    store: Store, configs: Sequence[BenchmarkConfig], *, fingerprint: str | None = None
) -> list[ConfigResult]:
    """Read the results of some configs over the seeds that they have hashes of.

    Args:
        store: The store.
        configs: The configs.
        fingerprint: Of the data; runs on other data are not counted. Default: that of most results.

    Returns:
        One result a config, in order. Of several runs of one config and seed the first counts.
    """
    if fingerprint is None:
        fingerprint = usual_fingerprint(store, configs)
    failures = _failures(store, fingerprint)
    found = []
    for config in configs:
        seeds = {config_hash: seed for seed, config_hash in config.by_seed.items()}
        done: dict[int, SeedResult] = {}
        for run, result in store.results(seeds):
            seed = seeds[run.config_hash]
            if seed not in done and result.data_fingerprint == fingerprint:
                done[seed] = SeedResult(seed=seed, run=run, result=result)
        missing = {config_hash: seed for config_hash, seed in seeds.items() if seed not in done}
        found.append(
            ConfigResult(
                name=config.name,
                config=config.config,
                n_parameters=config.n_parameters,
                reported=config.reported,
                seeds=dict(sorted(done.items())),
                missing=tuple(missing.values()),
                failed={
                    seed: failures[config_hash]
                    for config_hash, seed in missing.items()
                    if config_hash in failures
                },
                origin=None
                if config.reported is not None
                else read_origin(store, config.config, seeds=config.seeds, fingerprint=fingerprint),
            )
        )
    return found


def _failures(store: Store, fingerprint: str | None) -> dict[str, str]:
    """Config hash -> why its latest benchmark run on some data failed, of those that did."""
    if not store.runs(purpose="benchmark", state="failed"):
        return {}
    data = {launch.launch_id: launch.data_fingerprint for launch in store.launches()}
    latest = {
        run.config_hash: run
        for run in store.runs(purpose="benchmark")
        if fingerprint in (None, data[run.launch_id])
    }
    return {
        config_hash: run.reason or "no reason is known"
        for config_hash, run in latest.items()
        if run.state == "failed"
    }
