"""What deleted studies had left in stores of older releases goes with the upgrade, and no more."""

from __future__ import annotations

import datetime
import json
import re
import shutil
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy as sa
from optuna.trial import TrialState

from storage import Store, open_store
from storage.__main__ import main
from storage.connect.engine import parse_url
from storage.connect.versions import migrate
from storage.migrations.versions import v0003_owned_rows
from storage.tables.attributes import FAIL_REASON

DAY = datetime.datetime(2026, 1, 1)
CHANGED = "its config was changed by the space file after it was interrupted"


class Old:
    """A store of an older release, written row by row; hours are counted from one day on."""

    def __init__(self, url: str) -> None:
        if url.startswith("sqlite"):
            Path(str(parse_url(url).database)).parent.mkdir(parents=True, exist_ok=True)
        storage = optuna.storages.RDBStorage(url)
        for name in ("renumbered", "sound", "not begun"):
            optuna.create_study(study_name=name, storage=storage)
        storage.remove_session()
        storage.engine.dispose()
        self._engine = sa.create_engine(url, poolclass=sa.NullPool)
        with self._engine.begin() as connection:
            migrate(connection, "0002")
            self._tables = sa.MetaData()
            self._tables.reflect(connection)

    def add(self, table: str, **values: Any) -> None:
        with self._engine.begin() as connection:
            connection.execute(self._tables.tables[table].insert().values(values))

    def launch(self, launch_id: int, study_id: int, hour: float) -> None:
        """Begun and heard of last in an hour."""
        self.add(
            "search_launches",
            launch_id=launch_id,
            study_id=study_id,
            status="done",
            started_at=at(hour),
            heartbeat_at=at(hour),
            host="h",
            pid=1,
            command="c",
            config={},
            changes=[],
            versions={},
            hardware={},
            data_source="d",
            data_fingerprint="f",
        )

    def terms(self, study_id: int) -> None:
        self.add(
            "search_studies",
            study_id=study_id,
            created_at=at(0),
            identity={},
            metrics=["val_error"],
            data_source="d",
            data_fingerprint="f",
        )

    def trial(
        self,
        trial_id: int,
        study_id: int,
        state: str,
        start: float | None = None,
        end: float | None = None,
        n_reports: int = 0,
        reason: str | None = None,
    ) -> None:
        self.add(
            "trials",
            trial_id=trial_id,
            number=trial_id - 1,
            study_id=study_id,
            state=state,
            datetime_start=None if start is None else at(start),
            datetime_complete=None if end is None else at(end),
        )
        for step in range(1, n_reports + 1):
            self.add(
                "trial_intermediate_values",
                trial_id=trial_id,
                step=step,
                intermediate_value=0.5,
                intermediate_value_type="FINITE",
            )
        if reason is not None:
            text = json.dumps(reason)
            self.add("trial_user_attributes", trial_id=trial_id, key=FAIL_REASON, value_json=text)

    def run(
        self,
        run_id: int,
        study_id: int,
        trial_id: int,
        launch_id: int,
        state: str,
        epochs: list[float],
        end: float | None,
        *,
        replicate: int = 0,
        start: float | None = None,
    ) -> None:
        """A run whose epochs were reported in some hours; it began with the first of them."""
        self.add(
            "search_runs",
            run_id=run_id,
            uid=f"u{run_id}",
            launch_id=launch_id,
            study_id=study_id,
            trial_id=trial_id,
            purpose="search",
            replicate=replicate,
            config_hash="h",
            config={},
            state=state,
            started_at=at(epochs[0] if start is None else start),
            ended_at=None if end is None else at(end),
            n_epochs=len(epochs),
            train_seconds=1.0,
        )
        for epoch, hour in enumerate(epochs, start=1):
            self.add(
                "search_epochs",
                run_id=run_id,
                epoch=epoch,
                launch_id=launch_id,
                seconds=1.0,
                reported_at=at(hour),
            )


def at(hour: float) -> datetime.datetime:
    return DAY + datetime.timedelta(hours=hour)


@pytest.fixture
def old(store_url: str) -> Old:
    return Old(store_url)


def test_what_deleted_studies_have_left_goes(old: Old, store_url: str) -> None:
    for study_id in (1, 3, 77):
        old.terms(study_id)
    old.launch(1, 1, 1)  # of the study that had number 1 before
    old.launch(2, 1, 5)
    old.launch(3, 77, 1)
    old.launch(4, 3, 1)  # of one that had number 3; the new one was refused for its terms
    old.trial(1, 1, "FAIL", 5, 5, reason=CHANGED)
    old.trial(2, 1, "COMPLETE", 5, 6, n_reports=2)
    old.trial(3, 1, "WAITING")
    old.trial(4, 1, "COMPLETE", 5, 6)
    old.run(1, 1, 1, 2, "failed", [1, 1], 5)  # taken for the new trial's
    old.run(2, 1, 2, 2, "complete", [5.5, 6], 6)
    old.run(3, 1, 3, 1, "interrupted", [1], 1)
    old.run(4, 1, 4, 1, "complete", [1, 1], 1)  # the new trial is another tool's
    old.run(5, 1, 88, 1, "complete", [1], 1)
    old.run(6, 77, 89, 3, "complete", [1], 1)
    old.add("search_epochs", run_id=99, epoch=1, launch_id=3, seconds=1.0, reported_at=at(1))
    assert main(["upgrade", "--storage", store_url]) == 0
    store = open_store(store_url)
    assert [run.uid for run in store.runs()] == ["u2"]
    assert store.n_epochs(1) == 2
    assert [launch.launch_id for launch in store.launches()] == [2]
    assert list(store.study_records()) == [1]
    with store.engine.connect() as connection:
        assert connection.execute(sa.text("SELECT COUNT(*) FROM search_epochs")).scalar() == 2
    # What failed by a leftover alone is tried again.
    trials = store.optuna_storage.get_all_trials(1)
    waiting, complete = TrialState.WAITING, TrialState.COMPLETE
    assert [trial.state for trial in trials] == [waiting, complete, waiting, complete]
    assert trials[0].user_attrs == {}
    assert trials[0].datetime_complete is None
    store.close()


def test_what_is_a_studys_own_stays(old: Old, store_url: str) -> None:
    old.terms(2)
    old.launch(1, 2, 0.5)  # stopped before its first trial
    old.launch(2, 2, 2)
    old.launch(3, 2, 6)
    old.trial(1, 2, "COMPLETE", 1, 2, n_reports=2)
    old.trial(2, 2, "FAIL", 5, 5, n_reports=1, reason=CHANGED)
    old.trial(3, 2, "WAITING", 1, n_reports=1)
    old.trial(4, 2, "PRUNED", 5, 5, n_reports=1)  # decided on when it was taken up again
    old.trial(5, 2, "RUNNING", 5, n_reports=1)
    old.run(1, 2, 1, 2, "complete", [1.5, 2], 2)
    old.run(2, 2, 2, 3, "failed", [1], 5)
    old.run(3, 2, 3, 2, "interrupted", [1], 2)
    old.run(4, 2, 4, 3, "pruned", [1], 5)
    old.run(5, 2, 5, 2, "interrupted", [1], 2)
    assert main(["upgrade", "--storage", store_url]) == 0
    store = open_store(store_url)
    assert len(store.runs()) == 5
    assert store.n_epochs(2) == 6
    assert [launch.launch_id for launch in store.launches()] == [1, 2, 3]
    assert list(store.study_records()) == [2]
    states = [trial.state.name for trial in store.optuna_storage.get_all_trials(2)]
    assert states == ["COMPLETE", "FAIL", "WAITING", "PRUNED", "RUNNING"]
    store.close()


def rows_of(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """Table -> its rows."""
    tables = sa.MetaData()
    with store.engine.connect() as connection:
        tables.reflect(connection)
        return {
            table.name: sorted(map(tuple, connection.execute(sa.select(table))), key=repr)
            for table in tables.sorted_tables
        }


def test_replicates_that_were_interrupted_before_they_reported_stay(
    old: Old, store_url: str
) -> None:
    old.terms(2)
    old.launch(1, 2, 1)
    old.launch(2, 2, 5)
    old.trial(1, 2, "FAIL", 5, 5, reason=CHANGED)
    old.run(1, 2, 1, 2, "failed", [1, 1, 2], 5)
    old.run(2, 2, 1, 2, "failed", [], 5, replicate=1, start=1)
    assert main(["upgrade", "--storage", store_url]) == 0
    store = open_store(store_url)
    assert [run.n_epochs for run in store.runs()] == [3, 0]
    (trial,) = store.optuna_storage.get_all_trials(2)
    assert trial.state == TrialState.FAIL
    assert trial.user_attrs == {FAIL_REASON: CHANGED}
    store.close()


def test_a_clock_that_was_set_back_costs_no_run(old: Old, store_url: str) -> None:
    old.add("study_directions", study_id=3, direction="MINIMIZE", objective=1)
    for study_id in (1, 2, 3):
        old.terms(study_id)
        old.launch(study_id, study_id, 5)
    old.trial(1, 1, "COMPLETE", 5, 4.5, n_reports=2)
    old.trial(2, 1, "FAIL", 5, 4.5, n_reports=1)  # killed before its last report, and failed then
    old.trial(3, 1, "FAIL", 5, 5, reason=CHANGED)  # the same, after its first epoch
    old.trial(4, 2, "COMPLETE", 5, 4.5, n_reports=2)  # of two replicates
    old.trial(5, 3, "COMPLETE", 5, 4.5)  # of two objectives
    old.trial(6, 1, "COMPLETE", 4, 4.5)  # its run began later
    for trial_id, study_id in ((1, 1), (2, 1), (4, 2), (5, 3)):
        old.run(trial_id, study_id, trial_id, study_id, "complete", [4.1, 4.2], 4.5)
    old.run(3, 1, 3, 1, "failed", [4.1], 5)
    old.run(14, 2, 4, 2, "complete", [4.1, 4.2, 4.3], 4.5, replicate=1)
    old.run(6, 1, 6, 1, "complete", [3.1, 3.2], 3.5, start=4)
    assert main(["upgrade", "--storage", store_url]) == 0
    store = open_store(store_url)
    assert len(store.runs()) == 7
    states = [trial.state.name for trial in store.optuna_storage.get_all_trials(1)]
    assert states == ["COMPLETE", "FAIL", "FAIL", "COMPLETE"]
    store.close()


def test_the_published_study_store_has_nothing_to_clear(tmp_path: Path) -> None:
    published = Path(__file__).parents[3] / "docs" / "reproduction.db"
    store = open_store(str(shutil.copy(published, tmp_path)))
    before = rows_of(store)
    with store.engine.begin() as connection:
        v0003_owned_rows._clear_leftovers(connection)
    assert rows_of(store) == before
    assert len(before["search_runs"]) > 100
    store.close()


def test_clearing_compares_no_row_with_a_list_of_all(old: Old, store_url: str) -> None:
    """`NOT IN` a query is quadratic in a large PostgreSQL store."""
    old.launch(1, 1, 1)
    statements: list[str] = []

    def listen(*args: Any) -> None:
        statements.append(args[2])

    sa.event.listen(sa.Engine, "before_cursor_execute", listen)
    try:
        assert main(["upgrade", "--storage", store_url]) == 0
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", listen)
    assert sum("search_epochs" in each and each.startswith("DELETE") for each in statements)
    assert not [each for each in statements if re.search(r"NOT IN\s*\(\s*SELECT", each)]
