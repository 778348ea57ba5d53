"""The first page's numbers: counted by the database, the same as those of whole trials."""

from __future__ import annotations

import datetime

import optuna
import pytest

from dashboards.numbers.overview import Overview, read_overview
from storage import Store
from storage.benchmarks import load_benchmarks
from storage.summaries.overview import describe_study
from storage.summaries.study import StudyGlance, benchmark_version, study_names, study_version
from storage.tables import schema
from tests.conftest import BACKENDS
from tests.dashboards.made.bulk_benchmark import add_benchmark
from tests.dashboards.made.bulk_rows import HOSTILE
from tests.dashboards.made.bulk_study import add_study
from tests.records import begin_launch


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """The kind of database that `store` is."""
    return str(request.param)


def summary_of(overview: Overview, name: str) -> StudyGlance:
    """The row of a study."""
    return next(study for study in overview.studies if study.name == name)


def test_an_empty_store(store: Store) -> None:
    assert read_overview(store) == Overview(studies=(), benchmarks=(), confirmations={}, tables=())


def test_counts_and_values_are_those_of_whole_trials(store: Store) -> None:
    add_study(store, "plain", 40)
    add_study(store, "alive", 40, running=True)
    add_study(store, "two", 20, two_objectives=True)
    add_study(store, hostile=True, n_trials=10)
    overview = read_overview(store)
    # `describe_study` reads whole trials, where the overview lets the database count.
    for known in (describe_study(store, study.name) for study in overview.studies):
        row = summary_of(overview, known["study"])
        assert row.counts == known["trials_by_state"]
        assert row.best == known["best"]["values"][0]
        assert [metric.name for metric in row.metrics] == known["metrics"]
        assert row.data_source == known["data_source"]
        assert row.n_trials == len(known["trials"])
    assert {study.name for study in overview.studies} >= {"plain", HOSTILE}
    assert set(study_names(store).values()) >= {"plain", HOSTILE}


def test_best_and_baseline_follow_the_direction(store: Store) -> None:
    study = optuna.create_study(study_name="up", storage=store.optuna_storage, direction="maximize")
    for value in (1.0, 3.0, 2.0):
        study.tell(study.ask(), value)
    study.tell(study.ask(), state=optuna.trial.TrialState.FAIL)
    baseline = study.ask()
    baseline.set_user_attr("baseline", {})
    study.tell(baseline, 1.5)
    glance = summary_of(read_overview(store), "up")
    assert (glance.best, glance.baseline) == (3.0, 1.5)
    assert glance.counts["FAIL"] == 1


def test_a_value_that_is_not_finite_is_no_best(store: Store) -> None:
    study = optuna.create_study(study_name="inf", storage=store.optuna_storage)
    study.tell(study.ask(), float("inf"))
    assert summary_of(read_overview(store), "inf").best is None
    study.tell(study.ask(), 7.0)
    assert summary_of(read_overview(store), "inf").best == 7.0


def test_running_is_told_by_the_heartbeat(store: Store) -> None:
    study = optuna.create_study(study_name="s", storage=store.optuna_storage)
    launch_id = begin_launch(
        store, study._study_id, config={"budget": {"trials": 12, "epochs": 300}}
    )
    row = summary_of(read_overview(store), "s")
    assert (row.is_running, row.status) == (True, "running")
    assert (row.asked("trials"), row.asked("epochs")) == (12, 300)
    before = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    with store.engine.begin() as connection:
        connection.execute(schema.launches.update().values(heartbeat_at=before))
    row = summary_of(read_overview(store), "s")
    assert (row.is_running, row.status) == (False, "died")
    store.end_launch(launch_id, "time limit")
    assert summary_of(read_overview(store), "s").status == "time limit"


def test_trials_of_a_launch_that_died_wait_for_the_next(store: Store) -> None:
    add_study(store, "alive", 40, running=True)
    row = summary_of(read_overview(store), "alive")
    n_running, n_waiting = row.counts["RUNNING"], row.counts["WAITING"]
    assert n_running > 0
    assert row.counts["INTERRUPTED"] == 0
    before = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    with store.engine.begin() as connection:
        connection.execute(schema.launches.update().values(heartbeat_at=before))
    row = summary_of(read_overview(store), "alive")
    assert (row.counts["RUNNING"], row.counts["INTERRUPTED"]) == (0, n_running)
    assert row.to_be_shown["WAITING"] == n_waiting + n_running
    assert sum(row.to_be_shown.values()) == row.n_trials


def test_what_was_active_last_comes_first(store: Store) -> None:
    for name in ("first", "second"):
        study = optuna.create_study(study_name=name, storage=store.optuna_storage)
        begin_launch(store, study._study_id)
    names = [study.name for study in read_overview(store).studies]
    assert names == ["second", "first"]


def test_benchmarks_are_counted_run_by_run(store: Store) -> None:
    record = add_benchmark(store, models=("mlp", "siamese"), n_seeds=10, n_done=4)
    (row,) = read_overview(store).benchmarks
    assert row.record == load_benchmarks(store)[0]
    assert (row.n_done, row.n_asked) == (8, 20)
    assert row.best is not None
    assert row.best[0] == "siamese"
    assert row.reference_value is not None
    assert row.best[1] < row.reference_value
    results = store.results(record.configs[1].config_hashes)
    mean = sum(result["test_error"] for _, result in results) / len(results)
    assert row.best[1] == pytest.approx(mean)
    assert not row.is_running


def test_a_version_changes_with_what_is_seen_and_with_nothing_else(store: Store) -> None:
    study = optuna.create_study(study_name="s", storage=store.optuna_storage)
    other = optuna.create_study(study_name="other", storage=store.optuna_storage)
    study_id = study._study_id
    launch_id = begin_launch(store, study_id)
    seen = [study_version(store, study_id)]

    def changed() -> bool:
        seen.append(study_version(store, study_id))
        return seen[-1] not in seen[:-1]

    trial = study.ask()
    assert changed()
    trial.report(0.5, 1)
    assert changed()
    trial.report(0.4, 2)
    assert changed()
    store.beat(launch_id)
    assert not changed()
    other.tell(other.ask(), 1.0)
    assert not changed()
    study.tell(trial, 0.4)
    assert changed()
    store.end_launch(launch_id, "done")
    assert changed()


def test_another_study_of_the_same_number_has_another_version(store: Store) -> None:
    seen = set()
    for name in ("same", "same", "other"):
        study = optuna.create_study(study_name=name, storage=store.optuna_storage)
        seen.add(study_version(store, study._study_id))
        study.tell(study.ask(), 0.5)
        seen.add(study_version(store, study._study_id))
        optuna.delete_study(study_name=name, storage=store.optuna_storage)
    assert len(seen) == 5  # Two that were empty looked the same.


def test_a_benchmarks_version_changes_with_its_runs(store: Store) -> None:
    record = add_benchmark(store, models=("mlp",), n_seeds=4, n_done=2)
    first = benchmark_version(store, record)
    assert benchmark_version(store, record) == first
    add_benchmark(store, "other", models=("convnet",), n_seeds=2)
    assert benchmark_version(store, record) == first
    again = add_benchmark(store, models=("mlp",), n_seeds=4, n_done=3)
    assert benchmark_version(store, again) != first
