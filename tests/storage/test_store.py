"""The store's contract: every record can be said twice, and reads give back what was written."""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from space.errors import StorageError, StudyNotFoundError
from storage import RunEpoch, RunRecord, Store, TrialStep, open_store
from storage.connect import outage
from storage.connect.engine import parse_url, redact
from storage.tables.schema import metadata
from tests import records
from tests.records import epoch, new_launch, new_study


@pytest.fixture
def store(store: Store) -> Store:
    """A store with studies 1 to 4, of which the third has trials 1 to 8."""
    studies = [optuna.create_study(storage=store.optuna_storage) for _ in range(4)]
    for _ in range(8):
        studies[2].ask()
    return store


def begin_run(
    store: Store, launch_id: int, trial_id: int | None = 7, replicate: int = 0, study_id: int = 3
) -> RunRecord:
    """Begin a run of the store above."""
    return records.begin_run(store, launch_id, trial_id, replicate=replicate, study_id=study_id)


def test_launch_round_trip(store: Store) -> None:
    told = new_launch(3, config={"a": [1, None]}, changes=["b"], git_dirty=True)
    launch_id = store.begin_launch(told)
    (found,) = store.launches(3)
    assert found.launch_id == launch_id
    assert found.status == "running"
    assert found.ended_at is None
    assert {key: getattr(found, key) for key in vars(told)} == vars(told)
    store.beat(launch_id)
    assert store.launches(3)[0].heartbeat_at > found.heartbeat_at
    store.end_launch(launch_id, "done")
    ended = store.launches()[0]
    assert ended.status == "done"
    assert ended.ended_at is not None
    assert ended.ended_at.tzinfo is not None
    assert store.launches(4) == []


def test_study_terms_are_those_of_its_first_launch(store: Store) -> None:
    first = store.add_study(
        new_study(3, identity={"a": 1}, data_source="mnist", data_fingerprint="f")
    )
    again = store.add_study(
        new_study(3, identity={"a": 2}, metrics=["val_loss"], data_fingerprint="g")
    )
    assert again == first
    assert store.study_records() == {3: first}


def test_epochs_are_counted_once_however_often_they_are_said(store: Store) -> None:
    launch_id = store.begin_launch(new_launch(3))
    run = begin_run(store, launch_id)
    for number in (1, 2, 2, 1):
        records.record_epoch(store, run, epoch(number))
    records.record_epoch(store, run, epoch(2, val_error=9.0), best_epoch=2)
    assert store.epochs([run.run_id]) == {run.run_id: [epoch(1), epoch(2)]}
    (found,) = store.runs(3)
    assert (found.n_epochs, found.best_epoch, found.train_seconds) == (2, 1, 4.0)
    assert store.n_epochs(3) == 2
    assert store.n_epochs(4) == 0


def test_epochs_of_several_runs_and_their_reports_are_one_record(store: Store) -> None:
    study = optuna.create_study(storage=store.optuna_storage)
    trials = [study.ask()._trial_id for _ in range(2)]
    launch_id = store.begin_launch(new_launch(3))
    runs = [begin_run(store, launch_id, trial_id).run_id for trial_id in trials]
    for number, values in ((1, (0.5, math.nan)), (2, (-math.inf, math.inf)), (2, (0.25, 0.75))):
        store.record_epochs(
            launch_id,
            [
                RunEpoch(run_id=run_id, epoch=epoch(number), best_epoch=1, worker="w")
                for run_id in runs
            ],
            [
                TrialStep(trial_id=trial_id, step=number, value=value)
                for trial_id, value in zip(trials, values, strict=True)
            ],
        )
    assert store.epochs(runs) == {run_id: [epoch(1), epoch(2)] for run_id in runs}
    assert [(run.n_epochs, run.train_seconds) for run in store.runs(3)] == [(2, 4.0)] * 2
    first, second = (trial.intermediate_values for trial in study.trials)
    assert first == {1: 0.5, 2: 0.25}
    assert math.isnan(second[1])
    assert second[2] == 0.75


@pytest.mark.parametrize("trial", ["ended", "absent"])
def test_epochs_are_not_recorded_without_their_reports(store: Store, trial: str) -> None:
    study = optuna.create_study(storage=store.optuna_storage)
    asked = study.ask()
    study.tell(asked, 0.5)
    launch_id = store.begin_launch(new_launch(3))
    run_id = begin_run(store, launch_id, asked._trial_id).run_id
    step = TrialStep(trial_id=asked._trial_id + (trial == "absent"), step=1, value=0.5)
    record = RunEpoch(run_id=run_id, epoch=epoch(1), best_epoch=1, worker="w")
    with pytest.raises(
        optuna.exceptions.UpdateFinishedTrialError if trial == "ended" else KeyError
    ):
        store.record_epochs(launch_id, [record], [step])
    assert store.epochs([run_id]) == {run_id: []}
    assert store.n_epochs(3) == 0
    assert study.trials[0].intermediate_values == {}


def test_infinite_reports_are_those_that_optuna_reads(store: Store) -> None:
    study = optuna.create_study(storage=store.optuna_storage)
    trial_id = study.ask()._trial_id
    values = {1: math.inf, 2: -math.inf, 3: 0.125}
    steps = [TrialStep(trial_id=trial_id, step=step, value=each) for step, each in values.items()]
    launch_id = store.begin_launch(new_launch(3))
    store.record_epochs(launch_id, [], [*steps[:2], replace(steps[2], value=7.0)])
    store.record_epochs(launch_id, [], steps)  # What was said is said anew.
    assert study.trials[0].intermediate_values == values
    with closing(open_store(store.url.render_as_string(hide_password=False))) as other:
        assert other.optuna_storage.get_trial(trial_id).intermediate_values == values


def test_metrics_that_are_not_finite_are_null(store: Store) -> None:
    launch_id = store.begin_launch(new_launch(3))
    run = begin_run(store, launch_id)
    bad = epoch(1, train_loss=math.nan, val_loss=math.inf)
    records.record_epoch(store, run, bad)
    (found,) = store.epochs([run.run_id])[run.run_id]
    assert math.isnan(found["train_loss"])
    assert math.isnan(found["val_loss"])
    values = sa.select(metadata.tables["search_epoch_metrics"].c.value)
    assert sorted(str(row["value"]) for row in store.rows(values)) == [
        "0.1",
        "0.25",
        "None",
        "None",
    ]
    assert found["train_error"] == 0.25


def test_interrupted_run_goes_on_as_the_same_run(store: Store) -> None:
    first = store.begin_launch(new_launch(3))
    run = begin_run(store, first)
    records.record_epoch(store, run, epoch(1))
    store.end_run(run.run_id, "interrupted", "time limit")
    (ended,) = store.runs(3)
    assert (ended.state, ended.reason) == ("interrupted", "time limit")
    assert ended.ended_at is not None
    second = store.begin_launch(new_launch(3))
    again = begin_run(store, second)
    assert again.run_id == run.run_id
    assert (again.launch_id, again.state, again.n_epochs) == (second, "running", 1)
    assert again.ended_at is None
    assert again.started_at == run.started_at


def test_replicates_and_runs_without_a_trial_are_runs_of_their_own(store: Store) -> None:
    launch_id = store.begin_launch(new_launch(3))
    keys = [(7, 0), (7, 1), (8, 0), (None, 0), (None, 0)]
    runs = [begin_run(store, launch_id, *key).run_id for key in keys]
    assert len(set(runs)) == 5


def test_optuna_alone_reads_the_store(store: Store, store_url: str) -> None:
    study = optuna.create_study(study_name="a", storage=store.optuna_storage)
    study.tell(study.ask(), 0.5)
    store.close()
    storage = optuna.storages.RDBStorage(store_url)
    alone = optuna.load_study(study_name="a", storage=storage)
    assert [trial.value for trial in alone.trials] == [0.5]
    storage.remove_session()
    storage.engine.dispose()


def test_any_text_and_long_ones_come_back(store: Store) -> None:
    text = "ü 漢 '; DROP TABLE x; -- \\" + "x" * 100_000
    launch_id = store.begin_launch(new_launch(3, command=text))
    run = begin_run(store, launch_id)
    store.end_run(run.run_id, "failed", text, traceback=text)
    assert store.launches()[0].command == text
    assert store.runs()[0].reason == text


def test_what_no_text_column_holds_is_replaced_and_long_names_are_cut(store: Store) -> None:
    odd = new_launch(3, command="a\0b\udcff", config={"a": ["\0"]})
    launch_id = store.begin_launch(odd)
    run = begin_run(store, launch_id)
    long = "h" * 300
    records.record_epoch(store, run, epoch(1), best_epoch=1, worker=long)
    store.end_run(run.run_id, "failed", "died: \0\udcff")
    (launch,) = store.launches()
    assert launch.command == "a\ufffdb\ufffd"
    assert launch.config == {"a": ["\0"]}
    (found,) = store.runs()
    assert found.reason == "died: \ufffd\ufffd"
    assert found.worker == long[:255]


@pytest.mark.parametrize("backend", ["sqlite"])
def test_sqlite_runs_in_wal_mode(store: Store) -> None:
    with store.engine.connect() as connection:
        assert connection.execute(sa.text("PRAGMA journal_mode")).scalar() == "wal"


def test_migrations_make_the_schema_of_the_code(store: Store) -> None:
    with store.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_name": lambda name, kind, _: (
                    kind != "table" or str(name) in metadata.tables
                )
            },
        )
        assert compare_metadata(context, metadata) == []


def test_store_of_another_schema_version_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "s.db")
    store = open_store(path)
    with store.engine.begin() as connection:
        connection.execute(sa.text("UPDATE search_schema_version SET version_num = '9999'"))
    store.close()
    with pytest.raises(StorageError, match="schema version is 9999, newer than this release"):
        open_store(path)


def test_missing_study_names_those_there_are(store: Store) -> None:
    optuna.create_study(study_name="siamese", storage=store.optuna_storage)
    with pytest.raises(StudyNotFoundError, match="did you mean 'siamese'"):
        store.study_id("siamse")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda p: None, "there is no such file"),
        (lambda p: p.write_text("no database" * 999), "not a database"),
        (lambda p: p.mkdir(), "this is a directory"),
        (lambda p: p.touch(), "holds no studies"),
    ],
)
def test_what_is_no_store_is_refused_for_reading(tmp_path: Path, make, sentence: str) -> None:
    path = tmp_path / "s.db"
    make(path)
    with pytest.raises(StorageError, match=sentence) as caught:
        open_store(str(path), create=False)
    assert "\n" not in str(caught.value)
    assert "s.db" in str(caught.value)


@pytest.mark.parametrize(
    "url", ["mysql://u:secret@h/d", "sqlite://", "nonsense://", "://", "oracle+x://u:secret@h"]
)
def test_bad_urls_are_one_sentence_without_the_password(url: str) -> None:
    with pytest.raises(StorageError) as caught:
        parse_url(url)
    assert "secret" not in str(caught.value)


def test_password_and_query_are_never_shown() -> None:
    url = parse_url("postgresql://user:secret@host/db?password=secret2")
    assert redact(url) == "postgresql+psycopg://user:***@host/db"


@pytest.mark.parametrize("host", [".", "a..b", "a" * 70])
@pytest.mark.parametrize("url", ["postgresql://user@{}/db", "postgresql:///db?host={}"])
def test_a_host_that_cannot_be_looked_up_is_refused(url: str, host: str) -> None:
    with pytest.raises(StorageError, match="no name that can be looked up"):
        open_store(url.format(host))


def test_an_at_sign_in_a_password_does_not_show_its_end() -> None:
    with pytest.raises(StorageError, match="as %40") as caught:
        parse_url("postgresql://user:two@secret@host/db")
    assert "secret" not in str(caught.value)
    url = parse_url("postgresql://user:two%40secret@host/db")
    assert url.password == "two@secret"
    assert "secret" not in redact(url)


@pytest.mark.parametrize(
    ("where", "is_waited_for"),
    [
        ("127.0.0.1:1/db", True),
        ("/db?host=/no/such/socket", True),
        ("no.such.host.invalid/db", False),
    ],
)
def test_database_that_does_not_answer_is_one_sentence(
    where: str,
    is_waited_for: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pytest.importorskip("psycopg")
    monkeypatch.setattr(outage, "RESTART_SECONDS", 0.5)
    with pytest.raises(StorageError, match="check the URL and that the database is running") as e:
        open_store(f"postgresql://user:secret@{where}")
    assert "secret" not in str(e.value) + caplog.text
    notices = [each for each in caplog.messages if "does not answer" in each]
    assert len(notices) == is_waited_for


@pytest.mark.parametrize(
    "name", ["a?b=c.db", "a#b.db", "50%.db", "a%20b c.db", "é中 {x}.db", "a&b.db"]
)
def test_a_path_is_taken_as_it_is_written(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    open_store(str(path)).close()
    assert {each.name for each in tmp_path.iterdir() if each.suffix == ".db"} == {name}
    again = open_store(str(path), create=False)
    # What is shown, and so what a user pastes, names the same file.
    assert parse_url(again.name) == parse_url(str(path)) == again.url
    again.close()
    open_store(again.name, create=False).close()
    assert {each.name for each in tmp_path.iterdir() if each.suffix == ".db"} == {name}


@pytest.mark.parametrize("url", ["sqlite:///a?b.db", "sqlite:////tmp/a?timeout=5", "sqlite:///a?"])
def test_a_question_mark_cuts_no_path(url: str) -> None:
    with pytest.raises(StorageError, match="write %3F"):
        parse_url(url)
    assert Path(str(parse_url("sqlite:////tmp/a%3Fb.db").database)).name == "a?b.db"
