"""Where the variance of a config's results comes from: one source drawn anew, all else kept."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dashboards.numbers.results import ConfigResult
from dashboards.statistics.spreads import Spread, spread_of_blocks, spread_of_twos
from space.config import SEED_KEYS
from space.sources import SOURCES, partners, redrawn
from storage import BenchmarkConfig, BenchmarkRecord, Store

__all__ = ["VarianceSplit", "Varied", "read_variances", "varied", "varied_sources"]


@dataclass(frozen=True, kw_only=True)
class VarianceSplit:
    """What makes a config's runs differ.

    Attributes:
        total: The spread of runs that share no source.
        sources: Name of a source -> the spread where it alone is drawn anew.
        missing: Runs that this still lacks.
    """

    total: Spread
    sources: Mapping[str, Spread]
    missing: int

    def share(self, spread: Spread) -> float | None:
        """A spread's share of the variance over seeds; None where that is zero."""
        return spread.variance / self.total.variance if self.total.variance else None

    @property
    def left(self) -> float | None:
        """What the sources leave of the variance, as a share; below 0 where they act together."""
        if not self.total.variance:
            return None
        return 1 - sum(each.variance for each in self.sources.values()) / self.total.variance


@dataclass(frozen=True, kw_only=True)
class Varied:
    """A run on one seed but for one source, which is drawn from another.

    Attributes:
        source: The source.
        seed: The seed of all else.
        other: The seed that the source is drawn from.
        config_hash: `RunConfig.config_hash()` of the run.
    """

    source: str
    seed: int
    other: int
    config_hash: str


def varied(config: BenchmarkConfig, sources: Iterable[str]) -> list[Varied]:
    """The runs that tell what each source brings, beside those of the benchmark itself."""
    found = []
    for seed, other in partners(config.seeds).items():
        of_seed = config.config.with_values(dict.fromkeys(SEED_KEYS, seed))
        found += [
            Varied(
                source=source,
                seed=seed,
                other=other,
                config_hash=redrawn(of_seed, source, other).config_hash(),
            )
            for source in sources
        ]
    return found


def varied_sources(store: Store, record: BenchmarkRecord) -> tuple[str, ...]:
    """The sources that a launch of a benchmark was asked to vary."""
    asked = {
        source
        for launch in store.launches()
        if launch.config.get("benchmark") == record.name
        for source in launch.config.get("vary") or ()
    }
    return tuple(source for source in SOURCES if source in asked)


def read_variances(
    store: Store,
    configs: Sequence[BenchmarkConfig],
    results: Sequence[ConfigResult],
    sources: Sequence[str],
    *,
    metric: str,
    fingerprint: str,
) -> dict[str, VarianceSplit]:
    """What the store knows of where the variance of some configs comes from.

    Args:
        store: The store.
        configs: The configs.
        results: Their results.
        sources: The sources; with none, nothing is read.
        metric: What is measured.
        fingerprint: Of the data.

    Returns:
        Config -> its split; those of fewer than 3 seeds, or without any such run, are left out.
    """
    found = {}
    for config, result in zip(configs, results, strict=True) if sources else ():
        runs = varied(config, sources)
        values: dict[str, float] = {}
        for run, ended in store.results(sorted({each.config_hash for each in runs})):
            if ended.data_fingerprint == fingerprint and math.isfinite(ended[metric]):
                values.setdefault(run.config_hash, ended[metric])
        base = {s: v for s, v in result.by_seed(metric).items() if math.isfinite(v)}
        trade = partners(config.seeds)
        # Runs of two seeds that trade a source share something; those of other seeds do not.
        blocks: dict[int, list[float]] = {}
        for seed, value in base.items():
            blocks.setdefault(min(seed, trade.get(seed, seed)), []).append(value)
        spreads = {}
        for source in sources:
            beside = {
                each.seed: (base[each.seed], values[each.config_hash])
                for each in runs
                if each.source == source and each.seed in base and each.config_hash in values
            }
            for seed, (_, value) in beside.items():
                blocks[min(seed, trade[seed])].append(value)
            if beside:
                n_free = len({min(seed, trade[seed]) for seed in beside})
                spreads[source] = spread_of_twos(list(beside.values()), n_free)
        if spreads and len(blocks) > 1:
            found[config.name] = VarianceSplit(
                total=spread_of_blocks(list(blocks.values()), len(base)),
                sources=spreads,
                missing=len({each.config_hash for each in runs} - values.keys()),
            )
    return found
