"""A driver that dies at any of its changes to the store leaves a study that goes on unharmed.

What a killed driver leaves is what it had committed. Here it dies at each of its commits, so no
moment of a small search is left out; `tests.harness.kills` does it to real processes, at random.
"""

from __future__ import annotations

import dataclasses
import itertools
import platform
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from optuna.trial import TrialState

from search.launch.plan import Plan
from search.runs.lease import reclaim_stale
from search.trials.ledger import Ledger
from storage import Store, open_store
from storage.admin.check import check_store
from storage.tables.attributes import BASELINE
from tests.search.conftest import new_launch, open_study, opened

from ..conftest import Recorder, work

MakePlan = Callable[..., Plan]
pytestmark = pytest.mark.slow

NO_PROCESS = 2**22 + 1  # above Linux's highest process number
EPOCHS = 2
RATES = {"type": "categorical", "choices": [1e-3, 1e-2, 1e-1]}
CHANCE = {"type": "float", "low": 1e-4, "high": 1e-1, "log": True}
BASE = {"learning_rate": 1e-2, "weight_decay": 1e-3}
SEARCHES: dict[str, dict[str, Any]] = {
    "grid": {
        "budget": {"trials": 2},
        "sampler": {"name": "grid"},
        "parameters": {"learning_rate": RATES, "weight_decay": {**RATES, "choices": [1e-3, 1e-2]}},
    },
    "pruned": {
        "parameters": {"learning_rate": CHANCE, "weight_decay": CHANCE},
        "pruner": {"name": "asha", "min_resource": 1, "reduction_factor": 2},
    },
    "in turn": {
        "budget": {"trials": 2},
        "parameters": {"learning_rate": CHANCE, "weight_decay": CHANCE},
        "replicates": 2,
        "pruner": {"name": "wilcoxon"},
    },
}


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A store that holds nothing yet, to be copied."""
    path = tmp_path / "empty.db"
    open_store(str(path)).close()
    return path


class Death(BaseException):
    """The driver's; nothing may catch it."""


@contextmanager
def before_changes(react: Callable[[], None]) -> Iterator[None]:
    """Do something before every change of the database.

    A change is a transaction's commit, or a change of the schema: SQLite makes those at once where
    no transaction was begun for them.
    """
    writing: set[int] = set()
    connections: list[Any] = []

    def connect(connection: Any, _: Any) -> None:
        connections.append(connection)

    def execute(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        verb = statement.split(None, 1)[0].upper()
        if verb in ("CREATE", "ALTER", "DROP"):
            react()
        if verb not in ("SELECT", "PRAGMA"):
            writing.add(id(connection))

    def commit(connection: Any) -> None:
        if id(connection) in writing:
            writing.remove(id(connection))
            react()

    sa.event.listen(sa.pool.Pool, "connect", connect)
    sa.event.listen(sa.Engine, "before_cursor_execute", execute)
    sa.event.listen(sa.Engine, "commit", commit)
    try:
        yield
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", execute)
        sa.event.remove(sa.Engine, "commit", commit)
        sa.event.remove(sa.pool.Pool, "connect", connect)
        for connection in connections:  # With a process its connections go, and their locks.
            connection.close()


@contextmanager
def dying_at(n_changes: int | None) -> Iterator[list[int]]:
    """Die at the so-many-th change of the database, which is lost, or never; counts them."""
    count = [0]

    def die_if_due() -> None:
        count[0] += 1
        if n_changes is not None and count[0] >= n_changes:
            raise Death

    with before_changes(die_if_due):
        yield count


def launch(plan: Plan, url: str, *, dies_at: int | None = None) -> int | None:
    """A launch on a store that is there; how many changes it made, or None if it died."""
    with dying_at(dies_at) as count:
        store = open_store(url)
        try:
            search(plan, store)
        except Death:
            return None
        finally:
            store.close()
    return count[0]


def search(plan: Plan, store: Store) -> None:
    """What `search.launch.study` does in a launch, without Ray."""
    goes_on = opened(plan, store)
    mine = new_launch(plan, goes_on.id)
    launch_id = store.begin_launch(dataclasses.replace(mine, host=platform.node(), pid=NO_PROCESS))
    ledger = Ledger(goes_on, launch_id, Recorder())
    reclaim_stale(goes_on.study, store, launch_id=launch_id)
    work(ledger, plan)
    ledger.interrupt("done")
    store.end_launch(launch_id, "done")


def found(plan: Plan, url: str) -> list[tuple[Any, ...]]:
    """What the study holds at its end, in order of the parameters; nothing may be wrong with it."""
    store = open_store(url)
    try:
        assert check_store(store).findings == []
        study = open_study(plan, store)
        trials = study.get_trials()
        if plan.space.sampler.name != "grid":  # Whose points the baseline's is one of.
            assert len({tuple(trial.params.values()) for trial in trials}) == len(trials)
        assert [trial.params for trial in trials if BASELINE in trial.user_attrs] == [BASE]
        runs = store.runs(study._study_id)
        epochs = store.epochs(run.run_id for run in runs)
        for run in runs:
            numbers = [epoch.epoch for epoch in epochs[run.run_id]]
            assert numbers == list(range(1, run.n_epochs + 1))
            assert run.train_seconds == pytest.approx(sum(e.seconds for e in epochs[run.run_id]))
            assert run.state != "running"
        assert len(trials) == plan.space.budget.trials
        assert {trial.state for trial in trials} <= {TrialState.COMPLETE, TrialState.PRUNED}
        return sorted(
            (
                *trial.params.values(),
                trial.state.name,
                trial.value,
                *trial.intermediate_values.items(),
            )
            for trial in trials
        )
    finally:
        store.close()


def content(path: Path) -> list[Any]:
    """What an SQLite file holds: its schema, whose lines may stand in any order, and its rows."""
    with closing(sqlite3.connect(path)) as connection:
        made = connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name")
        lines = [
            (kind, name, sorted(line.strip().rstrip(",") for line in (sql or "").splitlines()))
            for kind, name, sql in made
        ]
        tables = [name for kind, name, _ in lines if kind == "table"]
        rows = [connection.execute(f"SELECT * FROM {table}").fetchall() for table in tables]
    return [lines, rows]


def test_driver_that_dies_while_it_makes_the_store(tmp_path: Path) -> None:
    """The next one makes what is missing: it is the store that one makes whom nobody disturbs."""
    left: set[tuple[tuple[str, bytes], ...]] = set()
    making = tmp_path / "making"
    making.mkdir()

    def die() -> None:
        """A kill leaves what is in the files; the index of what was written is made anew."""
        files = [path for path in sorted(making.iterdir()) if path.name != "s.db-shm"]
        left.add(tuple((path.name, path.read_bytes()) for path in files))

    with before_changes(die):
        open_store(str(making / "s.db")).close()
    expected = content(making / "s.db")
    assert len(left) > 3
    for number, files in enumerate(left):
        folder = tmp_path / str(number)
        folder.mkdir()
        for name, data in files:
            (folder / name).write_bytes(data)
        open_store(str(folder / "s.db")).close()
        assert content(folder / "s.db") == expected


@pytest.mark.parametrize("name", SEARCHES)
def test_driver_that_dies_at_any_change(
    plan_for: MakePlan, tmp_path: Path, empty: Path, name: str
) -> None:
    plan = plan_for(
        training={"epochs": EPOCHS},
        **{"budget": {"trials": 3}, "baselines": [BASE], **SEARCHES[name]},
    )

    def url(which: int) -> str:
        return str(shutil.copy(empty, tmp_path / f"{which}.db"))

    undisturbed = url(0)
    assert launch(plan, undisturbed) is not None
    expected = found(plan, undisturbed)
    # As many as there are: a slow machine adds heartbeats.
    for dies_at in itertools.count(1):
        path = url(dies_at)
        if launch(plan, path, dies_at=dies_at) is not None:
            break
        assert launch(plan, path) is not None
        after = found(plan, path)
        if name == "grid":
            assert after == expected, f"it died at change {dies_at}"
    assert dies_at > 15


@pytest.mark.parametrize("name", SEARCHES)
def test_drivers_that_die_one_after_the_other(
    plan_for: MakePlan, tmp_path: Path, empty: Path, name: str
) -> None:
    plan = plan_for(
        training={"epochs": EPOCHS},
        **{"budget": {"trials": 3}, "baselines": [BASE], **SEARCHES[name]},
    )
    n_changes = launch(plan, str(shutil.copy(empty, tmp_path / "undisturbed.db")))
    assert n_changes is not None
    rng = random.Random(0)
    path = str(shutil.copy(empty, tmp_path / "disturbed.db"))
    for _ in range(8):
        launch(plan, path, dies_at=rng.randint(1, n_changes // 2))
    assert launch(plan, path) is not None
    found(plan, path)
