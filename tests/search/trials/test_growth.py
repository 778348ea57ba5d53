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
from storage import Store
from storage.optuna_rows import trial_reading
from tests.records import epoch

from ..conftest import Recorder, new_ledger

T = TypeVar("T")

N_EPOCHS = 3
EARLY, LATE = 15, 45
"""Trials after which the statements are counted."""


def reports_of(assignment: Assignment, number: int) -> list[Report]:
    return [
        Report(
            run_id=run.run_id,
            epoch=epoch(number, val_error=config.value("options.learning_rate")),
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
    for module in ("runs.lease", "trials.asking"):  # However slow the machine is.
        monkeypatch.setattr(f"search.{module}.HEARTBEAT_SECONDS", 1e9)
    costs = Costs(store, monkeypatch)
    found: dict[int, list[dict[str, int]]] = {}
    for trial in range(LATE + 1):
        assignment, ask = costs.of(ledger.next_assignment)
        assert assignment is not None
        steps = [
            costs.of(functools.partial(ledger.report, reports_of(assignment, number)))[1]
            for number in range(1, N_EPOCHS + 1)
        ]
        if trial in (EARLY, LATE):
            found[trial] = [ask, *steps]
    assert found[LATE] == found[EARLY]
    ask, first, *_, last = found[LATE]
    assert "trials read" not in ask | first | last
    # A step's epochs and what they make known to Optuna are one transaction.
    assert first["commits"] == 1
    assert last["commits"] == (3 if replicates == 1 else 4)
