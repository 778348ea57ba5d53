"""Removing a study or a benchmark from a store, with all that is its own and nothing else's.

A study's trials, runs and launches are its own. A run of a benchmark is known by its config, seed
and data, and every benchmark that lists those counts it: it goes with the last of them. A launch
goes once no run and no epoch is left that it trained. Nothing that a living launch works on goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from space.errors import StorageError
from storage.benchmarks import load_benchmarks
from storage.leases import is_alive
from storage.store import Store
from storage.summaries.benchmark import glance_at_benchmarks, says_it_is_of
from storage.tables import schema
from storage.tables.optuna_models import OF_STUDY, OF_TRIAL, STUDIES, TRIALS
from storage.tables.parts import in_parts
from storage.tables.records import BenchmarkRecord, LaunchRecord

__all__ = [
    "Removal",
    "benchmark_removal",
    "delete_study",
    "study_removal",
]


@dataclass(frozen=True, kw_only=True)
class Removal:
    """What removing something takes away; nothing has been done yet.

    Attributes:
        label: What is removed, in words.
        n_trials: Trials that go with it.
        n_runs: Runs that go with it.
        n_epochs: Their epochs.
        n_launches: Launches that go with it.
        n_shared: Runs of it that stay, since other benchmarks count them.
        carry_out: Does it, in one transaction.

            Raises:
                StorageError: If a launch works on it, or the database fails.
    """

    label: str
    n_trials: int
    n_runs: int
    n_epochs: int
    n_launches: int
    n_shared: int
    carry_out: Callable[[], None]


def study_removal(store: Store, study_id: int, name: str) -> Removal:
    """What removing a study takes away.

    Args:
        store: The store.
        study_id: The study.
        name: What it is called.

    Raises:
        StorageError: If a launch works on it, or the database fails.
    """
    label = f"study '{name}'"
    _refuse_living(store, label, store.launches(study_id))

    def carry_out() -> None:
        with store.locked(study_id):
            _refuse_living(store, label, store.launches(study_id))
            store.transaction(lambda connection: delete_study(connection, study_id))

    runs = store.runs(study_id)
    return Removal(
        label=label,
        n_trials=store.optuna_storage.get_n_trials(study_id),
        n_runs=len(runs),
        n_epochs=sum(run.n_epochs for run in runs),
        n_launches=len(store.launches(study_id)),
        n_shared=0,
        carry_out=carry_out,
    )


def delete_study(connection: sa.Connection, study_id: int) -> None:
    """Delete a study's rows from every table of Optuna's; the database deletes ours with them."""
    trials = sa.select(TRIALS.c.trial_id).where(TRIALS.c.study_id == study_id)
    for table in OF_TRIAL:
        connection.execute(sa.delete(table).where(table.c.trial_id.in_(trials)))
    for table in (TRIALS, *OF_STUDY, STUDIES):
        connection.execute(sa.delete(table).where(table.c.study_id == study_id))


def benchmark_removal(store: Store, record: BenchmarkRecord) -> Removal:
    """What removing a benchmark takes away.

    Args:
        store: The store.
        record: The benchmark, as the store has it.

    Raises:
        StorageError: If a launch works on it, or the database fails.
    """
    own = _own_rows(store, record)

    def carry_out() -> None:
        # No launch begins a run of a benchmark meanwhile.
        with store.locked(None):
            own = _own_rows(store, record)
            store.transaction(lambda connection: _delete_benchmark(connection, record, own))

    return Removal(
        label=_label(record),
        n_trials=0,
        n_runs=len(own.runs),
        n_epochs=sum(own.runs.values()),
        n_launches=len(own.launches),
        n_shared=own.n_shared,
        carry_out=carry_out,
    )


@dataclass(frozen=True, kw_only=True)
class _Own:
    """What belongs to one benchmark: runs -> their epochs, launches, runs that others share."""

    runs: dict[int, int]
    launches: list[int]
    n_shared: int


def _own_rows(store: Store, record: BenchmarkRecord) -> _Own:
    """Read what belongs to a benchmark alone.

    Raises:
        StorageError: If a launch works on it, or the database fails.
    """
    for glance in glance_at_benchmarks(store):
        if glance.record.benchmark_id == record.benchmark_id:
            _refuse_living(store, _label(record), glance.launches)
    runs, results, launches = schema.runs, schema.results, schema.launches
    # A run that has not ended is of its launch's data.
    data = sa.func.coalesce(results.c.data_fingerprint, launches.c.data_fingerprint)
    query = (
        sa.select(runs.c.run_id, runs.c.n_epochs, runs.c.config_hash, data.label("data"))
        .outerjoin(results, results.c.run_id == runs.c.run_id)
        .outerjoin(launches, launches.c.launch_id == runs.c.launch_id)
        .where(runs.c.purpose == "benchmark")
    )
    listed = _listed(record)
    of_others: set[tuple[str, str]] = set()
    for other in load_benchmarks(store):
        if other.benchmark_id != record.benchmark_id:
            of_others |= _listed(other)
    counted = [row for row in store.rows(query) if (row["config_hash"], row["data"]) in listed]
    own = {
        row["run_id"]: row["n_epochs"]
        for row in counted
        if (row["config_hash"], row["data"]) not in of_others
    }
    return _Own(
        runs=own,
        launches=_own_launches(store, record, own),
        n_shared=len(counted) - len(own),
    )


def _listed(record: BenchmarkRecord) -> set[tuple[str, str]]:
    """What tells the runs of a benchmark: the hashes of their configs, and the data."""
    return {
        (config_hash, record.data_fingerprint)
        for config in record.configs
        for config_hash in config.config_hashes
    }


def _own_launches(store: Store, record: BenchmarkRecord, runs: Iterable[int]) -> list[int]:
    """The launches that would have trained nothing of what is left without these runs."""
    gone = set(runs)
    of_run, of_epoch = schema.runs.c, schema.epochs.c
    trained: dict[int, set[int]] = {}
    for query in (
        sa.select(of_run.launch_id, of_run.run_id).where(of_run.purpose == "benchmark"),
        sa.select(of_epoch.launch_id, of_epoch.run_id)
        .join(schema.runs, of_run.run_id == of_epoch.run_id)
        .where(of_run.purpose == "benchmark")
        .distinct(),
    ):
        for row in store.rows(query):
            trained.setdefault(row["launch_id"], set()).add(row["run_id"])
    return [
        launch.launch_id
        for launch in store.launches()
        if launch.study_id is None
        and (launch.launch_id in trained or says_it_is_of(launch, record))
        and trained.get(launch.launch_id, set()) <= gone
        and not is_alive(launch)
    ]


def _delete_benchmark(connection: sa.Connection, record: BenchmarkRecord, own: _Own) -> None:
    for part in in_parts(own.runs):
        connection.execute(sa.delete(schema.runs).where(schema.runs.c.run_id.in_(part)))
    for part in in_parts(own.launches):
        launches = schema.launches
        connection.execute(sa.delete(launches).where(launches.c.launch_id.in_(part)))
    benchmarks = schema.benchmarks
    of_record = benchmarks.c.benchmark_id == record.benchmark_id
    connection.execute(sa.delete(benchmarks).where(of_record))


def _label(record: BenchmarkRecord) -> str:
    return f"benchmark '{record.name}' on {record.data_source} {record.data_fingerprint}"


def _refuse_living(store: Store, label: str, launches: Iterable[LaunchRecord]) -> None:
    for launch in launches:
        if is_alive(launch):
            raise StorageError(
                f"storage {store.name}: launch {launch.launch_id} works on {label} now (process "
                f"{launch.pid} on {launch.host}); stop it with Ctrl-C first, then remove again."
            )
