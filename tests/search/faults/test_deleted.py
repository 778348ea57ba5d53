"""What another program deletes is adopted by nobody, and ends the launch that works on it."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import optuna
import pytest
import sqlalchemy as sa
from optuna.storages._rdb import models
from optuna.trial import TrialState

from search.launch.confirm import confirm_queue
from search.launch.plan import Plan
from search.launch.progress import LiveProgress, Terminal
from search.runs.lease import HEARTBEAT_SECONDS, sweep_checkpoints
from search.runs.protocol import Report
from search.runs.queue import RunQueue
from search.runs.stopping import Stopping
from search.trials.ledger import Ledger
from search.workers.ray_session import Slots
from search.workers.train_queue import QueueProgress
from space.errors import DeletedError
from storage import Store, open_store
from storage.admin.check import check_store
from storage.tables import schema
from tests.records import epoch
from tests.search.conftest import opened, run_search
from trainables.shipped.digit_pairs.config import DIGIT_PAIRS

from ...conftest import BACKENDS
from ..conftest import Recorder, new_ledger, work

MakePlan = Callable[..., Plan]
TRIALS = models.TrialModel.__table__
GONE = r"another program deleted the study that launch 1 worked on; run the same command again"


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """The kind of database that `store` is."""
    return str(request.param)


def delete_all(store: Store) -> None:
    """As another program does: through a storage of its own."""
    storage = optuna.storages.RDBStorage(store.url.render_as_string(hide_password=False))
    for name in optuna.get_all_study_names(storage):
        optuna.delete_study(study_name=name, storage=storage)
    storage.remove_session()
    storage.engine.dispose()


@pytest.mark.parametrize("backend", ["sqlite"])  # Where numbers are given anew.
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(
            {"study": "other", "budget": {"trials": 2, "epochs": 20}}, id="another name, in epochs"
        ),
        pytest.param({"training": {"epochs": 5}, "study": "other"}, id="other terms"),
        pytest.param({}, id="the same again"),
    ],
)
def test_the_next_study_begins_with_nothing(
    plan_for: MakePlan, store: Store, changes: dict[str, object]
) -> None:
    plan = plan_for(budget={"trials": 4})
    first, _ = new_ledger(plan, store, Recorder())
    work(first, plan)
    uids = {run.uid for run in store.runs()}
    delete_all(store)
    plan = plan_for(**{"budget": {"trials": 4}, **changes})
    ledger, study = new_ledger(plan, store, Recorder())
    assert ledger.n_epochs == 0
    work(ledger, plan)
    ledger.interrupt("the budget is spent")
    states = {trial.state for trial in study.trials if trial.state != TrialState.WAITING}
    assert states == {TrialState.COMPLETE}
    # A checkpoint lies under its run's uid.
    assert not uids & {run.uid for run in store.runs()}
    store.end_launch(ledger._launch_id, "done")
    assert [launch.launch_id for launch in store.launches()] == [2]
    assert check_store(store).findings == []


def ask(ledger: Ledger) -> None:
    ledger.next_assignment()


def report(ledger: Ledger) -> None:
    for run_id, trial in list(ledger._by_run.items()):
        progress = trial.runs[run_id]
        news = Report(
            run_id=run_id,
            epoch=epoch(progress.n_epochs + 1),
            evaluation=None,
            failure=None,
            warning=None,
            worker="w",
        )
        ledger.report([news])


def fail(ledger: Ledger) -> None:
    for run_id in list(ledger._by_run):
        ledger.fail(run_id, "it is broken")


def beat(ledger: Ledger) -> None:
    ledger._lease._renewed -= HEARTBEAT_SECONDS
    ledger.renew()


@pytest.mark.parametrize("event", [ask, report, fail, beat])
@pytest.mark.parametrize("renumbered", [False, True], ids=["gone", "renumbered"])
def test_a_study_that_disappears_ends_its_launch_with_one_sentence(
    plan_for: MakePlan, store: Store, event: Callable[[Ledger], None], renumbered: bool
) -> None:
    plan = plan_for()
    ledger, _ = new_ledger(plan, store, Recorder())
    work(ledger, plan, n_steps=2)
    delete_all(store)
    other = None
    if renumbered:  # In SQLite this is a study of the same numbers.
        elsewhere = open_store(store.url.render_as_string(hide_password=False))
        other, theirs = new_ledger(plan_for(study="other"), elsewhere, Recorder())
        assert other.next_assignment() is not None
        before = rows(store)
    with pytest.raises(DeletedError, match=GONE) as caught:
        event(ledger)
    assert "\n" not in str(caught.value)
    with suppress(DeletedError):  # Where it is time for a heartbeat.
        ledger.interrupt("the launch was failed")
    with pytest.raises(DeletedError, match=GONE):
        store.end_launch(1, "failed")
    if other is not None:
        assert rows(store) == before
        assert [trial.state for trial in theirs.trials] == [TrialState.RUNNING]
        elsewhere.close()


HALF = {"trials": 12, "time_limit": "24h"}
BEGUN = -13 * 3600.0
"""Seconds from now, at which such a launch began: there is less than half of its time left."""


def reports(ledger: Ledger, on_step: Callable[[], str | None]) -> None:
    report(ledger)


def fails(ledger: Ledger, on_step: Callable[[], str | None]) -> None:
    raise RuntimeError("none")


def looks(ledger: Ledger, on_step: Callable[[], str | None]) -> None:
    """As the loop does many times a second."""
    with pytest.raises(DeletedError, match=GONE):
        on_step()


def ends(ledger: Ledger, on_step: Callable[[], str | None]) -> None:
    """As at the time limit: nothing has met the deletion."""


@pytest.mark.parametrize("backend", ["sqlite"])
@pytest.mark.parametrize(
    ("meets", "is_live", "top"),
    [
        pytest.param(reports, False, 0, id="a report"),
        pytest.param(fails, False, 0, id="another failure"),
        pytest.param(looks, True, 0, id="the display"),
        pytest.param(looks, False, 1, id="the reserve"),
        pytest.param(ends, False, 1, id="the confirmation"),
        pytest.param(ends, False, 0, id="the end"),
    ],
)
def test_whatever_meets_it_first_a_launch_says_that_its_study_was_deleted(
    plan_for: MakePlan,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    meets: Callable[..., None],
    is_live: bool,
    top: int,
) -> None:
    plan = plan_for(budget=HALF, confirm={"top": top})
    observer = LiveProgress(plan, Terminal()) if is_live else Recorder()

    def run_tune(ledger: Ledger, _: object, __: object, on_step: Callable[[], str | None]) -> str:
        assert ledger.next_assignment() is not None
        delete_all(store)
        if isinstance(observer, LiveProgress):
            observer._drawn_at = -math.inf
        meets(ledger, on_step)
        return "time limit"

    monkeypatch.setattr("search.launch.study.run_tune", run_tune)
    slots = Slots(cpus=2, gpus=0, nodes=1, concurrency=1, gpus_per_trial=0)
    left = math.inf if is_live else 24 * 3600.0 + BEGUN
    stopping = Stopping(deadline=time.monotonic() + left)
    with pytest.raises(DeletedError, match=GONE):
        run_search(plan, store, observer, slots=slots, scratch=tmp_path, stopping=stopping)
    assert store.launches() == []


def rows(store: Store) -> list[object]:
    """All that launches write, but for heartbeats."""
    tables = (TRIALS, schema.runs, schema.epochs, models.TrialUserAttributeModel.__table__)
    with store.engine.connect() as connection:
        return [tuple(row) for table in tables for row in connection.execute(sa.select(table))]


@pytest.mark.parametrize("event", [report, fail])
def test_a_trial_that_disappears_ends_its_launch_and_costs_no_other(
    plan_for: MakePlan, store: Store, event: Callable[[Ledger], None]
) -> None:
    plan = plan_for()
    ledger, _ = new_ledger(plan, store, Recorder())
    work(ledger, plan, n_steps=2)
    children = [table for table in models.BaseModel.metadata.sorted_tables if "trial_id" in table.c]
    with store.engine.begin() as connection:
        for table in reversed(children):
            connection.execute(table.delete().where(table.c.trial_id == 1))
    with pytest.raises(DeletedError, match="deleted the trial of run 1 while launch 1 trained it"):
        event(ledger)
    assert ledger.interrupt("the launch was failed") >= 1
    store.end_launch(1, "failed")
    assert [launch.status for launch in store.launches()] == ["failed"]
    again, _ = new_ledger(plan, store, Recorder())
    assert again.next_assignment() is not None


def test_a_confirmation_ends_with_the_study(plan_for: MakePlan, store: Store) -> None:
    plan = plan_for(confirm={"top": 2, "seeds": 2}, budget={"trials": 4})
    ledger, study = new_ledger(plan, store, Recorder())
    work(ledger, plan)

    def queue() -> RunQueue:
        return RunQueue(
            store,
            confirm_queue(opened(plan, store)),
            launch_id=1,
            study_id=study._study_id,
            measured=DIGIT_PAIRS,
            fingerprint="f",
            observer=QueueProgress([]),
        )

    training, asking = queue(), queue()
    assert training.next_assignment() is not None
    delete_all(store)
    (run_id,) = training._by_run
    with pytest.raises(DeletedError, match=GONE):
        asking.next_assignment()
    training._lease._renewed -= HEARTBEAT_SECONDS
    with pytest.raises(DeletedError, match=GONE):
        training.renew()
    training.fail(run_id, "it is broken")
    assert store.runs() == []


@pytest.mark.parametrize("backend", ["sqlite"])
def test_a_deleted_studys_checkpoint_is_used_by_no_other(
    plan_for: MakePlan, store: Store, tmp_path: Path
) -> None:
    plan = plan_for()
    ledger, study = new_ledger(plan, store, Recorder())
    work(ledger, plan, n_steps=2)
    left = {plan.place.files(run.uid).checkpoint for run in store.runs()}
    delete_all(store)
    ledger, study = new_ledger(plan, store, Recorder())
    sweep_checkpoints(plan.place.checkpoints, store, study._study_id)
    assignment = ledger.next_assignment()
    assert assignment is not None
    ((run, _),) = assignment.runs
    assert run.n_epochs == 0
    assert plan.place.files(run.uid).checkpoint not in left
    with sqlite3.connect(str(store.url.database)) as connection:
        assert connection.execute("SELECT COUNT(*) FROM search_runs").fetchone() == (1,)
