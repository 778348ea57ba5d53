"""A store of an older release is upgraded with nothing lost, or left exactly as it was."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from space.errors import StorageError
from storage import open_store
from storage.__main__ import main
from storage.actions import list_actions
from storage.admin.upgrade import upgrade_store
from storage.benchmarks import load_benchmarks
from storage.connect.engine import parse_url
from storage.connect.versions import MIGRATIONS, current_version, known_versions, migrate
from storage.tables.schema import looks, metadata, utc_now
from trainables.shipped.digit_pairs.config import DIGIT_PAIRS


def first_store(url: str, *, alive: bool = False) -> None:
    """A store as the first release made it: one study, one launch, one run of two epochs."""
    if url.startswith("sqlite"):
        Path(str(parse_url(url).database)).parent.mkdir(parents=True, exist_ok=True)
    storage = optuna.storages.RDBStorage(url)
    study = optuna.create_study(study_name="old", storage=storage)
    study.tell(study.ask(), 0.5)
    engine = sa.create_engine(url)
    now = utc_now().replace(tzinfo=None)
    with engine.begin() as connection:
        migrate(connection, "0001")
        tables = sa.MetaData()
        tables.reflect(connection)

        def insert(table: str, **values: Any) -> None:
            connection.execute(tables.tables[f"search_{table}"].insert().values(values))

        data = {"data_source": "digits", "data_fingerprint": "f"}
        insert("studies", study_id=1, created_at=now, identity={"a": 1}, metrics=["m"], **data)
        insert(
            "launches",
            **data,
            launch_id=1,
            study_id=1,
            status="running" if alive else "done",
            started_at=now,
            heartbeat_at=now,
            host="elsewhere",
            pid=1,
            command="c",
            config={},
            changes=[],
            versions={},
            hardware={},
        )
        insert(
            "runs",
            run_id=1,
            uid="u",
            launch_id=1,
            study_id=1,
            trial_id=1,
            purpose="search",
            replicate=0,
            config_hash="h",
            config={"model": {}},
            state="complete",
            started_at=now,
            n_epochs=2,
            train_seconds=3.0,
        )
        for epoch in (1, 2):
            known = {"launch_id": 1, "seconds": 1.5, "reported_at": now, "train_loss": 0.5}
            insert("epochs", run_id=1, epoch=epoch, val_error=0.1 * epoch, **known)
        losses = dict.fromkeys(("train_loss", "val_loss", "test_loss"), 1.0)
        errors = dict.fromkeys(("train_error", "val_error", "test_error"), 0.25)
        insert("results", run_id=1, data_fingerprint="f", **losses, **errors)
    engine.dispose()
    storage.engine.dispose()


@pytest.fixture
def old_url(store_url: str) -> str:
    first_store(store_url)
    return store_url


@pytest.fixture
def engine(store_url: str) -> Iterator[sa.Engine]:
    made = sa.create_engine(store_url, poolclass=sa.NullPool)
    yield made
    made.dispose()


def backups(url: str) -> list[Path]:
    path = parse_url(url).database
    return sorted(Path(str(path)).parent.glob("*.bak-*"))


def test_an_older_store_is_refused_with_the_way_out(
    old_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for create in (False, True):
        with pytest.raises(StorageError, match=r"version is 0001, .* run `python -m storage upg"):
            open_store(old_url, create=create)
    with pytest.raises(StorageError):
        main(["list", "--storage", old_url])


def test_an_upgraded_store_is_as_a_new_one_with_all_it_held(
    old_url: str, engine: sa.Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["upgrade", "--storage", old_url]) == 0
    said = capsys.readouterr().out
    assert f"{known_versions()[-1]}, was 0001" in said
    store = open_store(old_url, create=False)
    (run,) = store.runs()
    assert (run.uid, run.n_epochs, run.n_parameters) == ("u", 2, None)
    epochs = store.epochs([1])[1]
    assert [epoch.seconds for epoch in epochs] == [1.5, 1.5]
    assert [epoch["val_error"] for epoch in epochs] == [0.1, 0.2]
    assert epochs[0].metrics.keys() == {"train_loss", "val_loss", "train_error", "val_error"}
    assert math.isnan(epochs[0]["val_loss"])
    ((_, result),) = store.results(["h"])
    assert (result["test_error"], result["val_loss"]) == (0.25, 1.0)
    assert store.study_records()[1].measured == DIGIT_PAIRS
    view = "SELECT epoch, train_loss, val_loss, val_error, seconds FROM search_curves"
    with engine.connect() as connection:
        assert connection.execute(sa.text(view + " ORDER BY epoch")).all() == [
            (1, 0.5, None, 0.1, 1.5),
            (2, 0.5, None, 0.2, 1.5),
        ]
    assert store.launches()[0].command == "c"
    assert store.study_records()[1].identity == {"a": 1}
    assert store.optuna_storage.get_trial(1).value == 0.5
    store.close()
    with engine.connect() as connection:
        options = {
            "include_name": lambda name, kind, _: kind != "table" or str(name) in metadata.tables
        }
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []
    if engine.dialect.name == "sqlite":
        (backup,) = backups(old_url)
        assert f"backup    {backup}" in said
        with closing(sqlite3.connect(backup)) as old:
            assert old.execute("SELECT version_num FROM search_schema_version").fetchall() == [
                ("0001",)
            ]
            assert old.execute("SELECT count(*) FROM search_epochs").fetchone() == (2,)
    assert main(["upgrade", "--storage", old_url]) == 0
    assert "up to date" in capsys.readouterr().out
    assert len(backups(old_url)) == (engine.dialect.name == "sqlite")


def test_what_was_there_was_not_registered_and_its_runs_are_looks(
    old_url: str, engine: sa.Engine
) -> None:
    with engine.begin() as connection:
        migrate(connection, "0005")
        tables = sa.MetaData()
        tables.reflect(connection, only=["search_benchmarks", "search_runs"])
        ended = connection.execute(sa.select(tables.tables["search_runs"].c.started_at)).scalar()
        connection.execute(
            tables.tables["search_benchmarks"].insert(),
            {
                "name": "old",
                "data_source": "digits",
                "data_fingerprint": "f",
                "title": "",
                "reference": "a",
                "n_seeds": 2,
                "configs": [
                    {
                        "name": "a",
                        "config": {},
                        "config_hashes": ["h", "i"],
                        "n_parameters": 1,
                        "reported": None,
                    }
                ],
                "updated_at": utc_now().replace(tzinfo=None),
                "measured": DIGIT_PAIRS.as_json(),
            },
        )
    upgrade_store(old_url)
    with closing(open_store(old_url)) as store:
        (record,) = load_benchmarks(store)
        assert (record.registrations, record.seeds) == ((), (0, 1))
        (look,) = store.rows(sa.select(looks))
        assert (look["uid"], look["config_hash"], look["data_fingerprint"]) == ("u", "h", "f")
        assert look["looked_at"].replace(tzinfo=None) == ended


def test_an_upgrade_finds_the_epoch_of_the_lowest_loss(old_url: str, engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE search_epochs SET val_loss = 3 - epoch"))
    upgrade_store(old_url)
    store = open_store(old_url, create=False)
    assert [run.other_epoch for run in store.runs()] == [2]
    ((_, result),) = store.results(["h"])
    assert result.other == {}
    store.close()


def test_the_upgraded_schema_is_the_new_one_to_the_letter(
    old_url: str, tmp_path: Path, request: pytest.FixtureRequest, engine: sa.Engine
) -> None:
    upgrade_store(old_url)
    with engine.connect() as connection:
        upgraded = described(connection)
    if engine.dialect.name == "sqlite":
        fresh_url = f"sqlite:///{tmp_path / 'fresh.db'}"
        open_store(fresh_url).close()
        fresh = sa.create_engine(fresh_url)
        with fresh.connect() as connection:
            assert described(connection) == upgraded
        fresh.dispose()
    else:
        with request.getfixturevalue("postgresql").database() as fresh_url:
            open_store(fresh_url).close()
            fresh = sa.create_engine(fresh_url)
            with fresh.connect() as connection:
                assert described(connection) == upgraded
            fresh.dispose()


def described(connection: sa.Connection) -> dict[str, Any]:
    """Every column, key, constraint and index of our tables, as the database tells them."""
    inspector = sa.inspect(connection)

    def named(items: list[Any]) -> list[str]:
        return sorted(repr(sorted(item.items(), key=lambda pair: pair[0])) for item in items)

    return {
        table: (
            named([{**each, "type": str(each["type"])} for each in inspector.get_columns(table)]),
            repr(inspector.get_pk_constraint(table)),
            named(inspector.get_unique_constraints(table)),
            named(inspector.get_indexes(table)),
        )
        for table in metadata.tables
    }


def test_clients_began_launches_by_tokens_and_of_others_it_is_not_known(
    old_url: str, engine: sa.Engine
) -> None:
    with engine.begin() as connection:
        migrate(connection, "0011")
        tables = sa.MetaData()
        tables.reflect(connection)
        for verb in ("begin-launch", "note"):
            row = {"uid": verb, "verb": verb, "asked_by": "ci", "asked_at": utc_now()}
            new = tables.tables["search_actions"].insert()
            connection.execute(new.values(**row, detail={}, state="done"))
    upgrade_store(old_url)
    with closing(open_store(old_url)) as store:
        found = {each.verb: each.asked_by for each in list_actions(store)}
    assert found == {"begin-launch": "token ci", "note": "ci"}


def test_an_upgrade_that_fails_leaves_the_store_as_it_was(old_url: str, engine: sa.Engine) -> None:
    with engine.begin() as connection:  # The last thing that 0002 wants to add is there.
        connection.execute(sa.text("ALTER TABLE search_runs ADD COLUMN n_parameters INTEGER"))
    with engine.connect() as connection:
        before = sorted(sa.inspect(connection).get_table_names())
    with pytest.raises(StorageError, match="n_parameters"):
        upgrade_store(old_url)
    with engine.connect() as connection:
        assert current_version(connection) == "0001"
        assert sorted(sa.inspect(connection).get_table_names()) == before
        assert connection.execute(sa.text("SELECT uid FROM search_runs")).scalar() == "u"
    assert len(backups(old_url)) == (engine.dialect.name == "sqlite")


def test_migrations_are_named_after_their_versions() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    walked = ScriptDirectory.from_config(config).walk_revisions()
    assert known_versions() == tuple(each.revision for each in walked)[::-1]


def test_optunas_own_tables_are_upgraded_too(store_url: str, engine: sa.Engine) -> None:
    open_store(store_url).close()
    with engine.begin() as connection:  # What Optuna's last migration adds is taken away.
        head = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
        connection.execute(sa.text("DROP INDEX ix_trials_study_id"))
        connection.execute(sa.text("UPDATE alembic_version SET version_num = 'v3.0.0.d'"))
    with pytest.raises(StorageError, match=r"an older release than .* `python -m storage upgrade`"):
        open_store(store_url)
    done = upgrade_store(store_url)
    assert (done.optuna_before, done.optuna_after) == ("v3.0.0.d", head)
    assert done.before == done.after == known_versions()[-1]
    assert (done.backup is not None) == store_url.startswith("sqlite")
    with engine.connect() as connection:
        assert sa.inspect(connection).get_indexes("trials")
    open_store(store_url).close()


def test_optuna_tables_of_a_newer_release_are_refused(store_url: str, engine: sa.Engine) -> None:
    open_store(store_url).close()
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = 'v99'"))
    for open_it in (open_store, upgrade_store):
        with pytest.raises(StorageError, match=r"made by a newer release than .* newer Optuna"):
            open_it(store_url)


def test_a_store_that_a_launch_writes_is_not_upgraded(store_url: str) -> None:
    first_store(store_url, alive=True)
    with pytest.raises(StorageError, match="launch 1 on elsewhere is still writing"):
        upgrade_store(store_url)


def test_a_newer_store_is_refused_by_all(store_url: str, engine: sa.Engine) -> None:
    open_store(store_url).close()
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE search_schema_version SET version_num = '9999'"))
    for open_it in (open_store, upgrade_store):
        with pytest.raises(StorageError, match="schema version is 9999, newer than this release"):
            open_it(store_url)
    assert backups(store_url) == []


def test_backups_are_never_overwritten(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not store_url.startswith("sqlite"):
        pytest.skip("an SQLite matter")
    from storage.admin import upgrade

    first_store(store_url)
    path = Path(str(parse_url(store_url).database))
    made = [upgrade._back_up(path, "0001") for _ in range(3)]
    assert len(set(made)) == 3
    assert all(each.stat().st_mode & 0o077 == 0 for each in made)
