"""Rows of ours go with the study or trial they belong to, whoever deletes that."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import optuna
import pytest
import sqlalchemy as sa
from optuna.storages._rdb import models

from space.errors import DeletedError
from storage import Store, open_store
from storage.admin.check import check_store
from storage.admin.upgrade import upgrade_store
from storage.optuna_rows.steady import StudyFullError
from storage.tables import schema
from storage.tables.ownership import guard_rows
from tests.dashboards.made.bulk_study import add_study
from tests.records import begin_run, epoch, new_launch, record_epoch

RESULTS = (schema.results, schema.result_metrics)
OURS = (
    schema.studies,
    schema.launches,
    schema.runs,
    schema.epochs,
    schema.epoch_metrics,
    *RESULTS,
)


def n_rows(store: Store, study_id: int | None = None) -> dict[str, int]:
    """Table -> our rows, of a study or of all."""
    found = {}
    with store.engine.connect() as connection:
        for table in OURS:
            query = sa.select(sa.func.count()).select_from(table)
            if study_id is not None and "study_id" in table.c:
                query = query.where(table.c.study_id == study_id)
            found[table.name] = connection.execute(query).scalar_one()
    return found


def by_optuna(url: str) -> None:
    storage = optuna.storages.RDBStorage(url)
    optuna.delete_study(study_name="made", storage=storage)
    storage.remove_session()
    storage.engine.dispose()


def by_another_program(url: str) -> None:
    """By SQL alone; SQLite's own library enforces no foreign keys unless it is asked to."""
    tables = [table.name for table in reversed(models.BaseModel.metadata.sorted_tables)]
    tables = [name for name in tables if name not in ("alembic_version", "version_info")]
    statements = [f"DELETE FROM {name}" for name in tables]
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()
        return
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


@pytest.mark.parametrize("delete", [by_optuna, by_another_program])
def test_a_deleted_study_leaves_nothing_for_the_next_of_its_number(
    store: Store, store_url: str, delete: Callable[[str], None]
) -> None:
    add_study(store, "made", n_trials=12)
    assert all(n_rows(store)[table.name] for table in OURS if table not in RESULTS)
    delete(store_url)
    assert not any(n_rows(store).values())
    assert check_store(store).findings == []
    again = optuna.create_study(study_name="made", storage=store.optuna_storage)
    assert store.launches(again._study_id) == []
    assert store.n_epochs(again._study_id) == 0


def test_a_deleted_study_takes_nothing_of_another(store: Store, store_url: str) -> None:
    kept = add_study(store, "kept", n_trials=12)
    before = n_rows(store)
    add_study(store, "made", n_trials=12)
    by_optuna(store_url)
    assert n_rows(store) == before
    assert n_rows(store, kept)["search_runs"] == before["search_runs"]


def test_a_deleted_trial_takes_its_runs_with_it(store: Store) -> None:
    study = optuna.create_study(storage=store.optuna_storage)
    launch_id = store.begin_launch(new_launch(study._study_id))
    for _ in range(2):
        run = begin_run(store, launch_id, study.ask()._trial_id, study_id=study._study_id)
        record_epoch(store, run, epoch(1))
    with store.engine.begin() as connection:
        table = models.TrialModel.__table__
        connection.execute(table.delete().where(table.c.number == 1))
    assert [run.replicate for run in store.runs()] == [0]
    assert n_rows(store)["search_epochs"] == 1
    assert [launch.launch_id for launch in store.launches()] == [launch_id]


def test_numbers_of_launches_and_runs_are_never_used_again(store: Store) -> None:
    numbers = []
    for _ in range(2):
        study = optuna.create_study(study_name="made", storage=store.optuna_storage)
        launch_id = store.begin_launch(new_launch(study._study_id))
        run = begin_run(store, launch_id, study.ask()._trial_id, study_id=study._study_id)
        numbers.append((launch_id, run.run_id))
        optuna.delete_study(study_name="made", storage=store.optuna_storage)
    assert numbers == [(1, 1), (2, 2)]


@pytest.mark.parametrize("what", ["study", "trial"])
def test_no_run_begins_for_what_was_deleted(store: Store, what: str) -> None:
    study = optuna.create_study(study_name="made", storage=store.optuna_storage)
    launch_id = store.begin_launch(new_launch(study._study_id))
    trial_id = study.ask()._trial_id
    if what == "study":
        optuna.delete_study(study_name="made", storage=store.optuna_storage)
        # Another one, which has its number in SQLite.
        study = optuna.create_study(study_name="other", storage=store.optuna_storage)
        trial_id = study.ask()._trial_id
    else:
        with store.engine.begin() as connection:
            connection.execute(models.TrialModel.__table__.delete())
    with pytest.raises(DeletedError, match=f"another program deleted .*{what}"):
        begin_run(store, launch_id, trial_id, study_id=study._study_id)
    assert store.runs() == []


@pytest.mark.parametrize("backend", ["sqlite"])
@pytest.mark.parametrize("put_back", ["open", "upgrade"])
def test_triggers_that_went_with_a_table_are_put_back(
    store: Store, store_url: str, put_back: str
) -> None:
    add_study(store, "made", n_trials=12)
    store.close()
    path = store_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as connection:
        # As a migration makes a table anew.
        (made,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'studies'")
        connection.execute(made[0].replace("studies", "anew", 1))
        connection.execute("INSERT INTO anew SELECT * FROM studies")
        connection.execute("DROP TABLE studies")
        connection.execute("ALTER TABLE anew RENAME TO studies")
        connection.commit()
    by_another_program(store_url)
    (found,) = (each for each in check_store(store).findings if each.key == "triggers")
    assert "python -m storage upgrade" in found.mend
    assert n_rows(store)["search_launches"]
    if put_back == "upgrade":
        assert upgrade_store(store_url).backup is not None
    else:
        open_store(store_url).close()
    assert not any(n_rows(store).values())
    optuna.create_study(study_name="made", storage=store.optuna_storage)
    store.begin_launch(new_launch(1))
    by_optuna(store_url)
    assert not any(n_rows(store).values())
    assert upgrade_store(store_url).backup is None


@pytest.mark.parametrize("backend", ["sqlite"])
def test_rows_that_were_made_without_what_they_belong_to_are_named(store: Store) -> None:
    run = begin_run(store, store.begin_launch(new_launch(None)))
    with closing(sqlite3.connect(str(store.url.database))) as connection:
        connection.execute(
            "INSERT INTO search_epochs (run_id, epoch, launch_id, seconds, reported_at) "
            "VALUES (7, 1, 1, 1.0, '2026-01-01')"
        )
        connection.execute("INSERT INTO search_epoch_metrics VALUES (7, 2, 'val_f1', 1.0)")
        connection.execute("DELETE FROM search_launches")
        connection.commit()
    found = {(each.table, each.key): each for each in check_store(store).findings}
    assert "1 row names" in found["search_epochs", "search_runs"].what
    assert "python -m storage upgrade" in found["search_epochs", "search_runs"].mend
    assert ("search_epoch_metrics", "search_epochs") in found
    assert ("search_runs", "search_launches") in found
    optuna.create_study(storage=store.optuna_storage)
    upgrade_store(store.url.render_as_string())
    assert check_store(store).findings == []
    assert store.runs() == [run]
    assert [launch.status for launch in store.launches()] == ["died"]


def test_a_deleted_trials_gap_gives_nobody_a_number_that_exists(store: Store) -> None:
    study = optuna.create_study(study_name="made", storage=store.optuna_storage)
    launch_id = store.begin_launch(new_launch(study._study_id))
    for value in (0.0, 0.1, 0.2):
        study.tell(study.ask(), value)
    with store.engine.begin() as connection:
        table = models.TrialModel.__table__
        for owned in (models.TrialValueModel, models.TrialModel):
            trials = sa.select(table.c.trial_id).where(table.c.number == 1)
            rows = owned.__table__
            connection.execute(rows.delete().where(rows.c.trial_id.in_(trials)))
    again = open_store(store.url.render_as_string(hide_password=False))
    study = optuna.load_study(study_name="made", storage=again.optuna_storage)
    again.hold_study(study._study_id, launch_id, 3)
    study.tell(study.ask().number, 0.3)  # There are two: a third may be asked for.
    with pytest.raises(StudyFullError):
        study.ask()
    again.hold_study(study._study_id, launch_id, None)
    study.add_trial(optuna.trial.create_trial(value=0.4))
    study.enqueue_trial({})
    waiting = study.ask()
    assert waiting.number == 5
    study.tell(waiting.number, 0.5)
    values = {0: 0.0, 2: 0.2, 3: 0.3, 4: 0.4, 5: 0.5}
    assert {trial.number: trial.value for trial in study.get_trials()} == values
    found = [each.what for each in check_store(again).findings if each.key == "study 'made'"]
    assert found == ["no trial has number 1: another program deleted trials"]
    again.close()


def test_clearing_compares_no_row_with_a_list_of_all(store: Store) -> None:
    """`NOT IN` a query is quadratic in a large PostgreSQL store."""
    statements: list[str] = []

    def listen(*args: Any) -> None:
        statements.append(args[2])

    study = optuna.create_study(storage=store.optuna_storage)
    launch_id = store.begin_launch(new_launch(study._study_id))
    run = begin_run(store, launch_id, study.ask()._trial_id, study_id=study._study_id)
    record_epoch(store, run, epoch(1))
    launch_id = store.begin_launch(new_launch(None))  # of a benchmark: it belongs to no study
    benchmark = begin_run(store, launch_id, None, study_id=None)
    before = n_rows(store)
    sa.event.listen(store.engine, "before_cursor_execute", listen)
    with store.engine.begin() as connection:
        guard_rows(connection)
    assert n_rows(store) == before
    assert benchmark.run_id in store.runs_there([benchmark.run_id])
    deletes = [each for each in statements if each.startswith("DELETE")]
    assert len(deletes) == 8
    assert all("NOT (EXISTS" in each and "NOT IN" not in each for each in deletes)
