"""Who only looks at an SQLite store changes no byte of it and leaves nothing beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy as sa

from dashboards import report
from dashboards.pages.site import Site
from search import grid_report
from search.export import __main__ as export
from search.simulate import __main__ as simulate
from space.errors import NoStudiesError, StorageError, UsageError
from storage import __main__ as storage_command
from storage import open_store
from tests.dashboards.pages.web import request

Files = dict[str, bytes]

WRITER = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("UPDATE studies SET study_name = 'renamed'")
connection.commit()
os.kill(os.getpid(), signal.SIGKILL)
"""
"""Leaves what it wrote in the log, as a search does that is killed."""

PAGES = ("/", "/data/overview", "/study/1", "/data/study/1", "/study/made", "/benchmark/1")
DASHBOARD = (
    "/dashboard",
    "/api/meta",
    "/api/studies",
    "/api/studies/1",
    "/api/studies/1/plot/contour",
    "/csv/1",
)


@pytest.fixture(scope="module")
def plain_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As Optuna alone leaves a file."""
    path = tmp_path_factory.mktemp("plain") / "s.db"
    url = f"sqlite:///{path}"
    study = optuna.create_study(study_name="made", storage=url)
    study.enqueue_trial({"x": 0.5})
    for _ in range(3):
        trial = study.ask()
        trial.report(trial.suggest_float("x", 0, 1), 0)
        study.tell(trial, 0.5)
    sa.create_engine(url).dispose()
    return path


LOG_MODE = {"plain_file": b"\x01\x01", "made_file": b"\x02\x02"}
"""Bytes 18 and 19 of a file as Optuna alone leaves it, and as a search does."""


@pytest.fixture(params=LOG_MODE)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A store, alone in its directory."""
    path = tmp_path / "a 100% stôre #1" / "s.db"
    path.parent.mkdir()
    shutil.copyfile(request.getfixturevalue(request.param), path)
    assert path.read_bytes()[18:20] == LOG_MODE[request.param]
    return path


def files(path: Path) -> Files:
    """All there is in a store's directory but the log's index, which nobody keeps."""
    return {
        each.name: each.read_bytes()
        for each in path.parent.iterdir()
        if not each.name.endswith("-shm")
    }


def commands(out: Path) -> dict[str, Callable[[str], int]]:
    """Every command that only reads, to be given the store."""

    def of(main: Callable[[list[str]], int], *arguments: str) -> Callable[[str], int]:
        return lambda url: main([*arguments, "--storage", url])

    study = ("--study", "made")
    return {
        "list": of(storage_command.main, "list"),
        "show": of(storage_command.main, "show", "made"),
        "check": of(storage_command.main, "check"),
        "copy": lambda url: storage_command.main(["copy", "--from", url, "--to", f"{out}.db"]),
        "report": of(report.main, *study, "--output", f"{out}.html"),
        "export": of(export.main, *study, "--output", f"{out}.yaml"),
        "simulate": of(simulate.main, *study, "--sampler", "random", "--seeds", "1"),
        "grid report": of(grid_report.main, *study),
    }


def test_commands_that_read(path: Path, tmp_path: Path) -> None:
    before = files(path)
    done = []
    for name, command in commands(tmp_path / "out").items():
        try:
            command(str(path))
            done.append(name)
        except UsageError:
            pass  # It has looked, and found that this is no study for it.
        assert files(path) == before, name
    assert {"list", "show", "check", "copy", "report"} <= set(done)


def test_pages(path: Path) -> None:
    before = files(path)
    with closing(open_store(str(path), look=True)) as store:
        site = Site(store)
        for address in (*PAGES, *DASHBOARD):
            answer = request(site, address)
            assert answer.status in (200, 302, 404), address
            # Between two requests the file is nobody's: it may be copied, moved and deleted.
            assert files(path) == before, address


def test_what_a_person_does_in_optuna_dashboard_is_written(path: Path) -> None:
    header = path.read_bytes()[18:20]
    with closing(open_store(str(path), look=True)) as store:
        site = Site(store)
        body = b'{"body": "seen", "version": 1}'
        kind = {"CONTENT-TYPE": "application/json"}
        done = request(site, "/api/studies/1/note", method="PUT", headers=kind, body=body)
        assert done.status == 204
        assert request(site, "/api/studies/1").json()["note"]["body"] == "seen"
    assert list(files(path)) == ["s.db"]
    assert path.read_bytes()[18:20] == header


@pytest.mark.parametrize("path", ["made_file"], indirect=True)
def test_a_killed_searchs_log_is_read_and_left_to_the_next(path: Path) -> None:
    subprocess.run([sys.executable, "-c", WRITER, str(path)], check=False)
    before = files(path)
    assert before["s.db-wal"]
    for _ in range(2):
        with closing(open_store(str(path), look=True)) as store:
            assert store.study_id("renamed") == 1
            assert request(Site(store), "/data/study/1").status == 200
        assert files(path) == before


def test_a_reader_sees_what_a_writer_adds_and_is_not_the_last_to_leave(path: Path) -> None:
    with closing(open_store(str(path), look=True)) as reader:
        with closing(open_store(str(path), create=False)) as writer:
            optuna.create_study(study_name="more", storage=writer.optuna_storage)
            assert reader.study_id("more") == 2
        assert list(files(path)) == ["s.db"]
        assert reader.study_id("more") == 2


def test_a_log_goes_away_as_soon_as_it_was_seen(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another reader that leaves, or the last writer, takes it away at any moment."""
    log, seen, look = path.with_name("s.db-wal"), [], os.stat

    def look_once(at: Any, **options: Any) -> os.stat_result:
        found = look(at, **options)
        if str(at) == str(log):
            log.unlink()
            seen.append(at)
        return found

    with closing(open_store(str(path), look=True)) as store:
        log.touch()
        monkeypatch.setattr(os, "stat", look_once)
        assert request(Site(store), "/data/study/1").status == 200
    assert seen


def test_a_reader_cannot_write(path: Path) -> None:
    with (
        closing(open_store(str(path), look=True)) as store,
        pytest.raises(StorageError, match="readonly"),
    ):
        optuna.create_study(study_name="more", storage=store.optuna_storage)


@pytest.mark.parametrize("fault", ["moved", "emptied", "locked"])
def test_a_store_that_goes_away_while_it_is_served(
    path: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.connect.engine.BUSY_TIMEOUT_SECONDS", 0.01)
    with closing(open_store(str(path), look=True)) as store:
        site = Site(store)
        assert request(site, "/data/overview").status == 200
        away = path.with_name("away.db")
        if fault == "moved":
            path.rename(away)
        elif fault == "emptied":
            path.rename(away)
            path.touch()
        else:
            locker = sa.create_engine(f"sqlite:///{path}", poolclass=sa.NullPool).connect()
            locker.exec_driver_sql("PRAGMA locking_mode = EXCLUSIVE")
            locker.exec_driver_sql("BEGIN EXCLUSIVE")
        statuses = {address: request(site, address).status for address in PAGES[1:4]}
        assert set(statuses.values()) == {503}
        assert request(site, "/").status == 200
        if fault == "moved":
            assert not path.exists()
        if fault == "locked":
            locker.close()
        else:
            away.rename(path)
        assert request(site, "/data/study/1").status == 200


@pytest.mark.parametrize("path", ["plain_file"], indirect=True)
def test_an_old_schema_is_not_written_to(path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE alembic_version")
        connection.exec_driver_sql("DROP TABLE trial_heartbeats")
    engine.dispose()
    before = files(path)
    with pytest.raises(StorageError, match="storage upgrade"):
        open_store(str(path), look=True)
    assert files(path) == before


@pytest.mark.parametrize("made", ["tables", "version", "all"])
def test_a_store_whose_tables_are_just_being_made_holds_no_studies_yet(
    tmp_path: Path, made: str
) -> None:
    path = tmp_path / "s.db"
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    with storage.engine.begin() as connection:
        if made == "tables":
            connection.exec_driver_sql("DROP TABLE alembic_version")
            connection.exec_driver_sql("DELETE FROM version_info")
        elif made == "version":
            connection.exec_driver_sql("DELETE FROM alembic_version")
    storage.remove_session()
    storage.engine.dispose()
    if made == "all":
        open_store(str(path), look=True).close()
        return
    with pytest.raises(NoStudiesError, match="holds no studies"):
        open_store(str(path), look=True)
    open_store(str(path)).close()  # A launch makes what is missing.
    open_store(str(path), look=True).close()
