"""A server that goes away and comes back: nothing is lost, nothing is done twice, all is said."""

from __future__ import annotations

import logging
import sqlite3
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
from storage import Store, open_store, outage
from storage.locking import study_lock
from storage.outage import is_outage

from ..postgresql import PostgresqlServer
from .test_store import begin_run, epoch, new_launch


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
    unheard(2)
    launch_id = store.begin_launch(new_launch(3))
    unheard(2)
    run = begin_run(store, launch_id)
    unheard(2)
    store.record_epoch(run.run_id, launch_id, epoch(1), best_epoch=1, worker="w")
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
    launch_id = store.begin_launch(new_launch(3))
    unheard(2)
    first = begin_run(store, launch_id, None)
    other = begin_run(store, launch_id, None)
    for run in (first, other):
        store.end_run(run.run_id, "interrupted")
    again = store.begin_launch(new_launch(3))
    unheard(2)
    taken = [begin_run(store, again, None).run_id for _ in range(3)]
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


@pytest.mark.postgresql
def test_a_server_that_crashes_and_restarts_is_ridden_out_and_told_of(
    postgresql: PostgresqlServer, caplog: pytest.LogCaptureFixture
) -> None:
    with postgresql.database() as url:
        store = open_store(url)
        study = optuna.create_study(study_name="s", storage=store.optuna_storage)
        launch_id = store.begin_launch(new_launch(study._study_id))
        with caplog.at_level(logging.WARNING, "storage"), study_lock(store, study._study_id):
            postgresql.stop("immediate")
            starter = threading.Timer(1.0, postgresql.start)
            starter.start()
            trial = study.ask()
            starter.join()
        begin_run(store, launch_id, trial._trial_id)
        away, back = [each.getMessage() for each in caplog.records if "storage " in each.message]
        assert away.startswith(f"storage {store.name} does not answer (")
        assert back.startswith(f"storage {store.name} answers again after ")
        assert [each.number for each in study.trials] == [0]
        assert [run.trial_id for run in store.runs()] == [trial._trial_id]
        with study_lock(store, study._study_id):
            pass
        store.close()
