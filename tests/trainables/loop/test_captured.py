"""Captured work changes what the work itself would, and is not used where it does not."""

from __future__ import annotations

import copy
import logging
import random
from collections.abc import Callable
from functools import partialmethod
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.harness.captures import FOUR_STEPS, Captures, assert_is_the_run_alone, finish
from trainables.loop.batch import TrainingBatch
from trainables.loop.captured import CapturedWork
from trainables.loop.training import Training

MakeTraining = Callable[..., Training]


def add_to(total: Tensor, x: Tensor) -> None:
    total += (2 * x).sum()


def test_work_is_captured_once_and_repeated() -> None:
    total, captures = torch.zeros(()), Captures()
    work = CapturedWork(lambda x: add_to(total, x), lambda: {"sums": [total]}, capture=captures)
    wanted = 0.0
    for i in range(6):
        work(torch.full((2, 3), float(i)))
        wanted += 12 * i
        assert total.item() == wanted
        # One replay more is the trial.
        assert (captures.n_captures, captures.n_replays) == (1, i + 2)


def test_each_layout_is_captured_on_its_own() -> None:
    total, captures = torch.zeros(()), Captures()
    work = CapturedWork(lambda x: add_to(total, x), lambda: {"sums": [total]}, capture=captures)
    x = torch.arange(6.0).view(2, 3)
    for other in (x, x[:1], x.t(), x.double(), x + 1):
        before = total.item()
        work(other)
        assert total.item() == before + 2 * float(other.sum())
    assert captures.n_captures == 4


def test_a_capture_that_changes_something_else_is_named_and_not_used(
    caplog: pytest.LogCaptureFixture,
) -> None:
    total, count = torch.zeros(()), torch.zeros(())
    stale = torch.full((2,), 7.0)

    def step(x: Tensor) -> None:
        count.add_(1)
        add_to(total, x)

    def wrong(work: Callable[[], object]) -> Callable[[], None]:
        def replay() -> None:
            count.add_(1)
            add_to(total, stale)

        return replay

    captured = CapturedWork(
        step,
        lambda: {"the counts": [count], "the sums": [total]},
        capture=wrong,
    )
    with caplog.at_level(logging.WARNING):
        for i in range(5):
            captured(torch.full((2,), float(i)))
    assert total.item() == 4 * (0 + 1 + 2 + 3 + 4)
    assert count.item() == 5
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.endswith("its changes of the sums are off by 28 of 0")


def test_what_cannot_be_captured_is_done_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    total = torch.zeros(())

    def refuse(work: Callable[[], object]) -> Callable[[], None]:
        raise RuntimeError("operation not permitted when stream is capturing")

    work = CapturedWork(lambda x: add_to(total, x), lambda: {"sums": [total]}, capture=refuse)
    with caplog.at_level(logging.WARNING):
        for _ in range(4):
            work(torch.ones(2))
    assert total.item() == 16
    (message,) = [record.getMessage() for record in caplog.records]
    assert "cannot be captured" in message
    assert message.endswith("operation not permitted when stream is capturing")


@pytest.mark.parametrize("run", [0, 17, 31])
def test_a_run_that_is_left_out_is_seen_beside_many(run: int) -> None:
    x_RF = torch.ones(32, 5)
    told: list[str] = []

    def step(x_RF: Tensor) -> None:
        total_RF.add_(x_RF)

    def wrong(work: Callable[[], object]) -> Callable[[], None]:
        def replay() -> None:
            left = total_RF[run].clone()
            total_RF.add_(x_RF)
            total_RF[run] = left

        return replay

    total_RF = torch.zeros(32, 5)
    captured = CapturedWork(
        step,
        lambda: {f"the numbers of run {i}": [row] for i, row in enumerate(total_RF)},
        capture=wrong,
        warn=told.append,
    )
    captured(x_RF)
    assert total_RF.unique().tolist() == [1.0]
    assert told[0].endswith(f"its changes of the numbers of run {run} are off by 2.24 of 2.24")


def exhaust(work: Callable[[], object]) -> Callable[[], None]:
    raise torch.OutOfMemoryError("out of memory")


def exhaust_and_fail(work: Callable[[], object]) -> Callable[[], None]:
    try:
        exhaust(work)
    finally:
        raise RuntimeError("operation failed due to a previous error during capture")


@pytest.mark.parametrize("capture", [exhaust, exhaust_and_fail])
def test_a_capture_without_memory_is_said_and_the_work_goes_on(capture: Any) -> None:
    total, told = torch.zeros(()), list[str]()
    work = CapturedWork(
        lambda x: add_to(total, x),
        lambda: {"sums": [total]},
        capture=capture,
        warn=told.append,
    )
    work(torch.ones(2))
    work(torch.ones(2))
    assert total.item() == 8
    (message,) = told
    assert "finds no memory to be captured in" in message
    assert message.endswith(": out of memory")


def test_work_without_memory_is_not_hidden_and_changes_nothing_more() -> None:
    total = torch.zeros(())

    def work(x: Tensor) -> None:
        total.add_(1)
        raise torch.OutOfMemoryError("out of memory")

    captured = CapturedWork(work, lambda: {"sums": [total]}, capture=lambda work: lambda: None)
    with pytest.raises(torch.OutOfMemoryError):
        captured(torch.ones(2))
    assert total.item() == 1  # Of the work itself, whose trial was undone.


@pytest.mark.parametrize("draw", [lambda: torch.rand(()), lambda: torch.tensor(random.random())])
def test_random_numbers_of_the_cpu_are_no_graphs(draw: Callable[[], Tensor]) -> None:
    total, captures, told = torch.zeros(()), Captures(), list[str]()

    def add(x: Tensor) -> None:
        total.add_(draw())

    work = CapturedWork(add, lambda: {"sums": [total]}, capture=captures, warn=told.append)
    torch.manual_seed(3)
    random.seed(3)
    wanted = torch.zeros(())
    for _ in range(3):
        wanted.add_(draw())
    torch.manual_seed(3)
    random.seed(3)
    for _ in range(3):
        work(torch.ones(2))
    assert total.item() == wanted.item()
    (message,) = told
    assert message.endswith("it draws random numbers on the CPU")


def test_what_is_not_finite_is_no_reason_against_a_capture() -> None:
    total, captures = torch.full((2,), float("nan")), Captures()
    work = CapturedWork(lambda x: total.add_(x), lambda: {"s": [total]}, capture=captures)
    for _ in range(3):
        work(torch.ones(2))
    assert captures.n_replays == 4


@pytest.mark.parametrize(
    ("name", "augment"),
    [("mlp", True), ("convnet", False), ("siamese-aux", True)],
)
def test_captured_steps_are_those_of_the_run_alone(
    name: str, augment: bool, make_run: MakeTraining, caplog: pytest.LogCaptureFixture
) -> None:
    values = {**FOUR_STEPS, "data__augment": augment}
    captures = Captures()
    runs = [make_run(i, name, **values) for i in range(2)]
    finish(TrainingBatch(runs, capture=captures))
    # Steps of whole and of last batches, and the validation.
    assert captures.n_captures == 3
    assert captures.n_replays > 8
    assert not caplog.records
    for i, run in enumerate(runs):
        assert_is_the_run_alone(run, make_run(i, name, **values))


def test_runs_that_leave_and_come_are_captured_anew(make_run: MakeTraining) -> None:
    captures = Captures()
    values = {**FOUR_STEPS, "training__epochs": 6}
    runs = [make_run(i, "mlp", **values) for i in range(4)]
    batch = TrainingBatch(runs[:3], capture=captures)
    batch.run_epoch()
    batch.run_epoch()
    batch.drop(runs[0])
    n_captures = [captures.n_captures]
    batch.run_epoch()
    batch.run_epoch()
    batch.add(runs[3])
    n_captures.append(captures.n_captures)
    finish(batch)
    n_captures.append(captures.n_captures)
    assert 0 < n_captures[0] < n_captures[1] < n_captures[2]
    for i, run in enumerate(runs[1:], start=1):
        assert_is_the_run_alone(run, make_run(i, "mlp", **values))


@pytest.mark.parametrize("name", ["mlp", "siamese-aux"])
def test_runs_take_the_places_of_others_and_their_recordings(
    name: str, make_run: MakeTraining
) -> None:
    captures = Captures()
    values = {**FOUR_STEPS, "training__epochs": 6, "training__weight_decay": 0.01}
    of_runs = [{"training__learning_rate": 5e-4 * (1 + i)} for i in range(4)]
    if name == "siamese-aux":
        for of_run, weight in zip(of_runs, (0.2, 0.5, 0.9, 0.4), strict=True):
            of_run["training__aux_weight"] = weight
    runs = [make_run(i, name, **values, **of_run) for i, of_run in enumerate(of_runs)]
    for _ in range(3):
        runs[3].run_epoch()  # It comes with epochs behind it.
    batch = TrainingBatch(runs[:2], capture=captures)
    batch.run_epoch()
    batch.run_epoch()
    assert captures.n_captures == 3
    batch.drop(runs[0])
    batch.add(runs[2])
    batch.run_epoch()
    runs[0].run_epoch()
    batch.drop(runs[1])
    batch.add(runs[3])
    assert batch.run_epoch().keys() == {runs[2], runs[3]}
    assert captures.n_captures == 3
    batch.run_epoch()
    batch.drop(runs[2])
    batch.add(runs[0])
    batch.run_epoch()
    assert captures.n_captures == 3
    assert batch.runs == (runs[0],)  # The other is finished.
    finish(batch)
    for run in runs[:3]:
        while not run.finished:
            run.run_epoch()
    for i, (run, of_run) in enumerate(zip(runs, of_runs, strict=True)):
        assert_is_the_run_alone(run, make_run(i, name, **values, **of_run))


def test_a_run_that_steps_otherwise_takes_no_place_of_others(make_run: MakeTraining) -> None:
    captures = Captures()
    plain, decayed = ({**FOUR_STEPS, "training__weight_decay": decay} for decay in (0.0, 0.1))
    runs = [make_run(i, "mlp", **plain) for i in range(2)] + [make_run(2, "mlp", **decayed)]
    batch = TrainingBatch(runs[:2], capture=captures)
    batch.run_epoch()
    batch.run_epoch()
    batch.drop(runs[0])
    batch.add(runs[2])
    batch.run_epoch()
    n_captures = captures.n_captures
    batch.run_epoch()
    assert captures.n_captures > n_captures
    finish(batch)
    assert_is_the_run_alone(runs[1], make_run(1, "mlp", **plain))
    assert_is_the_run_alone(runs[2], make_run(2, "mlp", **decayed))


def test_a_run_that_is_restored_goes_on_from_there(make_run: MakeTraining) -> None:
    runs = [make_run(i, "mlp", **FOUR_STEPS) for i in range(2)]
    batch = TrainingBatch(runs, capture=Captures())
    batch.run_epoch()
    saved = copy.deepcopy(runs[0].state_dict())
    batch.run_epoch()
    runs[0].load_state_dict(saved)
    batch.run_epoch()
    batch.run_epoch()
    assert batch.runs == (runs[0],)
    finish(batch)
    for i, run in enumerate(runs):
        assert_is_the_run_alone(run, make_run(i, "mlp", **FOUR_STEPS))


def test_a_run_alone_is_captured_too(
    make_run: MakeTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    captures = Captures()
    alone = make_run(0, "siamese-aux", **FOUR_STEPS)
    while not alone.finished:
        alone.run_epoch()
    init = partialmethod(TrainingBatch.__init__, capture=captures)
    monkeypatch.setattr(TrainingBatch, "__init__", init)
    run = make_run(0, "siamese-aux", **FOUR_STEPS)
    seen = []
    while not run.finished:
        run.run_epoch()
        seen.append((captures.n_captures, captures.n_replays))
    # Two layouts of steps and the validation, each with a trial.
    assert seen == [(0, 0), (3, 8), (3, 13), (3, 18)]
    assert run.state_dict()["model"].keys() == alone.state_dict()["model"].keys()
    for name, tensor in alone.state_dict()["model"].items():
        assert torch.equal(run.state_dict()["model"][name], tensor)
    assert [epoch.metrics for epoch in run.history] == [epoch.metrics for epoch in alone.history]


def test_a_captured_run_joins_others_and_goes_on_alone(
    make_run: MakeTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {**FOUR_STEPS, "training__epochs": 8}
    alone = [make_run(i, "mlp", **values) for i in range(2)]
    for run in alone:
        while not run.finished:
            run.run_epoch()
    captures = Captures()
    init = partialmethod(TrainingBatch.__init__, capture=captures)
    monkeypatch.setattr(TrainingBatch, "__init__", init)
    runs = [make_run(i, "mlp", **values) for i in range(2)]
    for run in runs:
        run.run_epoch()
        run.run_epoch()
    batch = TrainingBatch(runs)
    batch.run_epoch()
    batch.run_epoch()
    runs[0].run_epoch()  # Beside the batch that it is in.
    batch.drop(runs[0])
    finish(batch)
    while not runs[0].finished:
        runs[0].run_epoch()
    for i, run in enumerate(runs):
        assert_is_the_run_alone(run, alone[i])


def test_a_capture_that_a_run_alone_does_without_is_its_notice(
    make_run: MakeTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    init = partialmethod(TrainingBatch.__init__, capture=exhaust)
    monkeypatch.setattr(TrainingBatch, "__init__", init)
    run = make_run(0, "mlp", **FOUR_STEPS)
    run.run_epoch()
    assert run.notice is None
    run.run_epoch()
    assert run.notice is not None
    assert run.notice.startswith("a training step finds no memory to be captured in")
    run.notice = None
    run.run_epoch()
    assert run.notice is None
