"""Which benchmarks a store holds: what was compared with what, and what that is called."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from storage.store import Store
from storage.tables import schema
from storage.tables.clock import StoreNow
from storage.tables.records import BenchmarkConfig, BenchmarkRecord, Registration

if TYPE_CHECKING:
    from space import Override

__all__ = [
    "benchmark_name",
    "config_changes",
    "ends_with_changes",
    "load_benchmark",
    "load_benchmarks",
    "save_benchmark",
]

LONGEST_NAME = 255
FRESH = "--fresh-seeds"


def save_benchmark(
    store: Store, benchmark: BenchmarkRecord, plan: Registration | None = None
) -> int:
    """Record what a benchmark compares.

    Args:
        store: The store.
        benchmark: The benchmark; what the store has under its name and data is replaced, but for
            what was registered.
        plan: Registered beside what was registered before, if it says anything that is new.

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
        query = sa.select(table.c.benchmark_id, table.c.registrations).where(same)
        found = connection.execute(query).one_or_none()
        steps = [] if found is None else list(found.registrations)
        if plan is not None and _adds(plan, [_step(each) for each in steps]):
            now = connection.execute(sa.select(StoreNow())).scalar_one()
            steps.append({**vars(plan), "registered_at": now.isoformat()})
        everything = {**values, "registrations": steps}
        if found is None:
            done = connection.execute(table.insert().values(everything))
            return int(done.inserted_primary_key[0])  # type: ignore[index]
        own = table.c.benchmark_id == found.benchmark_id
        connection.execute(table.update().where(own).values(everything))
        return int(found.benchmark_id)

    return store.transaction(save)


def load_benchmarks(store: Store) -> list[BenchmarkRecord]:
    """The benchmarks of a store, in the order they were first asked for.

    Raises:
        StorageError: If the store cannot be read.
    """
    query = sa.select(schema.benchmarks).order_by(schema.benchmarks.c.benchmark_id)
    return [_record(row) for row in store.rows(query)]


def load_benchmark(store: Store, name: str, fingerprint: str) -> BenchmarkRecord | None:
    """The benchmark of a name on the data of a fingerprint; None where there is none.

    Raises:
        StorageError: If the store cannot be read.
    """
    table = schema.benchmarks
    same = (table.c.name == name) & (table.c.data_fingerprint == fingerprint)
    return next(map(_record, store.rows(sa.select(table).where(same))), None)


def _record(row: Mapping[str, Any]) -> BenchmarkRecord:
    return BenchmarkRecord(
        **{
            **row,
            "configs": tuple(_from_json(each) for each in row["configs"]),
            "registrations": tuple(_step(each) for each in row["registrations"]),
        }
    )


def _adds(plan: Registration, steps: list[Registration]) -> bool:
    """Whether a plan says anything that is not registered yet."""
    known = frozenset().union(*(step.hashes for step in steps))
    return (
        not steps
        or not plan.hashes <= known
        or (plan.reference, plan.max_seeds) != (steps[-1].reference, steps[-1].max_seeds)
    )


def _step(values: dict[str, Any]) -> Registration:
    return Registration(
        **{
            **values,
            "registered_at": datetime.datetime.fromisoformat(values["registered_at"]),
            "configs": {name: tuple(hashes) for name, hashes in values["configs"].items()},
            "seeds": tuple(values["seeds"]),
        }
    )


def _as_json(config: BenchmarkConfig) -> dict[str, Any]:
    reported = config.reported
    return {
        **vars(config),
        "config": config.config.model_dump(mode="json"),
        "reported": None if reported is None else reported.model_dump(mode="json"),
    }


def _from_json(values: dict[str, Any]) -> BenchmarkConfig:
    from space import Reported
    from space.config import RecordedConfig

    reported = values["reported"]
    return BenchmarkConfig(
        name=values["name"],
        config=RecordedConfig.model_validate(values["config"]),
        config_hashes=tuple(values["config_hashes"]),
        n_parameters=values["n_parameters"],
        reported=None if reported is None else Reported.model_validate(reported),
        seeds=tuple(values.get("seeds", ())),
    )


def config_changes(settings: Iterable[str], *, epochs: int | None, augment: bool) -> list[Override]:
    """What a benchmark's command changes in every config.

    Args:
        settings: The arguments of its ``--set``.
        epochs: That of ``--epochs``, if given.
        augment: Whether ``--augment`` is.

    Returns:
        The changes, the later of two for one key prevailing.

    Raises:
        SpaceError: If a setting is not ``KEY=VALUE``.
    """
    from space import Override, parse_override

    changes = [parse_override(text) for text in settings]
    if epochs is not None:
        label = f"--epochs {epochs}"
        changes.append(Override(key="training.epochs", value=epochs, label=label))
    if augment:
        changes.append(Override(key="data.augment", value=True, label="--augment"))
    return changes


def benchmark_name(
    files: Iterable[str], changes: Iterable[Override], *, fresh: bool = False
) -> str:
    """The name of a benchmark.

    Args:
        files: What its config files are called.
        changes: What is changed in them.
        fresh: Whether it is on seeds that no run had been trained on.
    """
    more = [FRESH] if fresh else []
    name = " ".join([" + ".join(files), *(change.label for change in changes), *more])
    return name[:LONGEST_NAME]


def ends_with_changes(name: str, changes: Iterable[Override]) -> bool:
    """Whether a benchmark of this name has these changes, and no others, whatever its files."""
    return name == benchmark_name([name.partition(" --")[0]], changes)
