"""Benchmark results as they lie in the store, by config and seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from space import NamedConfig, Reported, RunConfig
from storage import ResultRecord, RunRecord, Store
from trainables.closed_form import CLOSED_FORM
from trainables.models.registry import model_class
from trainables.resolve import resolve_config
from trainables.runs import count_parameters

__all__ = ["ConfigResult", "SeedResult", "collect", "resolved", "usual_fingerprint"]


@dataclass(frozen=True, kw_only=True)
class SeedResult:
    """One finished benchmark run.

    Attributes:
        seed: Fixes data draw, split, initialisation and order.
        run: The run in the store: its config, curves (by `run_id`), seconds and launch.
        result: The errors of the state it kept.
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
        has_aux: Whether the network has auxiliary heads.
        reported: What a publication reports for it, if anything.
        seeds: Seed -> finished run, of the seeds asked for.
        missing: The seeds asked for that no run has finished.
    """

    name: str
    config: RunConfig
    n_parameters: int
    has_aux: bool
    reported: Reported | None
    seeds: dict[int, SeedResult]
    missing: tuple[int, ...]


def resolved(named: NamedConfig, seed: int) -> RunConfig:
    """The complete config of one benchmark run."""
    return resolve_config(named.with_seed(seed))


def usual_fingerprint(
    store: Store, configs: Sequence[NamedConfig], seeds: Sequence[int]
) -> str | None:
    """The data that most of the results of some configs over some seeds are of.

    Args:
        store: The store.
        configs: The configs, their data source settled.
        seeds: The seeds asked for.

    Returns:
        The fingerprint, the smallest of several that are as frequent; None without results.
    """
    hashes = {resolved(named, seed).config_hash() for named in configs for seed in seeds}
    counts = Counter(result.data_fingerprint for _, result in store.results(sorted(hashes)))
    return min(counts, key=lambda found: (-counts[found], found), default=None)


def collect(
    store: Store,
    configs: Sequence[NamedConfig],
    seeds: Sequence[int],
    *,
    fingerprint: str | None = None,
) -> list[ConfigResult]:
    """Read the results of some configs over some seeds.

    Args:
        store: The store.
        configs: The configs, their data source settled.
        seeds: The seeds asked for.
        fingerprint: Of the data; runs on other data are not counted. Default: that of most results.

    Returns:
        One result a config, in order. Of several runs of one config and seed the first counts.
    """
    if fingerprint is None:
        fingerprint = usual_fingerprint(store, configs, seeds)
    found = []
    for named in configs:
        hashes = {resolved(named, seed).config_hash(): seed for seed in seeds}
        done: dict[int, SeedResult] = {}
        for run, result in store.results(hashes):
            seed = hashes[run.config_hash]
            if seed not in done and result.data_fingerprint == fingerprint:
                done[seed] = SeedResult(seed=seed, run=run, result=result)
        config = resolved(named, 0)
        is_closed_form = config.model.name == CLOSED_FORM
        found.append(
            ConfigResult(
                name=named.name,
                config=config,
                n_parameters=count_parameters(config.model),
                has_aux=is_closed_form or model_class(config.model.name).has_aux,
                reported=named.reported,
                seeds=dict(sorted(done.items())),
                missing=tuple(seed for seed in seeds if seed not in done),
            )
        )
    return found
