"""A server that goes away and comes back: nothing is lost, nothing is done twice, all is said."""

from __future__ import annotations

import logging
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import optuna
import pytest
import sqlalchemy as sa
from optuna.trial import TrialState
from sqlalchemy.exc import OperationalError

from space.errors import StorageError
from storage import Store, locking, open_store
from storage.connect import outage
from storage.connect.outage import is_outage
from storage.optuna_rows.steady import StudyFullError

from ..postgresql import PostgresqlServer
from ..records import begin_run, epoch, new_launch, record_epoch


class ServerGoneError(Exception):
    """A driver's error without an SQLSTATE, as of a connection that broke."""


def lost() -> OperationalError:
    return OperationalError(
        "COMMIT", {}, ServerGoneError("server closed the connection unexpectedly")
    )


@pytest.fixture
def unheard(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Makes the ends of the next so many transactions go unheard: committed, and then an error."""
    left = 0

    def lose(_connection: Any) -> None:
        nonlocal left
        if left:
            left -= 1
            raise lost()

    commit = store.engine.dialect.do_commit

    def commit_and_lose(connection: Any) -> None:
        commit(connection)
        lose(connection)

    def ask_for(count: int) -> None:
        nonlocal left
        left = count

    monkeypatch.setattr(store.engine.dialect, "do_commit", commit_and_lose)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    yield ask_for
    assert left == 0


def test_each_record_is_made_once_though_its_end_was_not_heard_of(
    store: Store, unheard: Callable[[int], None]
) -> None:
    study = optuna.create_study(storage=store.optuna_storage)
    trial_id, study_id = study.ask()._trial_id, study._study_id
    unheard(2)
    launch_id = store.begin_launch(new_launch(study_id))
    unheard(2)
    run = begin_run(store, launch_id, trial_id, study_id=study_id)
    unheard(2)
    record_epoch(store, run, epoch(1))
    unheard(1)
    assert store.beat(launch_id)
    unheard(1)
    store.end_run(run.run_id, "complete")
    assert [launch.launch_id for launch in store.launches()] == [launch_id]
    (found,) = store.runs()
    assert (found.run_id, found.uid) == (run.run_id, run.uid)
    assert (found.n_epochs, found.train_seconds, found.state) == (1, 2.0, "complete")


def test_a_run_without_a_trial_is_taken_up_once_though_its_end_was_not_heard_of(
    store: Store, unheard: Callable[[int], None]
) -> None:
    study_id = optuna.create_study(storage=store.optuna_storage)._study_id
    launch_id = store.begin_launch(new_launch(study_id))
    unheard(2)
    first = begin_run(store, launch_id, None, study_id=study_id)
    other = begin_run(store, launch_id, None, study_id=study_id)
    for run in (first, other):
        store.end_run(run.run_id, "interrupted")
    again = store.begin_launch(new_launch(study_id))
    unheard(2)
    taken = [begin_run(store, again, None, study_id=study_id).run_id for _ in range(3)]
    assert set(taken[:2]) == {first.run_id, other.run_id}
    assert [run.run_id for run in store.runs()] == [first.run_id, other.run_id, taken[2]]


def test_optunas_trials_are_made_taken_and_told_once(
    store: Store, unheard: Callable[[int], None]
) -> None:
    study = optuna.create_study(study_name="s", storage=store.optuna_storage)
    storage = store.optuna_storage
    unheard(2)
    asked = study.ask()
    unheard(1)
    asked.suggest_float("x", 0, 1)
    unheard(1)
    storage.set_trial_intermediate_value(asked._trial_id, 1, 0.5)
    unheard(2)
    storage.set_trial_state_values(asked._trial_id, TrialState.COMPLETE, [0.5])
    template = optuna.trial.create_trial(
        state=TrialState.WAITING, system_attrs={"fixed_params": {"x": 0.25}}
    )
    unheard(1)
    waiting = storage.create_new_trial(study._study_id, template)
    unheard(2)
    assert storage.set_trial_state_values(waiting, TrialState.RUNNING)
    assert not storage.set_trial_state_values(waiting, TrialState.RUNNING)
    first, second = study.trials
    assert (first.state, first.value, first.intermediate_values) == (
        TrialState.COMPLETE,
        0.5,
        {1: 0.5},
    )
    assert list(first.params) == ["x"]
    assert (second.number, second.state) == (1, TrialState.RUNNING)


def test_telling_a_trial_that_another_told_otherwise_is_no_repetition(store: Store) -> None:
    study = optuna.create_study(study_name="s", storage=store.optuna_storage)
    trial = study.ask()
    study.tell(trial, 0.5)
    with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):
        store.optuna_storage.set_trial_state_values(trial._trial_id, TrialState.COMPLETE, [0.5])


def test_an_outage_that_does_not_end_is_one_sentence(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = iter(range(0, 10_000, 7))
    monkeypatch.setattr(outage.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(outage.time, "sleep", lambda _: None)
    n_attempts = 0

    def attempt(_connection: sa.Connection) -> None:
        nonlocal n_attempts
        n_attempts += 1
        raise lost()

    with caplog.at_level(logging.WARNING), pytest.raises(StorageError, match="server closed"):
        store.transaction(attempt)
    assert n_attempts == 2 + outage.OUTAGE_SECONDS // 7
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "trying again for 60 s" in caplog.text


def test_what_is_no_outage_is_not_tried_again(store: Store) -> None:
    attempts = []

    def attempt(connection: sa.Connection) -> None:
        attempts.append(1)
        connection.execute(sa.text("SELECT nonsense FROM nowhere"))

    with pytest.raises(StorageError, match="nowhere"):
        store.transaction(attempt)
    assert len(attempts) == 1


def test_a_locked_sqlite_file_is_no_outage() -> None:
    assert not is_outage(OperationalError("x", {}, sqlite3.OperationalError("database is locked")))
    assert is_outage(lost())
    wrapped = optuna.exceptions.StorageInternalError("x")
    assert not is_outage(wrapped)
    wrapped.__cause__ = lost()
    assert is_outage(wrapped)


def test_one_trial_too_many_is_refused_though_its_asker_lost_the_lock(store: Store) -> None:
    study = optuna.create_study(study_name="s", storage=store.optuna_storage)
    launch_id = store.begin_launch(new_launch(study._study_id))
    store.hold_study(study._study_id, launch_id, 2)
    study.enqueue_trial({"x": 0.5})
    for _ in range(2):
        study.ask()
    with pytest.raises(StudyFullError):
        study.ask()
    study.enqueue_trial({"x": 0.25})
    assert study.ask().number == 2  # What waits is in the study already.
    assert len(study.trials) == 3


def test_the_last_trial_is_asked_for_once_though_its_end_was_not_heard_of(
    store: Store, unheard: Callable[[int], None]
) -> None:
    study = optuna.create_study(study_name="s", storage=store.optuna_storage)
    launch_id = store.begin_launch(new_launch(study._study_id))
    store.hold_study(study._study_id, launch_id, 1)
    unheard(2)
    assert study.ask().number == 0
    assert len(study.trials) == 1


def test_launches_that_begin_at_once_make_one_store(store_url: str) -> None:
    """Each in a process of its own, as a lock of the file is one process's."""
    code = (
        "import sys; from storage import open_store; print('ready', flush=True);"
        f"sys.stdin.readline(); open_store({store_url!r}).close()"
    )
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    launches = [
        subprocess.Popen([sys.executable, "-c", code], text=True, **pipes) for _ in range(2)
    ]
    for launch in launches:
        assert launch.stdout is not None
        assert launch.stdout.readline() == "ready\n"
    for launch in launches:
        assert launch.stdin is not None
        launch.stdin.write("now\n")
        launch.stdin.flush()
    for launch in launches:
        _, said = launch.communicate()
        assert launch.returncode == 0, said


@pytest.mark.postgresql
def test_a_store_whose_server_is_starting_is_waited_for(
    postgresql: PostgresqlServer, caplog: pytest.LogCaptureFixture
) -> None:
    with postgresql.database() as url:
        postgresql.stop("immediate")
        starter = threading.Timer(0.5, postgresql.start)
        starter.start()
        store = open_store(url)
        starter.join()
        store.close()
        away, *_, back = [each for each in caplog.messages if each.startswith("storage ")]
        assert away.startswith(f"storage {store.name} does not answer (connection failed: ")
        assert "Connection refused" in away
        assert away.endswith("; trying again for 5 s")
        assert back.startswith(f"storage {store.name} answers again after ")


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("connection failed: FATAL:  the database system is starting up", 60.0),
        ("connection failed: FATAL:  the database system is shutting down", 60.0),
        ("connection failed: Connection refused\n\tIs the server running on that host", 5.0),
        ("connection failed: FATAL:  password authentication failed for user", 0.0),
        ('connection failed: FATAL:  database "x" does not exist', 0.0),
        ("failed to resolve host 'x': [Errno -2] Name or service not known", 0.0),
        ("connection timeout expired", 0.0),
    ],
)
def test_how_long_a_server_is_waited_for_that_was_never_heard_of(
    monkeypatch: pytest.MonkeyPatch, said: str, seconds: float
) -> None:
    waited = 0.0

    def wait(pause: float) -> None:
        nonlocal waited
        waited += pause

    monkeypatch.setattr(outage.time, "monotonic", lambda: waited)
    monkeypatch.setattr(outage.time, "sleep", wait)

    def attempt() -> None:
        raise StorageError("x") from OperationalError("x", {}, ServerGoneError(said))

    with pytest.raises(StorageError):
        outage.await_server("s", attempt)
    assert seconds <= waited <= seconds + (outage.LONGEST_PAUSE_SECONDS if seconds else 0.0)


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("user", "database", "sentence"),
    [
        ("guarded:secret", "postgres", 'password authentication failed for user "guarded"'),
        ("tester:secret", "nowhere", 'database "nowhere" does not exist'),
        ("nobody:secret", "postgres", 'role "nobody" does not exist'),
    ],
)
def test_what_no_restart_mends_is_said_at_once(
    postgresql: PostgresqlServer,
    caplog: pytest.LogCaptureFixture,
    user: str,
    database: str,
    sentence: str,
) -> None:
    url = f"postgresql://{user}@127.0.0.1:{postgresql.port}/{database}"
    with pytest.raises(StorageError, match=sentence) as caught:
        open_store(url)
    assert "secret" not in str(caught.value)
    assert "does not answer" not in caplog.text


@pytest.mark.postgresql
def test_a_lock_whose_holder_fell_silent_comes_free(
    postgresql: PostgresqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locking, "HELD_SECONDS", 0.5)
    with postgresql.database() as url:
        silent, other = open_store(url), open_store(url)
        with silent.locked(1), other.locked(1):
            pass
        with silent.locked(1):
            pass
        silent.close()
        other.close()


@pytest.mark.postgresql
def test_a_server_that_crashes_and_restarts_is_ridden_out_and_told_of(
    postgresql: PostgresqlServer, caplog: pytest.LogCaptureFixture
) -> None:
    with postgresql.database() as url:
        store = open_store(url)
        study = optuna.create_study(study_name="s", storage=store.optuna_storage)
        launch_id = store.begin_launch(new_launch(study._study_id))
        with caplog.at_level(logging.WARNING, "storage"), store.locked(study._study_id):
            postgresql.stop("immediate")
            starter = threading.Timer(1.0, postgresql.start)
            starter.start()
            trial = study.ask()
            starter.join()
        begin_run(store, launch_id, trial._trial_id, study_id=study._study_id)
        away, back = [each.getMessage() for each in caplog.records if "storage " in each.message]
        assert away.startswith(f"storage {store.name} does not answer (")
        assert back.startswith(f"storage {store.name} answers again after ")
        assert [each.number for each in study.trials] == [0]
        assert [run.trial_id for run in store.runs()] == [trial._trial_id]
        with store.locked(study._study_id):
            pass
        store.close()
