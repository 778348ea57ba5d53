"""Which benchmarks a store holds: what was compared with what, in which order."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from space import Reported
from space.config import RecordedConfig
from storage.store import Store
from storage.tables import schema
from storage.tables.records import BenchmarkConfig, BenchmarkRecord

__all__ = ["load_benchmarks", "save_benchmark"]


def save_benchmark(store: Store, benchmark: BenchmarkRecord) -> int:
    """Record what a benchmark compares.

    Args:
        store: The store.
        benchmark: The benchmark; what the store has under its name and data is replaced.

    Returns:
        Its number.

    Raises:
        StorageError: If the store cannot be written.
    """
    table = schema.benchmarks
    values = {
        "name": benchmark.name,
        "data_source": benchmark.data_source,
        "data_fingerprint": benchmark.data_fingerprint,
        "title": benchmark.title,
        "reference": benchmark.reference,
        "n_seeds": benchmark.n_seeds,
        "measured": benchmark.measured,
        "configs": [_as_json(config) for config in benchmark.configs],
        "updated_at": schema.utc_now(),
    }
    same = (table.c.name == benchmark.name) & (
        table.c.data_fingerprint == benchmark.data_fingerprint
    )

    def save(connection: sa.Connection) -> int:
        found = connection.execute(sa.select(table.c.benchmark_id).where(same)).scalar()
        if found is None:
            done = connection.execute(table.insert().values(values))
            return int(done.inserted_primary_key[0])  # type: ignore[index]
        connection.execute(table.update().where(table.c.benchmark_id == found).values(values))
        return int(found)

    return store.transaction(save)


def load_benchmarks(store: Store) -> list[BenchmarkRecord]:
    """The benchmarks of a store, in the order they were first asked for.

    Raises:
        StorageError: If the store cannot be read.
    """
    query = sa.select(schema.benchmarks).order_by(schema.benchmarks.c.benchmark_id)
    rows = store.rows(query)
    return [
        BenchmarkRecord(**{**row, "configs": tuple(_from_json(each) for each in row["configs"])})
        for row in rows
    ]


def _as_json(config: BenchmarkConfig) -> dict[str, Any]:
    reported = config.reported
    return {
        **vars(config),
        "config": config.config.model_dump(mode="json"),
        "reported": None if reported is None else reported.model_dump(mode="json"),
    }


def _from_json(values: dict[str, Any]) -> BenchmarkConfig:
    reported = values["reported"]
    return BenchmarkConfig(
        name=values["name"],
        config=RecordedConfig.model_validate(values["config"]),
        config_hashes=tuple(values["config_hashes"]),
        n_parameters=values["n_parameters"],
        reported=None if reported is None else Reported.model_validate(reported),
    )
