"""What is kept in memory of trials is what the database has, whoever wrote it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import closing

import optuna
import pytest
import sqlalchemy as sa
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from storage import Store, TrialStep, open_store
from storage.optuna_rows import trial_reading
from tests.records import new_launch

CHOICES = CategoricalDistribution(("a", 1, None))


@pytest.fixture
def other(store: Store, store_url: str) -> Iterator[Store]:
    """The same store as another process sees it."""
    with closing(open_store(store_url)) as opened:
        yield opened


def truth(store: Store, study_id: int) -> list[FrozenTrial]:
    """The trials as Optuna's own storage reads them, with nothing in memory."""
    plain = optuna.storages.RDBStorage(store.url.render_as_string(hide_password=False))
    try:
        return plain.get_all_trials(study_id)
    finally:
        plain.engine.dispose()


def new_study(store: Store) -> optuna.Study:
    return optuna.create_study(storage=store.optuna_storage)


def load_study(store: Store, study: optuna.Study) -> optuna.Study:
    return optuna.load_study(study_name=study.study_name, storage=store.optuna_storage)


def test_a_study_that_has_the_number_of_a_deleted_one_is_not_taken_for_it(
    store: Store, other: Store
) -> None:
    """In SQLite the new study and its trials have the numbers of the old."""
    for name, direction, value in (("old", "minimize", 0.25), ("new", "maximize", 0.5)):
        study = optuna.create_study(
            study_name=name, direction=direction, storage=store.optuna_storage
        )
        study_id = study._study_id
        for _ in range(3):
            study.tell(study.ask(), value)
        study.enqueue_trial({"x": value})
        for reader in (store.optuna_storage, other.optuna_storage):
            assert reader.get_study_name_from_id(study_id) == name
            assert reader.get_study_directions(study_id) == study.directions
            assert reader.get_all_trials(study_id) == truth(store, study_id)
            assert reader.get_n_trials(study_id) == 4
        storage = optuna.storages.RDBStorage(store.url.render_as_string(hide_password=False))
        optuna.delete_study(study_name=name, storage=storage)
        storage.engine.dispose()


def test_a_trial_is_at_every_moment_what_the_database_has(store: Store) -> None:
    study = new_study(store)
    storage = store.optuna_storage
    launch_id = store.begin_launch(new_launch(study._study_id))
    study.enqueue_trial({"x": 0.5}, user_attrs={"a": {"b": [1, None]}})

    def check() -> None:
        found = truth(store, study._study_id)
        assert study.get_trials(deepcopy=False) == found
        assert [storage.get_trial(trial._trial_id) for trial in found] == found

    check()
    for last in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.WAITING):
        trial = study.ask()
        check()
        trial.suggest_float("x", 0, 1)
        trial.suggest_int("n", 1, 64, log=True)
        trial.suggest_categorical("c", CHOICES.choices)
        check()
        trial.report(0.5, 1)
        storage.set_trial_intermediate_value(trial._trial_id, 1, 0.25)
        steps = [TrialStep(trial_id=trial._trial_id, step=2, value=-math.inf)]
        store.record_epochs(launch_id, [], steps)
        check()
        storage.set_trial_user_attr(trial._trial_id, "pair", (1, "ä"))
        storage.set_trial_user_attr(trial._trial_id, "pair", (2, "ä"))
        storage.set_trial_system_attr(trial._trial_id, "rung", 0.125)
        check()
        values = [math.inf] if last == TrialState.COMPLETE else None
        storage.set_trial_state_values(trial._trial_id, last, values)
        check()
    assert storage.get_n_trials(study._study_id) == 4
    assert storage.get_n_trials(study._study_id, TrialState.WAITING) == 1
    again = study.ask()
    assert again.params == study.trials[3].params
    check()


def test_what_was_handed_out_stays_as_it_was(store: Store) -> None:
    study = new_study(store)
    trial = study.ask()
    listed = study.get_trials(deepcopy=False)
    alone = store.optuna_storage.get_trial(trial._trial_id)
    trial.suggest_float("x", 0, 1)
    trial.report(0.5, 1)
    trial.set_user_attr("a", 1)
    store.optuna_storage.set_trial_system_attr(trial._trial_id, "rung", 0.125)
    study.tell(trial, 0.5)
    for seen in (*listed, alone):
        assert seen.state == TrialState.RUNNING
        assert (seen.params, seen.user_attrs, seen.system_attrs) == ({}, {}, {})
        assert (seen.intermediate_values, seen.values) == ({}, None)


def test_what_another_process_does_is_seen(store: Store, other: Store) -> None:
    ours = new_study(store)
    theirs = load_study(other, ours)
    mine, yours = ours.ask(), theirs.ask()
    yours.suggest_float("x", 0, 1)
    yours.report(0.5, 1)
    assert ours.trials == theirs.trials == truth(store, ours._study_id)
    yours.report(0.25, 2)
    assert ours.trials[1].intermediate_values == {1: 0.5, 2: 0.25}
    theirs.tell(yours, 0.25)
    mine.report(0.125, 1)
    assert ours.trials == theirs.trials == truth(store, ours._study_id)
    theirs.enqueue_trial({"x": 1.0})
    assert ours.ask().suggest_float("x", 0, 1) == 1.0
    assert theirs.trials[2].state == TrialState.RUNNING
    assert ours.trials == theirs.trials == truth(store, ours._study_id)


def test_a_trial_that_another_process_took_away_is_no_longer_held(
    store: Store, other: Store
) -> None:
    ours = new_study(store)
    mine = ours.ask()
    theirs = load_study(other, ours)
    other.optuna_storage.set_trial_state_values(mine._trial_id, TrialState.WAITING)
    assert ours.trials[0].state == TrialState.WAITING
    other.optuna_storage.set_trial_state_values(mine._trial_id, TrialState.WAITING)
    again = theirs.ask()
    assert again._trial_id == mine._trial_id
    again.report(0.5, 1)
    assert ours.trials == truth(store, ours._study_id)
    assert ours.trials[0].intermediate_values == {1: 0.5}
    theirs.tell(again, 0.5)
    with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):
        store.optuna_storage.set_trial_state_values(mine._trial_id, TrialState.FAIL)
    assert ours.trials == truth(store, ours._study_id)


def test_a_taken_trial_that_was_put_back_and_taken_again_between_two_looks_is_noticed(
    store: Store, other: Store
) -> None:
    ours = new_study(store)
    mine = ours.ask()
    ours.get_trials()
    theirs = load_study(other, ours)
    other.optuna_storage.set_trial_state_values(mine._trial_id, TrialState.WAITING)
    theirs.ask().report(0.75, 1)
    assert ours.trials[0].intermediate_values == {1: 0.75}


def test_a_study_that_is_not_there_is_no_study_without_trials(store: Store, other: Store) -> None:
    study = new_study(store)
    assert study.trials == []
    other.optuna_storage.delete_study(study._study_id)
    with pytest.raises(KeyError):
        store.optuna_storage.get_all_trials(study._study_id)
    with pytest.raises(KeyError):
        store.optuna_storage.create_new_trial(study._study_id)
    with pytest.raises(KeyError):
        store.optuna_storage.get_trial(1)


def test_trials_read_in_bulk_are_those_that_optuna_reads(store: Store) -> None:
    study = new_study(store)
    for i in range(120):
        study.add_trial(
            optuna.trial.create_trial(
                state=[TrialState.COMPLETE, TrialState.PRUNED, TrialState.WAITING][i % 3],
                value=None if i % 3 == 2 else i / 7,
                params={"x": i / 1000, "n": 8, "c": CHOICES.choices[i % 3]},
                distributions={
                    "x": FloatDistribution(0, 1),
                    "n": IntDistribution(0, 64, step=8),
                    "c": CHOICES,
                },
                user_attrs={"text": f"ü{i}"},
                intermediate_values={1: 0.25, 3: math.nan if i % 40 == 0 else 0.5},
            )
        )
    new_study(store).ask()  # Another study's trials are none of this one's.
    with closing(open_store(store.url.render_as_string(hide_password=False))) as fresh:
        found = fresh.optuna_storage.get_all_trials(study._study_id)
        few = fresh.optuna_storage.get_all_trials(study._study_id, states=(TrialState.WAITING,))
    # Values that are no numbers differ from themselves.
    assert repr(found) == repr(truth(store, study._study_id))
    assert [trial.number for trial in few] == list(range(2, 120, 3))


@pytest.fixture
def statements(store: Store) -> Iterator[Callable[[Callable[[], object]], int]]:
    """Counts the statements that some work sends."""
    sent = 0

    def count(*_: object) -> None:
        nonlocal sent
        sent += 1

    def of(work: Callable[[], object]) -> int:
        nonlocal sent
        sent = 0
        work()
        return sent

    sa.event.listen(store.engine, "before_cursor_execute", count)
    yield of
    sa.event.remove(store.engine, "before_cursor_execute", count)


def test_a_held_trial_costs_no_reading(
    store: Store,
    statements: Callable[[Callable[[], object]], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    study = new_study(store)
    for _ in range(20):
        study.tell(study.ask(), 0.5)
    study.get_trials()
    read: list[FrozenTrial] = []

    def noted(*args: object, **kwargs: object) -> list[FrozenTrial]:
        found = trial_reading.read_trials(*args, **kwargs)  # type: ignore[arg-type]
        read.extend(found)
        return found

    monkeypatch.setattr("storage.optuna_rows.steady.read_trials", noted)
    trial = study.ask()
    storage = store.optuna_storage
    assert statements(lambda: storage.get_trial(trial._trial_id)) == 0
    assert statements(study.get_trials) == 1
    trial.report(0.5, 1)
    study.tell(trial, 0.5)
    assert statements(study.get_trials) == 1
    assert len(study.trials) == 21
    assert read == []
