"""Many runs trained as one batch: each gets the numbers that it would get alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from space.epochs import Epoch
from trainables.contract.split_data import Batch
from trainables.device import computes_in_bfloat16
from trainables.failures import NonFiniteLossError, OutOfMemoryFailure
from trainables.loop.batch import TrainingBatch
from trainables.loop.network import RunLoss, RunsFunctions
from trainables.loop.training import Training
from trainables.shipped.digit_pairs.models import MODELS
from trainables.worker.checkpoint import load_checkpoint, save_checkpoint

MakeTraining = Callable[..., Training]

N_RUNS = 3


def _finish(run: Training) -> Training:
    while not run.finished:
        run.run_epoch()
    return run


def _finish_batch(runs: list[Training], **options: Any) -> list[Training]:
    batch = TrainingBatch(runs, **options)
    while batch.runs:
        batch.run_epoch()
    return runs


def _numbers(run: Training) -> list[float]:
    return [
        number
        for m in run.history
        for number in (m.epoch, m["train_loss"], m["val_loss"], m["train_error"], m["val_error"])
    ]


def _assert_same_state(one: dict[str, Tensor], two: dict[str, Tensor], atol: float) -> None:
    assert list(one) == list(two)
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=0, atol=atol, msg=name)


def _assert_same(one: Training, two: Training, tolerance: float = 1e-7) -> None:
    assert _numbers(two) == pytest.approx(_numbers(one), rel=tolerance, abs=tolerance)
    assert one.kept is not None
    assert two.kept is not None
    assert two.kept.epoch == one.kept.epoch
    mine, others = one.state_dict(), two.state_dict()
    _assert_same_state(mine["model"], others["model"], tolerance)
    _assert_same_state(mine["kept_model"], others["kept_model"], tolerance)


@pytest.mark.parametrize(("name", "augment"), [*zip(MODELS, cycle([False, True])), ("mlp", True)])
def test_a_run_of_a_batch_is_the_run_alone(
    name: str, augment: bool, make_run: MakeTraining
) -> None:
    values = {"data__augment": augment, "training__epochs": 2}
    together = _finish_batch([make_run(i, name, **values) for i in range(N_RUNS)])
    for i, run in enumerate(together):
        _assert_same(_finish(make_run(i, name, **values)), run)


@pytest.mark.parametrize("name", ["mlp", "convnet", "siamese-aux"])
def test_traced_steps_are_those_of_the_run_alone(name: str, make_run: MakeTraining) -> None:
    values = {"training__epochs": 2}
    # Both the first step of a trace and those that repeat it, after one without.
    together = _finish_batch([make_run(i, name, **values) for i in range(2)], trace_after=1)
    for i, run in enumerate(together):
        _assert_same(_finish(make_run(i, name, **values)), run)


def test_a_traced_batch_goes_on_with_fewer_runs_and_with_more(make_run: MakeTraining) -> None:
    runs = [make_run(i, "mlp") for i in range(3)]
    batch = TrainingBatch(runs[:2], trace_after=0)
    batch.run_epoch()
    batch.drop(runs[0])
    batch.run_epoch()
    batch.add(runs[2])
    while batch.runs:
        batch.run_epoch()
    for i, run in enumerate(runs[1:], start=1):
        _assert_same(_finish(make_run(i, "mlp")), run)


def test_batches_of_a_kind_are_traced_once(
    make_run: MakeTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_traces = 0

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal n_traces
        n_traces += 1
        return make_fx(*args, **kwargs)

    monkeypatch.setattr("trainables.loop.traced.make_fx", counted)
    values = {"training__epochs": 2, "model__width": 7}
    seen = []
    for first, n_runs, epochs in [(0, 2, 2), (2, 2, 2), (0, 3, 2), (0, 2, 1)]:
        changed = values | {"training__epochs": epochs}
        runs = [make_run(i, "mlp", **changed) for i in range(first, first + n_runs)]
        _finish_batch(runs, trace_after=0)
        seen.append(n_traces)
        for i, run in enumerate(runs, start=first):
            _assert_same(_finish(make_run(i, "mlp", **changed)), run)
    assert seen[0] > 0
    assert seen[1] == seen[0]
    assert seen[2] > seen[1]
    assert seen[3] == seen[2]


@pytest.mark.parametrize("name", ["mlp", "siamese-aux"])
def test_one_step_is_that_of_the_run_alone(name: str, make_run: MakeTraining) -> None:
    values = {"training__batch_size": 22, "training__epochs": 1}
    together = _finish_batch([make_run(i, name, **values) for i in range(N_RUNS)])
    for i, run in enumerate(together):
        _assert_same(_finish(make_run(i, name, **values)), run, 1e-10)


def _state(run: Training) -> tuple[list[Tensor], list[Tensor]]:
    """Copies of the weights and, for batch normalisation, of the running statistics."""
    state = {name: tensor.clone() for name, tensor in run.network.state_dict().items()}
    weights = [state[name] for name, _ in run.network.named_parameters()]
    return weights, [tensor for name, tensor in state.items() if ".running_" in name]


def _distance(some: list[Tensor], others: list[Tensor]) -> float:
    squares = [float(((a - b) ** 2).sum()) for a, b in zip(some, others, strict=True)]
    return math.sqrt(sum(squares))


@pytest.mark.parametrize("name", MODELS)
def test_whole_trainings_in_float32_agree(name: str, make_run: MakeTraining) -> None:
    """Rounding leads the weights apart, but by less than training moves them."""
    epochs, n_pairs, n_runs = (4, 100, 3) if name in ("mlp", "convnet") else (2, 40, 2)
    values = {"training__epochs": epochs, "training__batch_size": 10}
    values |= {"data__n_train_pairs": n_pairs, "training__learning_rate_decay": 1.0}

    def make(i: int) -> Training:
        # Another run's rate would move the weights several times as far, or as little.
        rate = 5e-4 * 3**i
        return make_run(i, name, single=True, training__learning_rate=rate, **values)

    alone, runs = ([make(i) for i in range(n_runs)] for _ in range(2))
    starts = [_state(run) for run in alone]
    _finish_batch(runs)
    for start, one, two in zip(starts, alone, runs, strict=True):
        _finish(one)
        losses = [[metrics["train_loss"] for metrics in run.history] for run in (one, two)]
        assert losses[1][0] == pytest.approx(losses[0][0], rel=1e-3)
        assert losses[1] == pytest.approx(losses[0], rel=0.05)
        weights, statistics = zip(start, _state(one), _state(two), strict=True)
        for (before, mine, others), share in ((weights, 0.5), (statistics, 0.1)):
            assert _distance(mine, others) <= share * _distance(mine, before)


@pytest.mark.skipif(
    not computes_in_bfloat16(torch.device("cpu")), reason="this CPU has no bfloat16"
)
@pytest.mark.parametrize("trace_after", [0, 1_000])
@pytest.mark.parametrize("name", ["mlp", "convnet"])
def test_bfloat16_learns_in_a_batch_as_alone(
    name: str, trace_after: int, make_training: MakeTraining
) -> None:
    values = {"training__precision": "bfloat16", "training__epochs": 2}
    runs = [make_training(name, 16, training__training_seed=i, **values) for i in range(2)]
    _finish_batch(runs, trace_after=trace_after)
    for i, run in enumerate(runs):
        alone = _finish(make_training(name, 16, training__training_seed=i, **values))
        losses = [metrics["train_loss"] for metrics in alone.history]
        assert [m["train_loss"] for m in run.history] == pytest.approx(losses, rel=0.05)


def test_seconds_are_a_share_of_the_wall_time(make_run: MakeTraining) -> None:
    outcomes = TrainingBatch([make_run(i, "mlp") for i in range(N_RUNS)]).run_epoch()
    seconds = {m.seconds for m in outcomes.values() if isinstance(m, Epoch)}
    assert len(seconds) == 1
    assert seconds.pop() > 0


def test_a_dropped_run_goes_on_alone_and_the_rest_without_it(make_run: MakeTraining) -> None:
    runs = [make_run(i) for i in range(N_RUNS)]
    batch = TrainingBatch(runs)
    batch.run_epoch()
    batch.drop(runs[1])
    assert batch.runs == (runs[0], runs[2])
    runs[1].run_epoch()
    assert list(batch.run_epoch()) == [runs[0], runs[2]]
    assert [run.epoch for run in runs] == [2, 2, 2]
    _finish(runs[1])
    batch.run_epoch()
    for i, run in enumerate(runs):
        _assert_same(_finish(make_run(i)), run)
    with pytest.raises(ValueError, match="not in"):
        batch.drop(runs[1])


def test_a_run_may_join_later(make_run: MakeTraining) -> None:
    early, late = make_run(0), make_run(1)
    late.run_epoch()
    batch = TrainingBatch([early])
    batch.run_epoch()
    batch.run_epoch()
    batch.add(late)
    assert list(batch.run_epoch()) == [early, late]
    assert batch.runs == (late,)
    batch.run_epoch()
    assert batch.runs == ()
    for i, run in enumerate((early, late)):
        _assert_same(_finish(make_run(i)), run)


def test_runs_leave_after_their_own_number_of_epochs(make_run: MakeTraining) -> None:
    values = [{"training__epochs": n} for n in (1, 3, 2)]
    runs = [make_run(i, **value) for i, value in enumerate(values)]
    batch = TrainingBatch(runs)
    sizes = [len(batch.run_epoch()) for _ in range(3)]
    assert sizes == [3, 2, 1]
    for i, value in enumerate(values):
        _assert_same(_finish(make_run(i, **value)), runs[i])
    with pytest.raises(RuntimeError, match="no run"):
        batch.run_epoch()


@pytest.mark.parametrize("name", ["mlp", "siamese-aux"])
def test_a_run_that_leaves_takes_its_share_of_the_work_with_it(
    name: str, make_run: MakeTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[set[int], int]] = []
    forward, alone = RunsFunctions._forward, RunLoss.__call__

    def counted(self: RunsFunctions, key_R: Tensor, *tensors: Tensor) -> Any:
        n_of_state = len(self._state_names)
        *state, aux_weight_R, x_NR2HW = tensors[: n_of_state + 2]
        n_rows, n_runs = x_NR2HW.shape[:2]
        seen.append(({len(t) for t in (key_R, *state, aux_weight_R)} | {n_runs}, n_rows * n_runs))
        return forward(self, key_R, *tensors)

    def counted_alone(self: RunLoss, key: Tensor, batch: Batch, state: Any = None) -> Any:
        if state is None:
            seen.append(({1}, len(batch["x"])))
        return alone(self, key, batch, state)

    monkeypatch.setattr(RunsFunctions, "_forward", counted)
    monkeypatch.setattr(RunLoss, "__call__", counted_alone)
    n_epochs = (1, 3, 3, 3)
    runs = [make_run(i, name, single=True, training__epochs=n) for i, n in enumerate(n_epochs)]
    n_pairs = sum(len(part["target"]) for part in runs[0].parts.values())
    # A trace would hide from here what it works on.
    batch = TrainingBatch(runs, trace_after=1_000)

    def n_runs_of_an_epoch() -> int:
        seen.clear()
        batch.run_epoch()
        (sizes,) = {tuple(sizes) for sizes, _ in seen}
        (size,) = sizes
        assert sum(n for _, n in seen) == size * n_pairs
        return size

    assert n_runs_of_an_epoch() == 4
    with torch.no_grad():  # One has finished; one is going to fail, and one is then let go.
        next(runs[1].network.parameters()).fill_(float("nan"))
    assert n_runs_of_an_epoch() == 3
    batch.drop(runs[2])
    assert n_runs_of_an_epoch() == 1


@pytest.mark.parametrize("name", ["mlp", "convnet", "siamese-aux"])
def test_one_loss_that_is_not_finite_fails_that_run_alone(
    name: str, make_run: MakeTraining
) -> None:
    runs = [make_run(i, name) for i in range(N_RUNS)]
    with torch.no_grad():
        next(runs[1].network.parameters()).fill_(float("nan"))
    batch = TrainingBatch(runs)
    outcomes = batch.run_epoch()
    failure = outcomes[runs[1]]
    assert isinstance(failure, NonFiniteLossError)
    assert failure.metrics.epoch == 1
    assert (runs[1].epoch, runs[1].kept) == (0, None)
    assert batch.runs == (runs[0], runs[2])
    while batch.runs:
        batch.run_epoch()
    for i in (0, 2):
        _assert_same(_finish(make_run(i, name)), runs[i])


def test_checkpoints_go_from_a_batch_to_a_run_alone_and_back(
    make_run: MakeTraining, tmp_path: Path
) -> None:
    runs = [make_run(i) for i in range(N_RUNS)]
    batch = TrainingBatch(runs)
    batch.run_epoch()
    save_checkpoint(runs[1], tmp_path / "batched.pt")
    alone = make_run(1)
    load_checkpoint(alone, tmp_path / "batched.pt")
    alone.run_epoch()
    save_checkpoint(alone, tmp_path / "alone.pt")

    # Back into the middle of a batch that has trained the run for no epoch at all.
    resumed = [make_run(i) for i in range(N_RUNS)]
    other = TrainingBatch(resumed)
    for run in (resumed[0], resumed[2]):
        other.drop(run)
        run.run_epoch()
        run.run_epoch()
        other.add(run)
    load_checkpoint(resumed[1], tmp_path / "alone.pt")
    other.run_epoch()
    assert other.runs == ()
    for i, run in enumerate(resumed):
        _assert_same(_finish(make_run(i)), run)


def test_a_checkpoint_of_a_batched_run_is_as_small_as_one_alone(
    make_run: MakeTraining, tmp_path: Path
) -> None:
    alone = make_run(0)
    runs = [make_run(i) for i in range(N_RUNS)]
    TrainingBatch(runs).run_epoch()
    alone.run_epoch()
    save_checkpoint(alone, tmp_path / "alone.pt")
    save_checkpoint(runs[0], tmp_path / "batched.pt")
    sizes = [(tmp_path / f"{name}.pt").stat().st_size for name in ("alone", "batched")]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.01)


def test_evaluation_between_epochs_changes_nothing(make_run: MakeTraining) -> None:
    runs = [make_run(i, single=True) for i in range(N_RUNS)]
    batch = TrainingBatch(runs)
    while batch.runs:
        outcomes = batch.run_epoch()
        for run, metrics in outcomes.items():
            assert isinstance(metrics, Epoch)
            now = run.measure(run.parts["val"])
            assert now["loss"] == pytest.approx(metrics["val_loss"], rel=1e-4)
            assert now["error"] == metrics["val_error"]
            assert run.kept is not None
            kept = run.measure(run.parts["val"], kept=True)
            assert kept["error"] == run.kept["val_error"]
    assert [_numbers(run) for run in runs] == [
        _numbers(run) for run in _finish_batch([make_run(i, single=True) for i in range(N_RUNS)])
    ]


@pytest.mark.parametrize(
    "value",
    [
        {"data__n_train_pairs": 26},
        {"data__augment": True},
        {"training__batch_size": 11},
        {"model__width": 5},
        {"model__options": {"dropout": 0.3}},
    ],
)
def test_runs_that_do_not_fit_are_refused(value: dict[str, Any], make_run: MakeTraining) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        TrainingBatch([make_run(0), make_run(1, **value)])
    with pytest.raises(ValueError, match="at least one"):
        TrainingBatch([])


def test_exhausted_memory_ends_the_batch(
    make_run: MakeTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forward(self: Any, x_N2HW: Tensor) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\ndetails")

    batch = TrainingBatch([make_run(i, "mlp") for i in range(2)])
    monkeypatch.setattr(MODELS["mlp"], "forward", forward)
    with pytest.raises(OutOfMemoryFailure, match="'mlp' ran out of memory"):
        batch.run_epoch()
