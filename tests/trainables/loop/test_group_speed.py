"""How many runs are trained together follows from what was measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from space.config import FrozenModel
from tests.trainables.loop.tasks import Progression, open_task
from trainables.contract.group_speed import GroupSpeed
from trainables.failures import OutOfMemoryFailure
from trainables.loop import group_speed
from trainables.loop.batch import TrainingBatch
from trainables.loop.captured import CudaGraphs
from trainables.loop.group_speed import MOST_TIMED, measure_epoch, measure_group_speed
from trainables.loop.training import Training
from trainables.shipped.digit_pairs.config import DigitPairsConfig

MakeConfig = Callable[..., DigitPairsConfig]
MakeTraining = Callable[..., Training]


@pytest.mark.parametrize(
    ("seconds", "n_runs", "speedup"),
    [
        ({1: 4.0}, 1, 1.0),
        ({1: 4.0, 2: 5.0, 4: 3.9}, 1, 1.0),
        ({1: 4.0, 2: 5.0, 4: 2.0, 8: 1.0, 16: 0.99}, 8, 4.0),
    ],
)
def test_the_smallest_batch_that_is_about_as_fast_as_the_best(
    seconds: dict[int, float], n_runs: int, speedup: float
) -> None:
    found = GroupSpeed(seconds)
    assert (found.n_runs, found.speedup(found.n_runs)) == (n_runs, speedup)


@pytest.mark.parametrize(
    ("total", "n_runs"), [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (8, 4), (9, 5), (10, 5), (12, 4)]
)
def test_a_share_is_trained_in_batches_of_about_a_size(total: int, n_runs: int) -> None:
    found = GroupSpeed({1: 4.0, 2: 2.1, 4: 1.0, 5: 1.05})
    assert found.n_runs_of(total) == n_runs
    assert found.speedup(n_runs) == found.seconds[1] / found.seconds[{3: 2}.get(n_runs, n_runs)]


@pytest.fixture
def maker(
    make_training: MakeTraining, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Callable[[], Training]]:
    """Makes runs long enough to be measured, with as few steps as may be."""
    monkeypatch.setattr(group_speed, "TIMED_SECONDS", 0.0)

    def make(model: str, **values: Any) -> Callable[[], Training]:
        return lambda: make_training(model, training__epochs=MOST_TIMED + 1, **values)

    return make


@pytest.mark.parametrize("model", ["mlp", "convnet"])
def test_real_steps_are_timed(
    model: str,
    maker: Callable[..., Callable[[], Training]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(group_speed, "ARITHMETIC_SECONDS", float("inf"))
    monkeypatch.setattr(group_speed, "HOPELESS", float("inf"))
    make = maker(model, training__batch_size=8, data__augment=True)
    found = measure_group_speed(make, most=3, budget_seconds=float("inf"))
    assert list(found.seconds) == [1, 2, 3]
    assert all(seconds > 0 for seconds in found.seconds.values())
    assert (found.too_many, found.refused) == (None, None)


def test_batches_grow_until_memory_or_time_is_out(
    maker: Callable[..., Callable[[], Training]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def seconds_a_step(make: Any, n_runs: int, **_: Any) -> float:
        if n_runs > 8:
            raise OutOfMemoryFailure("'mlp' ran out of memory")
        return (1.0 + n_runs) / 1024

    monkeypatch.setattr(group_speed, "_seconds_a_step", seconds_a_step)
    make = maker("mlp")
    found = measure_group_speed(make)
    assert [1024 * seconds for seconds in found.seconds.values()] == [2.0, 1.5, 1.25, 1.125]
    assert list(found.seconds) == [1, 2, 4, 8]
    assert found.too_many == 16
    assert found.n_runs == 8
    found = measure_group_speed(make, most=4)
    assert (list(found.seconds), found.too_many) == ([1, 2, 4], None)
    assert list(measure_group_speed(make, budget_seconds=0).seconds) == [1]


def test_no_larger_batch_is_tried_than_one_that_is_slower_by_far(
    maker: Callable[..., Callable[[], Training]], monkeypatch: pytest.MonkeyPatch
) -> None:
    a_run = {1: 1.0, 2: 0.9, 4: 1.1, 8: 1.2, 16: 0.1}
    monkeypatch.setattr(
        group_speed, "_seconds_a_step", lambda make, n_runs, **_: n_runs * a_run[n_runs] / 1024
    )
    found = measure_group_speed(maker("mlp"), most=16)
    assert (list(found.seconds), found.n_runs) == ([1, 2, 4, 8], 2)


def test_what_cannot_be_trained_as_one_is_measured_alone_and_said(
    maker: Callable[..., Callable[[], Training]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def seconds_a_step(make: Any, n_runs: int, **_: Any) -> float:
        if n_runs > 1:
            raise RuntimeError("vmap: no such thing\nlong instructions")
        return 1e-3

    monkeypatch.setattr(group_speed, "_seconds_a_step", seconds_a_step)
    found = measure_group_speed(maker("mlp"))
    assert found.n_runs == 1
    assert found.refused is not None
    assert "RuntimeError: vmap: no such thing" in found.refused
    assert "instructions" not in found.refused


@pytest.mark.parametrize("batch_size", [13, 20, 39, 40, 64])
def test_what_can_be_trained_can_be_measured(
    batch_size: int, maker: Callable[..., Callable[[], Training]]
) -> None:
    make = maker("mlp", data__n_train_pairs=600, training__batch_size=batch_size * 15)
    assert measure_group_speed(make, most=1).seconds[1] > 0


def test_batches_are_tried_where_there_is_enough_to_train(
    maker: Callable[..., Callable[[], Training]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_speed, "_seconds_a_step", lambda make, n_runs, **_: 1 / 64)
    make = maker("mlp", training__batch_size=10, data__n_train_pairs=100)
    found = measure_group_speed(make, most=2, n_epochs=16)
    assert (found.seconds, found.in_all, found.n_runs) == ({1: 1 / 64}, 2.25, 1)
    found = measure_group_speed(make, most=2, n_epochs=32)
    assert (list(found.seconds), found.in_all) == ([1, 2], None)


def test_long_steps_on_a_cpu_are_not_tried_together(
    maker: Callable[..., Callable[[], Training]], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def seconds_a_step(make: Any, n_runs: int, *, n_steps: int, **_: Any) -> float:
        asked.append((n_steps, n_runs))
        return 2.8

    monkeypatch.setattr(group_speed, "_seconds_a_step", seconds_a_step)
    found = measure_group_speed(maker("siamese-aux"))
    assert (found.n_runs, found.seconds) == (1, {1: 2.8})
    assert asked == [(1, 1)]


@pytest.mark.parametrize(
    ("batch_size", "n_train", "n_val", "n_steps"), [(2, 4, 2, 2), (8, 16, 4, 2), (50, 36, 4, 1)]
)
def test_a_shortened_run_has_whole_batches(
    batch_size: int, n_train: int, n_val: int, n_steps: int, make_training: MakeTraining
) -> None:
    run = make_training("convnet", training__batch_size=batch_size)
    run.shorten(2)
    run.run_epoch()
    assert (len(run.parts["train"]["x"]), len(run.parts["val"]["x"])) == (n_train, n_val)
    assert run.n_steps == n_steps


def test_architectures_differ_in_what_a_batch_shares(make_config: MakeConfig) -> None:
    same = make_config("mlp", training__learning_rate=0.5, training__training_seed=3)
    other = make_config("mlp", training__batch_size=8)
    assert same.kind() == make_config("mlp").kind() != other.kind()


@pytest.mark.parametrize(("augment", "n_steps"), [(False, 3), (True, 5)])
def test_what_an_epoch_costs_is_told_from_steps_of_hardly_any_samples(
    make_training: MakeTraining, augment: bool, n_steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_training(training__epochs=2, data__augment=augment)  # 36 to train, 4 to validate.
    seen: list[int] = []
    begin = Training.begin_epoch

    def counted(self: Training) -> Any:
        found = begin(self)
        seen.append(self.n_steps)
        return found

    monkeypatch.setattr(Training, "begin_epoch", counted)
    cost = group_speed.measure_epoch(run)
    assert seen == [n_steps, 1 + augment, 1 + augment]
    assert cost.n_steps == pytest.approx(n_steps + 4 / 16 / 3)
    # Of these the last epoch had so many, and a forward pass of the 4 to validate.
    n_timed = seen[-1] + 4 / 16 / 3
    assert cost.step_seconds * n_timed == pytest.approx(run.history[-1].seconds)


def test_metrics_that_one_sample_does_not_define_are_measured_with() -> None:
    task = Progression(FrozenModel())
    found = measure_group_speed(lambda: open_task(task, epochs=MOST_TIMED + 1), most=2)
    assert set(found.seconds) == {1, 2}
    assert measure_epoch(open_task(task, epochs=2)).n_steps > 6


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_what_is_timed_on_a_gpu_is_captured(
    maker: Callable[..., Callable[[], Training]], monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []

    def captures() -> Any:
        graphs = CudaGraphs()

        def capture(work: Callable[[], object]) -> Any:
            events.append("capture")
            return graphs(work)

        return capture

    run_epoch = TrainingBatch.run_epoch

    def counted(self: TrainingBatch) -> Any:
        events.append("epoch")
        return run_epoch(self)

    monkeypatch.setattr("trainables.loop.batch.CudaGraphs", captures)
    monkeypatch.setattr(TrainingBatch, "run_epoch", counted)
    found = measure_group_speed(maker("mlp", training__device="cuda"), most=2, budget_seconds=60)
    assert set(found.seconds) == {1, 2}
    last = len(events) - 1 - events[::-1].index("capture")
    assert events[last:].count("epoch") >= group_speed.N_TIMED
    assert events.count("capture") >= 2
