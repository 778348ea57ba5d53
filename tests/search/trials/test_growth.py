"""A trial costs the store no more when there are many than when there are few."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa

from search.launch.plan import Plan
from search.runs.protocol import Assignment, Report
from space.epochs import Epoch
from storage import Store
from storage.optuna_rows import trial_reading

from ..conftest import Recorder, new_ledger

T = TypeVar("T")

N_EPOCHS = 3
EARLY, LATE = 15, 90
"""Trials after which the statements are counted."""


def reports_of(assignment: Assignment, epoch: int) -> list[Report]:
    return [
        Report(
            run_id=run.run_id,
            epoch=Epoch(
                epoch=epoch,
                metrics={
                    "train_loss": 1.0,
                    "val_loss": 1.0,
                    "train_error": 0.5,
                    "val_error": config.value("options.learning_rate"),
                },
                seconds=1.0,
            ),
            evaluation=None,
            failure=None,
            warning=None,
            worker="w",
        )
        for run, config in assignment.runs
    ]


class Costs:
    """Counts the statements and transactions that reach a database, and the trials read whole."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self._now: Counter[str] = Counter()
        engine = store.engine
        sa.event.listen(engine, "before_cursor_execute", self._counter("statements"))
        sa.event.listen(engine, "commit", self._counter("commits"))

        def read(*args: Any, **kwargs: Any) -> Any:
            found = trial_reading.read_trials(*args, **kwargs)
            self._now["trials read"] += len(found)
            return found

        monkeypatch.setattr("storage.optuna_rows.steady.read_trials", read)

    def _counter(self, what: str) -> Callable[..., None]:
        def count(*_: object) -> None:
            self._now[what] += 1

        return count

    def of(self, work: Callable[[], T]) -> tuple[T, dict[str, int]]:
        """What some work returns, and what it cost."""
        self._now.clear()
        result = work()
        return result, dict(self._now)


@pytest.mark.parametrize("replicates", [1, 3])
@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_ask_report_and_tell_cost_the_same_however_many_trials_there_are(
    plan_for: Callable[..., Plan],
    store: Store,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    sampler: str,
    replicates: int,
) -> None:
    plan = plan_for(
        training={"epochs": N_EPOCHS},
        replicates=replicates,
        budget={"trials": LATE + 1},
        sampler={"name": sampler, "seed": 0},
        pruner={"name": "median", "n_startup_trials": 1_000},
    )
    ledger, _ = new_ledger(plan, store, recorder)
    monkeypatch.setattr("search.runs.lease.HEARTBEAT_SECONDS", 1e9)
    costs = Costs(store, monkeypatch)
    found: dict[int, list[dict[str, int]]] = {}
    for number in range(LATE + 1):
        assignment, ask = costs.of(ledger.next_assignment)
        assert assignment is not None
        steps = [
            costs.of(functools.partial(ledger.report, reports_of(assignment, epoch)))[1]
            for epoch in range(1, N_EPOCHS + 1)
        ]
        if number in (EARLY, LATE):
            found[number] = [ask, *steps]
    assert found[LATE] == found[EARLY]
    ask, first, *_, last = found[LATE]
    assert "trials read" not in ask | first | last
    # A step's epochs and what they make known to Optuna are one transaction.
    assert first["commits"] == 1
    assert last["commits"] == (3 if replicates == 1 else 4)
