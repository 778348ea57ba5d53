"""What a launch keeps of its time limit for the verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from search.launch import study as launches
from search.launch.confirm import confirm_queue
from search.launch.plan import Plan
from search.launch.reserve import MARGIN, MOST, Reserve, confirmation_seconds
from search.runs.protocol import Report
from search.runs.stopping import Stopping
from search.trials.ledger import Ledger
from search.trials.open_trial import OpenTrial
from search.workers.ray_session import Slots
from storage import Store
from storage.tables import attributes
from tests.search.conftest import opened

from ..conftest import Recorder, new_ledger, work

MakePlan = Callable[..., Plan]
SLOTS = Slots(cpus=2, gpus=0, nodes=1, concurrency=2, gpus_per_trial=0)
CONFIRM = {"top": 1, "seeds": 7}
BASELINE = {"learning_rate": 1e-4, "weight_decay": 1e-1}


@pytest.mark.parametrize(
    ("runs", "n_workers", "n_together", "busy"),
    [
        ([(1, 10.0)], 1, 1, 10.0),
        ([(7, 10.0)], 1, 1, 70.0),
        ([(7, 10.0)], 2, 1, 40.0),  # One worker trains four of them.
        ([(7, 10.0), (7, 30.0)], 2, 1, 160.0),
        ([(7, 10.0)], 16, 1, 10.0),
        ([(7, 10.0)], 2, 4, 40.0),  # Four and three.
        ([(7, 10.0)], 2, 32, 70.0),  # One worker takes all of them.
        ([(9, 10.0)], 2, 4, 80.0),  # Three workers for two workers.
    ],
)
def test_the_time_is_that_of_the_worker_with_the_most_to_do(
    runs: list[tuple[int, float]], n_workers: int, n_together: int, busy: float
) -> None:
    seconds = confirmation_seconds(
        runs, n_workers=n_workers, n_together=n_together, start_seconds=20.0
    )
    assert seconds == pytest.approx(20.0 + MARGIN * busy)


def test_nothing_to_train_takes_no_time() -> None:
    for runs in ([], [(0, 10.0)]):
        assert confirmation_seconds(runs, n_workers=2, n_together=1, start_seconds=20.0) == 0.0


class Machine:
    """A launch whose every epoch takes so many seconds, on a clock of its own."""

    def __init__(self, plan: Plan, store: Store, seconds: Callable[[OpenTrial], float]) -> None:
        self.plan, self.now, self._seconds = plan, 0.0, seconds
        self.ledger, self.study = new_ledger(plan, store, Recorder())
        self.reserve = Reserve(opened(plan, store), SLOTS, Recorder(), clock=lambda: self.now)
        self.reserved: list[float] = []
        self.ledger._observer = self
        self.now = 12.0  # A worker's start.

    def on_trial_start(self, trial: OpenTrial) -> None:
        self.reserve.on_trial_start(trial)

    def on_trial_report(self, trial: OpenTrial, report: Report) -> None:
        assert report.epoch is not None
        seconds = self._seconds(trial)
        self.now += seconds / SLOTS.concurrency  # The other worker is as busy.
        self.reserve.on_trial_report(
            trial, replace(report, epoch=replace(report.epoch, seconds=seconds))
        )

    def on_trial_end(self, trial: OpenTrial) -> None:
        self.reserve.on_trial_end(trial)
        self.reserved.append(self.reserve.seconds(left=60.0))

    def run(self) -> list[float]:
        work(self.ledger, self.plan, n_workers=1)
        return self.reserved


@pytest.fixture
def machine(plan_for: MakePlan, store: Store) -> Callable[..., Machine]:
    def make(seconds: Callable[[OpenTrial], float] = lambda trial: 2.0, **changes: Any) -> Machine:
        space = {
            "confirm": CONFIRM,
            "baselines": [BASELINE],
            "budget": {"trials": 4, "time_limit": "1h"},
            "resources": {"runs_per_trainable": 1},
        }
        return Machine(plan_for(**{**space, **changes}), store, seconds)

    return make


def test_what_is_kept_is_measured_in_the_launch(machine: Callable[..., Machine]) -> None:
    reserved = machine().run()
    # While no trial is better than the baseline there is nothing to compare; then two configs have
    # 7 seeds of 9 epochs of 2 s each, four of which are one worker's, after a start of 11 s: the
    # worker's 12, and half of an epoch's 2 beside another worker, less the epoch itself.
    assert reserved[0] == 0.0
    assert reserved[-1] == pytest.approx(11.0 + MARGIN * 2 * 4 * 9 * 2.0)


def test_each_config_counts_with_its_own_epochs(machine: Callable[..., Machine]) -> None:
    slow = machine(lambda trial: 6.0 if trial.is_baseline else 2.0)
    best = slow.run()[-1]
    assert best - (12.0 + 3.0 - 6.0) == pytest.approx(MARGIN * 4 * 9 * (6.0 + 2.0))


def test_what_workers_wait_for_counts_too(machine: Callable[..., Machine]) -> None:
    waiting = machine()
    busy = waiting.run()[-1] - 11.0
    waiting.now += 2 * (waiting.now - 13.0)  # Three times as long for the same epochs.
    assert waiting.reserve._needed() - 11.0 == pytest.approx(3 * busy)


def test_the_first_half_of_the_time_is_the_searchs(machine: Callable[..., Machine]) -> None:
    searched = machine()
    assert searched.run()[-1] > 0.0
    assert searched.reserve.seconds(left=1801.0) == 0.0
    assert searched.reserve.seconds(left=1800.0) > 0.0


def test_no_more_than_half_the_time_limit_is_kept(machine: Callable[..., Machine]) -> None:
    reserved = machine(budget={"trials": 4, "time_limit": "2m"}).run()
    assert reserved[-1] == MOST * 120


@pytest.mark.parametrize(
    "changes",
    [
        {"confirm": {"top": 0}},
        {"budget": {"trials": 4}},
        {"baselines": [BASELINE], "budget": {"trials": 1, "time_limit": "1h"}},
    ],
    ids=["nothing is confirmed", "no limit", "the baseline alone"],
)
def test_nothing_is_kept_where_there_is_no_verdict_to_come(
    machine: Callable[..., Machine], changes: dict[str, Any]
) -> None:
    assert set(machine(**changes).run()) == {0.0}


def test_the_search_waits_for_its_baselines(machine: Callable[..., Machine]) -> None:
    searched = machine(baselines=[])
    assert searched.run()[-1] > 0.0
    searched.study.enqueue_trial(BASELINE, user_attrs={attributes.BASELINE: BASELINE})
    assert searched.reserve._needed() == 0.0


def test_what_is_confirmed_already_takes_no_time(
    machine: Callable[..., Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = machine()
    before = done.run()[-1]
    queue = confirm_queue(done.reserve._opened)
    half = [run for run in queue if run.replicate >= 3]
    monkeypatch.setattr("search.launch.reserve.confirm_queue", lambda *args: half)
    assert done.reserve._needed() - 11.0 == pytest.approx((before - 11.0) * 2 / 4)
    monkeypatch.setattr("search.launch.reserve.confirm_queue", lambda *args: [])
    assert done.reserve._needed() == 0.0


class Kept:
    """Keeps so much."""

    def __init__(self, kept: float) -> None:
        self._kept = kept

    def seconds(self, left: float) -> float:
        return self._kept


@pytest.mark.parametrize(
    ("kept", "now", "reason"),
    [(0.0, 599.0, None), (0.0, 600.0, "time limit"), (200.0, 399.0, None),
     (200.0, 400.0, "time limit"), (200.0, 700.0, "time limit")],
)  # fmt: skip
def test_the_search_ends_so_much_before_the_limit(
    plan_for: MakePlan,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    kept: float,
    now: float,
    reason: str | None,
) -> None:
    ledger: Ledger = new_ledger(plan_for(), store, Recorder())[0]
    monkeypatch.setattr("search.runs.stopping.time.monotonic", lambda: now)
    stopping = Stopping(deadline=600.0)
    assert launches._step(ledger, Kept(kept), Recorder(), stopping) == reason  # type: ignore[arg-type]
    if reason is not None:
        assert launches._step(ledger, Kept(kept), Recorder(), Stopping()) is None  # type: ignore[arg-type]
