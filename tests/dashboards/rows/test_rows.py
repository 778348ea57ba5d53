"""Rows: sorted, grouped, cut into pages, and what an address says of them."""

from __future__ import annotations

import datetime
from urllib.parse import parse_qsl

import optuna
import pytest

from dashboards.numbers.rows.rows import PAGE, Column, N, Query, Row, Rows, Spread
from dashboards.numbers.rows.runs import run_rows
from dashboards.numbers.rows.trials import trial_rows
from dashboards.numbers.study.view import read_study
from dashboards.story import how_it_went
from search.api.frames import trial_records
from space.errors import UsageError
from storage import Store
from storage.tables.schema import launches, utc_now
from tests.dashboards.made.bulk_benchmark import add_benchmark
from tests.dashboards.made.bulk_study import add_study
from tests.dashboards.made.reported_benchmark import begin_launch, begin_run, benchmark_config, save
from tests.dashboards.made.shelf import Shelf


def made(*values: tuple[object, ...]) -> Rows:
    """Rows of a number, an error that may lack and a kind."""
    names = ("trial", "error", "kind")
    return Rows(
        columns=tuple(Column(name=name, words=name, is_label=name == "trial") for name in names),
        rows=tuple(
            Row(key=str(each[0]), values=dict(zip(names, each, strict=True)))  # type: ignore[arg-type]
            for each in values
        ),
    )


ROWS = made((0, 0.3, "a"), (1, None, "a"), (2, 0.1, "b"), (3, 0.2, "a"))


def numbers(query: Query) -> list[str | None]:
    """The trials that a query finds, in order."""
    return [row.key for row in ROWS.find(query).rows]


def test_rows_are_sorted_and_what_lacks_a_value_is_last() -> None:
    assert numbers(Query()) == ["0", "1", "2", "3"]
    assert numbers(Query(sort="error")) == ["2", "3", "0", "1"]
    assert numbers(Query(sort="-error")) == ["0", "3", "2", "1"]
    assert numbers(Query(sort="-error", where="kind == 'a'")) == ["0", "3", "1"]


def test_groups_are_means_of_those_that_have_a_value() -> None:
    found = ROWS.find(Query(group="kind", sort="error"))
    assert [column.name for column in found.columns] == ["kind", N, "error"]
    assert [row.values["kind"] for row in found.rows] == ["b", "a"]
    _, a = found.rows
    assert a.values[N] == 3
    assert a.values["error"] == pytest.approx(0.25)
    assert a.spreads["error"] == Spread(2, pytest.approx(0.0707, abs=1e-4), 0.2, 0.3)
    assert found.n_matched == 4


def test_pages_are_cut_and_there_is_none_beyond_the_last() -> None:
    rows = made(*((number, 1.0, "a") for number in range(2 * PAGE + 1)))
    found = rows.find(Query(page=9))
    assert (found.page, found.n_pages) == (3, 3)
    assert [row.key for row in found.on_page] == [str(2 * PAGE)]
    assert rows.find(Query(where="trial < 0")).n_pages == 1


def test_a_column_that_is_not_there_is_refused() -> None:
    for query in (Query(sort="-eror"), Query(group="eror"), Query(columns=("eror",))):
        with pytest.raises(UsageError, match="did you mean 'error'"):
            ROWS.find(query)


def test_an_address_says_what_is_wanted_and_is_read_back() -> None:
    query = Query(where="a < 1 & b", sort="-x y", columns=("trial", "é"), group="kind", page=3)
    address = query.address(page=3)
    assert Query.of(parse_qsl(address)) == query
    # Whatever else changes begins on the first page.
    assert Query.of(parse_qsl(query.address(sort=""))).page == 1
    assert Query().address() == ""
    for page in ("0", "-1", "x", "9" * 50, "²"):
        assert Query.of([("page", page), ("other", "x")]) == Query()


def test_trials_are_rows_with_all_that_is_known_of_them(shelf: Shelf) -> None:
    store, view = (
        shelf.store(n_trials=100, confirmed=True),
        shelf.study(n_trials=100, confirmed=True),
    )
    rows = trial_rows(store, view.study_id)
    assert len(rows.rows) == len(view.trials)
    for row, trial in zip(rows.rows, view.trials, strict=True):
        assert row.values["trial"] == trial.number
        assert row.values.get("val_error") == (trial.values[0] if trial.values else None)
        assert {name: row.values[name] for name in trial.params} == trial.params
        assert row.values["epochs"] == trial.n_epochs
        assert row.values["seconds"] == pytest.approx(trial.seconds)
    kept = [row.values["train_loss"] for row in rows.rows if row.values["state"] == "complete"]
    best = [trial.values[0] for trial in view.trials if trial.state == "COMPLETE"]
    assert kept == pytest.approx([2 * error for error in best])
    found = rows.find(Query(where="state == 'failed' and reason != none"))
    assert len(found.rows) == view.counts["FAIL"] > 0


def test_a_parameter_that_is_called_like_a_column_is_not_lost(store: Store) -> None:
    study = optuna.create_study(study_name="theirs", storage=store.optuna_storage)
    study.optimize(lambda trial: trial.suggest_float("state", 0, 1), n_trials=2)
    rows = trial_rows(store, study._study_id)
    for row, trial in zip(rows.rows, study.trials, strict=True):
        assert row.values["state"] == "complete"
        assert row.values["params.state"] == trial.params["state"]


def test_an_objective_that_is_called_like_a_column_is_not_lost(store: Store) -> None:
    study = optuna.create_study(
        study_name="theirs", storage=store.optuna_storage, directions=["maximize", "minimize"]
    )
    study.set_metric_names(["accuracy", "seconds"])
    study.add_trial(optuna.create_trial(values=[0.75, 12.0]))
    rows = trial_rows(store, study._study_id)
    names = [column.name for column in rows.columns]
    assert len(set(names)) == len(names)
    (row,) = rows.rows
    assert (row.values["accuracy"], row.values["objectives.seconds"]) == (0.75, 12.0)
    assert row.values["seconds"] is None


def test_runs_are_rows_also_those_that_nobody_has_trained(store: Store) -> None:
    record = add_benchmark(store, models=("mlp", "siamese"), n_seeds=4, n_done=3)
    rows = run_rows(store, record)
    assert [(row.values["config"], row.values["seed"]) for row in rows.rows] == [
        (config.name, seed) for config in record.configs for seed in range(4)
    ]
    done = [row for row in rows.rows if row.values["state"] == "complete"]
    assert len(done) == 6
    results = {
        run.run_id: result
        for config in record.configs
        for run, result in store.results(config.config_hashes)
    }
    for row in done:
        run_id = row.values["run"]
        assert isinstance(run_id, int)
        assert row.key == str(run_id)
        assert row.values["test_error"] == results[run_id]["test_error"]
    found = rows.find(Query(group="seed", where="state == 'complete'"))
    assert [row.values[N] for row in found.rows] == [2, 2, 2]


def test_what_a_launch_that_died_trained_is_not_called_running(store: Store) -> None:
    study_id = add_study(store, "made", 20, running=True)
    record = save(store, [benchmark_config("mlp", n_seeds=1)])
    begin_run(store, begin_launch(store), record.configs[0], 0, n_epochs=2)

    def states() -> list[object]:
        view = read_study(store, "made")
        own = [row.values["state"] for row in trial_rows(store, study_id).rows]
        (run,) = run_rows(store, record).rows
        n_running = [own.count("running"), view.counts["RUNNING"]]
        n_running.append([row["state"] for row in trial_records(view)].count("RUNNING"))
        return [*n_running, run.values["state"]]

    assert states() == [4, 4, 4, "running"]
    assert "4 running" in how_it_went(read_study(store, "made"), is_running=True)[0]
    past = utc_now() - datetime.timedelta(hours=1)
    with store.engine.begin() as connection:
        connection.execute(launches.update().values(heartbeat_at=past))
    assert states() == [0, 0, 0, "interrupted"]
    assert trial_rows(store, study_id).rows[19].values["state"] == "interrupted"
    assert "6 waiting" in how_it_went(read_study(store, "made"), is_running=False)[0]


def test_rows_of_several_replicates_are_their_means(store: Store) -> None:
    study_id = add_study(store, grid=3)
    rows = trial_rows(store, study_id)
    run_ids = {run.trial_id: [] for run in store.runs(study_id, "search")}
    for run in store.runs(study_id, "search"):
        run_ids[run.trial_id].append(run)
    first = run_ids[min(run_ids, key=lambda each: each or 0)]
    epochs = store.epochs(run.run_id for run in first)
    kept = [epochs[run.run_id][(run.best_epoch or 1) - 1]["val_loss"] for run in first]
    assert len(kept) == 3
    assert rows.rows[0].values["val_loss"] == pytest.approx(sum(kept) / 3)
