"""A search whose PostgreSQL server crashes and restarts under it loses nothing."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import pytest
from optuna.trial import TrialState

from search.launch.plan import Plan
from search.runs.protocol import Report
from search.trials.open_trial import OpenTrial
from storage import Store

from ...postgresql import PostgresqlServer
from ..conftest import Recorder, new_ledger, reports_in_our_tables, work

pytestmark = pytest.mark.postgresql


class Crasher(Recorder):
    """An observer that crashes the server at some events and starts it again a moment later."""

    def __init__(self, server: PostgresqlServer, at: dict[str, int]) -> None:
        super().__init__()
        self._server = server
        self._at = at
        self.starters: list[threading.Timer] = []

    def _count(self, event: str) -> None:
        seen = sum(name == event for name, _ in self.events)
        if seen == self._at.get(event):
            self._server.stop("immediate")
            self.starters.append(threading.Timer(0.5, self._server.start))
            self.starters[-1].start()

    def on_trial_start(self, trial: OpenTrial) -> None:
        super().on_trial_start(trial)
        self._count("start")

    def on_trial_report(self, trial: OpenTrial, report: Report) -> None:
        super().on_trial_report(trial, report)
        self._count("report")

    def on_trial_end(self, trial: OpenTrial) -> None:
        super().on_trial_end(trial)
        self._count("COMPLETE")


@pytest.fixture
def backend() -> str:
    return "postgresql"


def test_crashes_at_every_kind_of_event_lose_nothing(
    plan_for: Callable[..., Plan],
    store: Store,
    postgresql: PostgresqlServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    plan = plan_for()
    crasher = Crasher(postgresql, {"start": 3, "report": 40, "COMPLETE": 8})
    ledger, study = new_ledger(plan, store, crasher)
    with caplog.at_level(logging.WARNING, "storage"):
        work(ledger, plan)
    assert len(crasher.starters) == 3
    for starter in crasher.starters:
        starter.join()
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 12
    assert [trial.number for trial in study.trials] == list(range(12))
    for trial in study.trials:
        assert list(trial.intermediate_values) == list(range(1, 10))
        assert trial.value == trial.intermediate_values[9]
    assert reports_in_our_tables(store, study) == {n: list(range(1, 10)) for n in range(12)}
    runs = store.runs(study._study_id)
    assert [(run.state, run.n_epochs) for run in runs] == [("complete", 9)] * 12
    assert len(store.launches()) == 1
    messages = [record.getMessage() for record in caplog.records]
    assert sum("does not answer" in message for message in messages) == 3
    assert sum("answers again" in message for message in messages) == 3
