"""Removing takes all that is a study's or a benchmark's own, and nothing else's."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
import sqlalchemy as sa
from optuna.storages._rdb import models

from space.errors import StorageError
from storage import BenchmarkRecord, Store, open_store
from storage.admin.check import check_store
from storage.admin.removal import benchmark_removal, study_removal
from storage.summaries.benchmark import glance_at_benchmarks
from storage.tables import schema
from tests.dashboards.made.bulk_study import add_study
from tests.dashboards.made.reported_benchmark import (
    FINGERPRINT,
    add_result,
    begin_launch,
    begin_run,
    benchmark_config,
    save,
)

OURS = (
    schema.studies,
    schema.launches,
    schema.runs,
    schema.epochs,
    schema.epoch_metrics,
    schema.results,
    schema.result_metrics,
    schema.benchmarks,
)
TABLES = (*OURS, *(table for table in models.BaseModel.metadata.sorted_tables))


def n_rows(store: Store, tables: tuple[sa.Table, ...] = TABLES) -> dict[str, int]:
    """Table -> rows."""
    with store.engine.connect() as connection:
        return {
            table.name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar()
            for table in tables
        }


def findings(store: Store) -> set[str]:
    """What the store's check finds; the made runs' best epochs are not those of their metrics."""
    every = {f"{each.table} {each.key}: {each.what}" for each in check_store(store).findings}
    return {each for each in every if "is its best" not in each}


def two_that_share(store: Store) -> tuple[BenchmarkRecord, BenchmarkRecord]:
    """Of MLP and ResNet, and of ResNet and ConvNet; three launches, the second for both."""
    mlp, resnet, convnet = (benchmark_config(each, each) for each in ("mlp", "resnet", "convnet"))
    for trained in ([mlp], [mlp, resnet], [convnet]):
        launch_id = begin_launch(store)
        for config in trained:
            for seed in (0, 1) if len(trained) == 1 else (2,):
                add_result(store, launch_id, config, seed, 0.3)
        store.end_launch(launch_id, "done")
    return (
        save(store, [mlp, resnet], name="first"),
        save(store, [resnet, convnet], name="second"),
    )


def test_runs_that_another_benchmark_counts_stay_until_the_last_is_removed(store: Store) -> None:
    first, second = two_that_share(store)
    _, before = glance_at_benchmarks(store)
    removal = benchmark_removal(store, first)
    assert (removal.n_runs, removal.n_epochs, removal.n_launches) == (3, 9, 1)
    assert (removal.n_shared, removal.n_trials) == (1, 0)
    assert len(store.runs()) == 6  # Nothing yet.
    removal.carry_out()
    (glance,) = glance_at_benchmarks(store)
    assert glance.record == second
    assert glance.values == before.values
    assert [run.config["model"]["name"] for run in store.runs()] == ["resnet", "convnet", "convnet"]
    assert [launch.launch_id for launch in store.launches()] == [2, 3]
    assert findings(store) == set()
    removal = benchmark_removal(store, second)
    assert (removal.n_runs, removal.n_launches, removal.n_shared) == (3, 2, 0)
    removal.carry_out()
    assert not any(n_rows(store, OURS).values())
    assert findings(store) == set()


def test_runs_on_other_data_are_another_benchmarks(store: Store) -> None:
    config = benchmark_config("mlp")
    records = []
    for fingerprint in (FINGERPRINT, "e" * 16):
        launch_id = begin_launch(store, data_fingerprint=fingerprint)
        add_result(store, launch_id, config, 0, 0.3, fingerprint=fingerprint)
        # One that has not ended is of its launch's data.
        run_id = begin_run(store, launch_id, config, 1, n_epochs=1).run_id
        store.end_run(run_id, "failed", "x")
        store.end_launch(launch_id, "interrupted")
        records.append(save(store, [config], data_fingerprint=fingerprint))
    removal = benchmark_removal(store, records[0])
    assert (removal.n_runs, removal.n_epochs, removal.n_shared) == (2, 4, 0)
    removal.carry_out()
    assert [run.launch_id for run in store.runs()] == [2, 2]
    assert [launch.launch_id for launch in store.launches()] == [2]
    assert findings(store) == set()


def test_a_launch_stays_that_trained_an_epoch_of_what_stays(store: Store) -> None:
    mine, others = benchmark_config("mlp"), benchmark_config("convnet", "convnet")
    first, second = begin_launch(store), begin_launch(store)
    add_result(store, first, mine, 0, 0.3)
    run_id = begin_run(store, first, others, 0).run_id
    store.end_run(run_id, "interrupted")
    assert begin_run(store, second, others, 0, n_epochs=0).run_id == run_id
    store.end_run(run_id, "interrupted")
    for launch_id in (first, second):
        store.end_launch(launch_id, "interrupted")
    record = save(store, [mine])
    benchmark_removal(store, record).carry_out()
    assert [launch.launch_id for launch in store.launches()] == [first, second]
    assert findings(store) == set()


@pytest.mark.parametrize("has_run", [False, True])
def test_a_benchmark_that_a_launch_works_on_is_not_removed(store: Store, has_run: bool) -> None:
    config = benchmark_config("mlp")
    record = save(store, [config])
    removal = benchmark_removal(store, record)
    begun = n_rows(store)
    launch_id = begin_launch(store, config={} if has_run else {"benchmark": record.name})
    if has_run:
        begin_run(store, launch_id, config, 0)
    said = f"launch {launch_id} works on benchmark 'table1' on mnist {FINGERPRINT} now"
    for attempt in (removal.carry_out, lambda: benchmark_removal(store, record)):
        with pytest.raises(StorageError, match=said):
            attempt()
    assert n_rows(store)["search_benchmarks"] == begun["search_benchmarks"] == 1
    store.end_launch(launch_id, "interrupted")
    benchmark_removal(store, record).carry_out()
    assert not any(n_rows(store, OURS).values())


def test_a_study_goes_with_all_its_rows_and_no_others(store: Store) -> None:
    two_that_share(store)
    add_study(store, "kept", 12, confirmed=True)
    before = n_rows(store)
    add_study(store, "gone", 20, confirmed=True)
    study_id = store.study_id("gone")
    removal = study_removal(store, study_id, "gone")
    assert removal.n_trials == 20
    assert removal.n_runs == len(store.runs(study_id))
    assert removal.n_launches == 2
    removal.carry_out()
    assert n_rows(store) == before
    assert findings(store) == set()


def test_a_study_that_a_launch_works_on_is_not_removed(store: Store) -> None:
    add_study(store, "alive", 12, running=True)
    study_id = store.study_id("alive")
    before = n_rows(store)
    with pytest.raises(StorageError, match="launch 2 works on study 'alive' now"):
        study_removal(store, study_id, "alive")
    store.end_launch(2, "died")
    removal = study_removal(store, study_id, "alive")
    begin_launch(store, study_id=study_id)
    with pytest.raises(StorageError, match="launch 3 works on study 'alive' now"):
        removal.carry_out()
    assert n_rows(store) == {**before, "search_launches": 3}


def test_a_study_of_another_tools_store_is_removed(store_url: str) -> None:
    if (path := sa.make_url(store_url)).get_backend_name() == "sqlite":
        Path(str(path.database)).parent.mkdir(parents=True)
    theirs = optuna.storages.RDBStorage(store_url)
    study = optuna.create_study(study_name="theirs", storage=theirs)
    study.tell(study.ask(), 1.0)
    theirs.remove_session()
    theirs.engine.dispose()
    opened = open_store(store_url, create=False)
    study_removal(opened, study._study_id, "theirs").carry_out()
    assert opened.optuna_storage.get_all_studies() == []
    opened.close()
