"""Workers: workers are filled, refilled, and what a dead one leaves goes on apart."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from search.runs.course import Course
from search.runs.protocol import Assignment, Report
from search.workers import workers as workers
from search.workers.workers import MAX_WORKER_DEATHS, Workers
from search.workers.workplace import RunFiles
from space.study.terms import Limits
from storage import RunRecord
from storage.tables.schema import utc_now
from trainables.shipped.digit_pairs.config import DigitPairsConfig, ModelConfig, PairTrainingConfig


def config(name: str = "mlp", seed: int = 0) -> DigitPairsConfig:
    return DigitPairsConfig(
        model=ModelConfig(name=name), training=PairTrainingConfig(training_seed=seed)
    )


def record(run_id: int) -> RunRecord:
    return RunRecord(
        run_id=run_id,
        uid=f"uid{run_id}",
        launch_id=1,
        study_id=None,
        trial_id=None,
        purpose="search",
        replicate=0,
        config_hash="",
        config={},
        state="running",
        reason=None,
        worker=None,
        started_at=utc_now(),
        ended_at=None,
        n_epochs=0,
        best_epoch=None,
        train_seconds=0.0,
        n_parameters=None,
    )


class Shelf:
    """A ledger with a fixed number of assignments, whose decisions the test makes."""

    def __init__(self, n_assignments: int, *, n_runs: int = 1, in_turn: bool = False) -> None:
        ids = itertools.count()
        self.waiting = [
            Assignment(
                runs=tuple((record(next(ids)), config(seed=i)) for _ in range(n_runs)),
                in_turn=in_turn,
            )
            for i in range(n_assignments)
        ]
        self.opened: set[int] = set()
        self.over: set[int] = set()
        """Runs that end with whatever they report next."""
        self.failed: dict[int, str] = {}
        self.n_asked = 0
        self.course = Course("search")
        self.is_spent = False

    def is_open(self, run_id: int) -> bool:
        return run_id in self.opened

    def next_assignment(self, beside: DigitPairsConfig | None = None) -> Assignment | None:
        self.n_asked += 1
        if not self.waiting:
            return None
        assignment = self.waiting.pop(0)
        self.opened |= {run.run_id for run, _ in assignment.runs}
        return assignment

    def report(self, reports: Sequence[Report]) -> frozenset[int]:
        self.opened -= self.over
        return frozenset(r.run_id for r in reports if r.run_id in self.opened)

    def fail(self, run_id: int, reason: str) -> None:
        self.opened.discard(run_id)
        self.failed[run_id] = reason

    def interrupt(self, reason: str) -> int:
        return len(self.opened)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Workers]:
    def make(ledger: Shelf, *, size: int = 1, n_workers: int = 2, **limits: Any) -> Workers:
        return Workers(
            ledger,
            n_workers=n_workers,
            size=lambda config: size,
            files=lambda uid: RunFiles(checkpoint=tmp_path / uid, weights=None),
            limits=Limits(**limits),
        )

    return make


def step(run_ids: Sequence[int], epoch: int = 1) -> list[dict[str, Any]]:
    metrics = {"train_loss": 1.0, "val_loss": 1.0, "train_error": 0.5, "val_error": 0.5}
    return [
        {
            "run_id": run_id,
            "epoch": {"epoch": epoch, "seconds": 1.0, "metrics": metrics},
            "evaluation": None,
            "failure": None,
            "warning": None,
            "worker": "w",
        }
        for run_id in run_ids
    ]


def ids(messages: Sequence[dict[str, Any]]) -> list[int]:
    return [message["run_id"] for message in messages]


def test_a_worker_takes_the_next_run_when_one_ends(make: Callable[..., Workers]) -> None:
    ledger = Shelf(6)
    crew = make(ledger, size=2)
    one, two = crew.open("one"), crew.open("two")
    assert one is not None
    assert two is not None
    assert ids(one["runs"]) == [0, 1]
    assert ids(two["runs"]) == [2, 3]
    assert all(message["together"] for message in one["runs"])
    assert crew.open("three") is None  # Two workers are all there may be.
    ledger.over = {1}
    change = crew.hear("one", step([0, 1]))
    assert change is not None
    assert (change.drop, ids(change.add)) == ((1,), [4])
    ledger.over = {0, 4}
    change = crew.hear("one", step([0, 4]))
    assert change is not None
    assert (change.drop, ids(change.add)) == ((0, 4), [5])
    ledger.over = {5}
    assert crew.hear("one", step([5])) is None
    assert not crew.is_idle
    ledger.over = {2, 3}
    assert crew.hear("two", step([2, 3])) is None
    assert crew.is_idle


def test_a_trial_that_ends_takes_its_other_runs_along(make: Callable[..., Workers]) -> None:
    ledger = Shelf(2, n_runs=2)
    crew = make(ledger, size=4)
    opened = crew.open("w")
    assert opened is not None
    assert ids(opened["runs"]) == [0, 1, 2, 3]
    ledger.over = {0, 1}
    change = crew.hear("w", step([0]))  # Run 1 has not reported and is over all the same.
    assert change is not None
    assert change.drop == (0, 1)


def test_runs_in_turn_share_a_worker_with_none_of_another_trial(
    make: Callable[..., Workers],
) -> None:
    opened = make(Shelf(2, n_runs=3, in_turn=True), size=32).open("w")
    assert opened is not None
    assert opened["in_turn"]
    assert ids(opened["runs"]) == [0, 1, 2]


def test_what_a_dead_worker_trained_goes_on_apart(make: Callable[..., Workers]) -> None:
    ledger = Shelf(3)
    crew = make(ledger, size=2, n_workers=1)
    crew.open("w0")
    crew.hear("w0", step([0, 1]))
    assert crew.lose("w0", "killed")
    alone = crew.open("w1")
    assert alone is not None
    assert ids(alone["runs"]) == [0]
    assert alone["runs"][0]["n_epochs"] == 1
    change = crew.hear("w1", step([0], epoch=2))
    assert change is not None
    assert change.add == ()  # Run 2 waits for a worker that none has killed yet.
    for n in range(2, MAX_WORKER_DEATHS + 1):
        assert crew.lose(f"w{n - 1}", "killed")
        opened = crew.open(f"w{n}")
        assert opened is not None
        # The other orphan has had its turn first.
        assert ids(opened["runs"]) == [1]
        ledger.over = {1}
        change = crew.hear(f"w{n}", step([1], epoch=2))
        assert change is not None
        assert ids(change.add) == [0]
    assert not crew.lose("w2", "killed")
    assert ledger.failed == {0: "its worker died 3 times: killed"}
    opened = crew.open("w3")
    assert opened is not None
    assert ids(opened["runs"]) == [2]


def test_checkpoints_go_with_the_run_that_needs_them_no_more(
    make: Callable[..., Workers], tmp_path: Path
) -> None:
    ledger = Shelf(2)
    crew = make(ledger, size=2)
    crew.open("w")
    for uid in ("uid0", "uid1"):
        (tmp_path / uid).touch()
    ledger.over = {0}
    crew.hear("w", step([0, 1]))
    assert [path.name for path in tmp_path.iterdir()] == ["uid1"]


def test_an_empty_ledger_is_not_asked_at_every_step(
    make: Callable[..., Workers], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(workers.time, "monotonic", lambda: now)
    ledger = Shelf(1)
    crew = make(ledger, size=2)
    crew.open("w")
    asked = ledger.n_asked
    for epoch in range(1, 9):
        crew.hear("w", step([0], epoch))
    assert ledger.n_asked == asked
    now += workers.PATIENCE_SECONDS
    crew.hear("w", step([0], 9))
    assert ledger.n_asked == asked + 1


def test_a_trial_for_which_its_worker_takes_too_long_fails(
    make: Callable[..., Workers], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(workers.time, "monotonic", lambda: now)
    ledger = Shelf(3)
    crew = make(ledger, trial_time=60)
    crew.open("one")
    crew.open("two")
    now = 1000.0  # The processes take their time to start, which is no trial's.
    assert crew.overdue(["one"]) == {}
    now = 1059.0
    assert crew.overdue(["one", "two"]) == {}
    crew.hear("one", step([0]))
    now = 1061.0
    reason = "it took longer than limits.trial_time, 1 min"
    assert crew.overdue(["one", "two"]) == {"one": reason}
    assert crew.overdue(["one", "two"]) == {}  # It is killed once.
    assert not crew.lose("one", reason)
    assert ledger.failed == {0: reason}
    another = crew.open("three")
    assert another is not None
    assert ids(another["runs"]) == [2]


def test_what_was_trained_together_goes_on_alone_and_has_the_time_once_more(
    make: Callable[..., Workers], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(workers.time, "monotonic", lambda: now)
    ledger = Shelf(2)
    crew = make(ledger, size=2, n_workers=1, trial_time=60)
    crew.open("w0")
    assert crew.overdue(["w0"]) == {}
    crew.hear("w0", step([0, 1]))
    now = 61.0
    (reason,) = crew.overdue(["w0"]).values()
    assert crew.lose("w0", reason)
    assert ledger.failed == {}
    for run_id, worker in enumerate(("w1", "w2")):
        alone = crew.open(worker)
        assert alone is not None
        assert ids(alone["runs"]) == [run_id]
        assert alone["runs"][0]["n_epochs"] == 1
        assert crew.overdue([worker]) == {}
        now += 59.0
        assert crew.overdue([worker]) == {}
        if run_id == 0:
            now += 2.0  # This is the one that hangs.
            assert crew.overdue([worker]) == {worker: reason}
            assert not crew.lose(worker, reason)
    ledger.over = {1}
    assert crew.hear("w2", step([1], epoch=2)) is None
    assert ledger.failed == {0: reason}


TOO_MUCH = "it took more memory than limits.trial_memory, 4 GiB"


def test_a_trial_that_takes_too_much_memory_in_a_new_process_fails(
    make: Callable[..., Workers],
) -> None:
    ledger = Shelf(3)
    crew = make(ledger, trial_memory="4GiB")
    crew.open("one")
    crew.open("two")
    assert crew.oversized({"one": 2**32, "gone": 2**40}) == {}
    assert crew.oversized({"one": 2**32 + 1, "two": 1}) == {"one": TOO_MUCH}
    assert crew.oversized({"one": 2**33, "two": 1}) == {}  # It is killed once.
    assert not crew.lose("one", TOO_MUCH)
    assert ledger.failed == {0: TOO_MUCH}
    another = crew.open("three")
    assert another is not None
    assert ids(another["runs"]) == [2]


def test_what_was_trained_together_goes_on_alone_and_has_the_memory_once_more(
    make: Callable[..., Workers],
) -> None:
    ledger = Shelf(2)
    crew = make(ledger, size=2, n_workers=1, trial_memory="4GiB")
    crew.open("w0")
    crew.oversized({"w0": 2**33})
    assert crew.lose("w0", TOO_MUCH)
    assert ledger.failed == {}
    for run_id, worker in enumerate(("w1", "w2")):
        alone = crew.open(worker)
        assert alone is not None
        assert ids(alone["runs"]) == [run_id]
        assert crew.oversized({worker: 2**31}) == {}
        if run_id == 0:
            ledger.over = {0}
            # What waits for a new process is not for this one, which has had another.
            assert crew.hear(worker, step([0])) is None
    assert crew.oversized({"w2": 2**33}) == {"w2": TOO_MUCH}
    assert not crew.lose("w2", TOO_MUCH)
    assert ledger.failed == {1: TOO_MUCH}


def test_memory_that_an_earlier_trial_may_have_kept_is_not_held_against_the_next(
    make: Callable[..., Workers],
) -> None:
    ledger = Shelf(2)
    crew = make(ledger, n_workers=1, trial_memory="4GiB")
    crew.open("w0")
    ledger.over = {0}
    change = crew.hear("w0", step([0]))
    assert change is not None
    assert ids(change.add) == [1]
    assert crew.oversized({"w0": 2**33}) == {"w0": TOO_MUCH}
    assert crew.lose("w0", TOO_MUCH)
    again = crew.open("w1")
    assert again is not None
    assert ids(again["runs"]) == [1]
    assert crew.oversized({"w1": 2**33}) == {"w1": TOO_MUCH}
    assert not crew.lose("w1", TOO_MUCH)
    assert ledger.failed == {1: TOO_MUCH}


def test_without_a_limit_no_worker_takes_too_long_or_too_much(
    make: Callable[..., Workers], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(workers.time, "monotonic", lambda: now)
    crew = make(Shelf(1))
    crew.open("w")
    crew.overdue(["w"])
    now = 1e12
    assert crew.overdue(["w"]) == {}
    assert crew.oversized({"w": 2**60}) == {}
