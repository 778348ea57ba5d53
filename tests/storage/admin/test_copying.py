"""Copies of studies and benchmarks hold all that was there, once, whatever the database."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy as sa
from optuna.trial import TrialState

from space.errors import StorageError, StudyMismatchError, StudyNotFoundError
from storage import Store, open_store
from storage.__main__ import main
from storage.admin.copying import copy_store
from storage.benchmarks import load_benchmarks
from storage.tables import schema
from storage.tables.records import RunRecord
from tests.dashboards.made.bulk_benchmark import add_benchmark
from tests.dashboards.made.bulk_rows import HOSTILE
from tests.dashboards.made.bulk_study import add_study
from tests.records import begin_run, epoch, new_launch, record_epoch


def content(store: Store) -> dict[str, Any]:
    """All that a store holds, without the numbers that it gives its rows."""
    launches = {launch.launch_id: launch for launch in store.launches()}
    studies = {}
    trials: dict[int | None, tuple[str, int]] = {}
    storage = optuna.storages.RDBStorage(store.url.render_as_string(hide_password=False))
    for study in storage.get_all_studies():
        frozen = copy.deepcopy(storage.get_all_trials(study._study_id))
        for trial in frozen:
            trials[trial._trial_id] = (study.study_name, trial.number)
            trial._trial_id = 0
        studies[study.study_name] = {
            "directions": study.directions,
            "attributes": (study.user_attrs, study.system_attrs),
            "trials": frozen,
            "order": [list(trial.params) for trial in frozen],
            "record": {
                **vars(store.study_records()[study._study_id]),
                "study_id": 0,
            }
            if study._study_id in store.study_records()
            else None,
            "launches": [
                {**vars(launch), "launch_id": 0, "study_id": 0, "silence": 0}
                for launch in store.launches(study._study_id)
            ],
        }
    storage.remove_session()
    storage.engine.dispose()

    def run_of(run: RunRecord) -> dict[str, Any]:
        launch = launches[run.launch_id]
        return {
            **vars(run),
            "run_id": 0,
            "study_id": run.study_id is not None,
            "trial_id": trials.get(run.trial_id),
            "launch_id": (launch.host, launch.pid, launch.started_at),
        }

    uids = {run.run_id: run.uid for run in store.runs()}
    with store.engine.connect() as connection:
        reported = {
            (uids[row.run_id], row.epoch): (
                row.reported_at,
                launches[row.launch_id].started_at,
            )
            for row in connection.execute(sa.select(schema.epochs))
        }
    runs = store.runs()
    results = store.results({run.config_hash for run in runs})
    return {
        "studies": studies,
        "runs": {run.uid: run_of(run) for run in runs},
        "epochs": {uids[run_id]: rows for run_id, rows in store.epochs(uids).items()},
        "reported": reported,
        "results": {run.uid: {**vars(result), "run_id": 0} for run, result in results},
        "benchmarks": [{**vars(each), "benchmark_id": 0} for each in load_benchmarks(store)],
    }


@pytest.fixture(scope="module")
def source_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Studies of every kind, one of another tool's, and a benchmark."""
    path = tmp_path_factory.mktemp("source") / "s.db"
    with closing(open_store(str(path))) as store:
        add_study(store, "made", 40, running=True, confirmed=True)
        add_study(store, "two", 12, two_objectives=True)
        add_study(store, hostile=True, n_trials=12)
        add_study(store, "grid", grid=2)
        add_benchmark(store, models=("mlp", "siamese"), n_seeds=3, n_done=2)
        theirs = optuna.create_study(study_name="theirs", storage=store.optuna_storage)
        theirs.set_user_attr("note", {"a": [1]})
        odd = [float("nan"), float("inf"), -float("inf"), 1e-300]
        asked = theirs.ask()
        for step, value in enumerate(odd):
            asked.report(value, step)
        theirs.tell(asked, float("inf"))
    return path


@pytest.fixture
def source(source_file: Path, tmp_path: Path) -> Iterator[Store]:
    shutil.copyfile(source_file, tmp_path / "source.db")
    with closing(open_store(str(tmp_path / "source.db"))) as store:
        yield store


@pytest.fixture
def target(store: Store) -> Store:
    return store


def test_a_round_trip_gives_all_back_and_replacing_changes_nothing(
    source: Store, target: Store, tmp_path: Path
) -> None:
    before = content(source)
    done = copy_store(source, target)
    assert set(done.studies) == {"made", "two", "grid", "theirs", HOSTILE}
    assert set(done.studies.values()) | set(done.benchmarks.values()) == {"copied"}
    assert done.n_runs == len(before["runs"]) > 0
    assert done.n_epochs == sum(len(rows) for rows in before["epochs"].values())
    assert same(content(target), before)
    again = copy_store(source, target, replace=True)
    assert set(again.studies.values()) | set(again.benchmarks.values()) == {"replaced"}
    assert (again.n_runs, again.n_epochs) == (done.n_runs, done.n_epochs)
    assert same(content(target), before)
    with closing(open_store(str(tmp_path / "back.db"))) as back:
        copy_store(target, back)
        assert same(content(back), before)


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether contents are equal, NaN being itself; one study after the other, for the eye."""
    assert one["studies"].keys() == other["studies"].keys()
    for name, study in one["studies"].items():
        assert repr(study) == repr(other["studies"][name])
    for part in ("runs", "epochs", "reported", "results", "benchmarks"):
        assert one[part] == other[part]
    return True


def test_a_copy_goes_on_as_a_study(source: Store, target: Store) -> None:
    copy_store(source, target, studies=["made"])
    study = optuna.load_study(study_name="made", storage=target.optuna_storage)
    n_trials = len(study.trials)
    waiting = study.ask()
    assert waiting.number < n_trials
    numbers = [study.ask().number for _ in range(2)]
    assert numbers[-1] == n_trials
    launch_id = target.begin_launch(new_launch(study._study_id))
    run = begin_run(target, launch_id, waiting._trial_id, study_id=study._study_id)
    assert run.n_epochs == 0


def test_only_what_is_named_is_copied(source: Store, target: Store) -> None:
    copy_store(source, target, studies=["two", "grid", "two"])
    assert set(content(target)["studies"]) == {"two", "grid"}
    assert load_benchmarks(target) == []
    copy_store(source, target, benchmarks=True)
    assert set(content(target)["studies"]) == {"two", "grid"}
    assert content(target)["benchmarks"] == content(source)["benchmarks"]
    assert len(target.runs(purpose="benchmark")) == len(source.runs(purpose="benchmark")) > 0


def test_what_went_on_in_the_source_takes_the_place_of_what_was_there(
    source: Store, target: Store
) -> None:
    copy_store(source, target)
    study = optuna.load_study(study_name="made", storage=source.optuna_storage)
    run = next(run for run in source.runs(study._study_id) if run.state == "running")
    for launch in source.launches():
        source.end_launch(launch.launch_id, "done")
    number = run.n_epochs + 1
    record_epoch(source, run, epoch(number))
    source.optuna_storage.set_trial_intermediate_value(run.trial_id, number, 0.1)
    source.optuna_storage.set_trial_state_values(run.trial_id, TrialState.COMPLETE, [0.1])
    source.end_run(run.run_id, "complete")
    behind = next(run for run in source.runs(purpose="benchmark"))
    with target.engine.begin() as connection:  # The target has it as it was an epoch ago.
        table = schema.runs
        values = {"n_epochs": behind.n_epochs - 1, "state": "interrupted"}
        connection.execute(table.update().where(table.c.uid == behind.uid).values(values))
    before = content(source)
    done = copy_store(source, target, studies=["made"], benchmarks=True, replace=True)
    assert done.studies == {"made": "replaced"}
    assert same(content(target), before)


def test_what_is_there_is_refused_and_nothing_is_written(source: Store, target: Store) -> None:
    copy_store(source, target, studies=["two"])
    before = content(target)
    with pytest.raises(StudyMismatchError, match=r"it has study 'two' already; say --replace"):
        copy_store(source, target)
    assert same(content(target), before)
    copy_store(source, target, benchmarks=True)
    before = content(target)
    with pytest.raises(StudyMismatchError, match=r"it has benchmark .* already; say --replace"):
        copy_store(source, target, studies=["grid"], benchmarks=True)
    assert same(content(target), before)


def test_a_study_that_the_target_has_under_another_name_is_refused(
    source: Store, target: Store
) -> None:
    copy_store(source, target, studies=["two"])
    with target.engine.begin() as connection:
        connection.execute(sa.text("UPDATE studies SET study_name = 'renamed'"))
    with pytest.raises(StudyMismatchError, match="under another name"):
        copy_store(source, target, studies=["two"])


def test_what_a_launch_works_on_is_not_replaced(source: Store, target: Store) -> None:
    copy_store(source, target, studies=["made"], benchmarks=True)
    before = content(target)["studies"]["made"]["trials"]
    for study_id in (target.study_id("made"), None):
        launch_id = target.begin_launch(new_launch(study_id))
        with pytest.raises(StorageError, match=r"works on .* now"):
            copy_store(source, target, studies=["made"], benchmarks=True, replace=True)
        target.end_launch(launch_id, "done")
        assert repr(content(target)["studies"]["made"]["trials"]) == repr(before)
    copy_store(source, target, studies=["made"], benchmarks=True, replace=True)


def test_the_command(source: Store, target: Store, capsys: pytest.CaptureFixture[str]) -> None:
    url = target.url.render_as_string(hide_password=False)
    arguments = ["copy", "--from", str(source.url.database), "--to", url]
    assert main([*arguments, "--study", "two"]) == 0
    assert "copied    study two" in capsys.readouterr().out
    with pytest.raises(StudyMismatchError, match="say --replace"):
        main(arguments)
    assert main([*arguments, "--replace", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["studies"]["two"] == "replaced"
    assert found["studies"]["made"] == "copied"
    with pytest.raises(StudyNotFoundError, match="did you mean 'two'"):
        main([*arguments, "--study", "twoo"])
    with pytest.raises(StorageError, match="cannot be copied into itself"):
        main(["copy", "--from", url, "--to", url])
