"""What a benchmark writes down before it reads a test sample, its seeds among it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from search.benchmark.configs import benchmark_configs
from search.benchmark.request import Request
from search.runs.provenance import collect_provenance
from space import NamedConfig
from space.config import BENCHMARK_SEEDS, SEED_KEYS
from space.errors import UsageError
from space.words import number
from storage import BenchmarkRecord, Registration, Store
from storage.benchmarks import load_benchmarks, save_benchmark
from storage.tables import schema
from trainables.contract.run_data import RunData

__all__ = ["asked_seeds", "register"]


def asked_seeds(store: Store, request: Request, known: BenchmarkRecord | None) -> tuple[int, ...]:
    """The seeds that the command asks for.

    Args:
        store: The store.
        request: What was asked for. Fresh seeds are those that the benchmark was given before, and
            so many more that no run of the store was trained on and no benchmark has registered.
        known: The benchmark, if the store has it.

    Raises:
        UsageError: If so many fresh seeds are not left.
    """
    n = request.n_seeds if known is None else max(request.n_seeds, known.max_seeds or 0)
    if not request.options.fresh_seeds:
        return tuple(range(n))
    own = () if known is None else _planned(known)
    used = _used_seeds(store)
    free = [seed for seed in BENCHMARK_SEEDS if seed not in used]
    if len(free) < n - len(own):
        raise UsageError(
            f"--fresh-seeds: {n - len(own)} are asked for, and {len(free)} of "
            f"{len(BENCHMARK_SEEDS)} are left in this store; ask for fewer with --seeds, or take "
            "another store."
        )
    return (*own, *free)[:n]


def _planned(known: BenchmarkRecord) -> tuple[int, ...]:
    """The seeds of a benchmark: a race has not begun all that were registered."""
    steps = known.registrations
    return tuple(sorted({*known.seeds, *(steps[-1].seeds if steps else ())}))


def _used_seeds(store: Store) -> set[int]:
    """Every seed of a run of the store, for whatever, and every seed that is registered."""
    config = schema.runs.c.config
    used: set[int] = set()
    for key in SEED_KEYS:
        # As text, since a search's may be larger than a database's integers.
        query = sa.select(config[tuple(key.split("."))].as_string().label("seed")).distinct()
        used |= {int(row["seed"]) for row in store.rows(query) if row["seed"] is not None}
    for record in load_benchmarks(store):
        used |= {seed for step in record.registrations for seed in step.seeds}
        used |= set(record.seeds)
    return used


def register(
    store: Store,
    request: Request,
    configs: Sequence[NamedConfig],
    seeds: Iterable[int],
    data: RunData,
    known: BenchmarkRecord | None,
) -> None:
    """Record what the benchmark compares: all configs of its files, all seeds asked for so far.

    Raises:
        UsageError: If it was registered with another margin, or as a race and is asked for as none.
    """
    was_raced = known is not None and known.max_seeds is not None
    if was_raced and not request.is_raced:
        raise UsageError(
            f"benchmark '{request.name}' was registered to go on until its verdicts are decided; "
            "add --until-decided, or benchmark a file of another name."
        )
    margin = request.options.margin
    if known is not None and known.registrations and margin not in (None, known.margin):
        had = "none" if known.margin is None else number(known.margin)
        raise UsageError(
            f"--margin {number(margin)}: benchmark '{request.name}' was registered with {had}, "
            "before its results were known; leave it out, or benchmark a file of another name."
        )
    every = sorted({*(() if known is None else _planned(known)), *seeds})
    complete = tuple(benchmark_configs(configs, every))
    measured = type(configs[0].config).measured
    reference = request.options.reference or configs[0].name
    code = collect_provenance()
    save_benchmark(
        store,
        BenchmarkRecord(
            name=request.name,
            data_source=data.source,
            data_fingerprint=data.fingerprint,
            title=request.title,
            reference=reference,
            n_seeds=len(every),
            measured=measured,
            configs=complete,
        ),
        Registration(
            configs={config.name: config.config_hashes for config in complete},
            seeds=tuple(every),
            reference=reference,
            metric=measured.judged_by.name,
            margin=margin if known is None or not known.registrations else known.margin,
            max_seeds=len(every) if request.is_raced else None,
            git_commit=code.git_commit,
            git_dirty=code.git_dirty,
            versions=code.versions,
        ),
    )
