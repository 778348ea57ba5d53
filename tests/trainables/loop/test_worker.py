"""A worker that trains its runs as one batch reports each of them as if it were alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partialmethod
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from space.config import RunConfig
from tests.harness.captures import Captures
from tests.harness.configs import closed_form
from trainables.contract.run_data import RunData
from trainables.contract.split_data import SplitData
from trainables.failures import OutOfMemoryFailure
from trainables.loop.batch import TrainingBatch
from trainables.loop.training import Training
from trainables.shipped.digit_pairs.config import DigitPairsConfig
from trainables.shipped.digit_pairs.models import MODELS
from trainables.shipped.digit_pairs.models.base import Output, PairModel
from trainables.worker import assigned as worker_module
from trainables.worker.assigned import AssignedRun
from trainables.worker.ray_trainable import RunTrainable
from trainables.worker.steps import BatchedSteps

MakeConfig = Callable[..., DigitPairsConfig]
Report = dict[str, Any]


@pytest.fixture
def make_run(
    make_config: MakeConfig, digits: SplitData, digits_test: SplitData
) -> Callable[..., Any]:
    """Assigns run i of a width-16 ConvNet, or of another model, to a worker."""

    def make(i: int, checkpoint: Path | None = None, n_epochs: int = 0, **values: Any) -> Any:
        name, together = values.pop("name", "convnet"), values.pop("together", True)
        values = {"training__training_seed": i, "training__epochs": 3} | values
        config: RunConfig
        if name == "closed-form":
            config = closed_form(training__epochs=3)
        else:
            config = make_config(name, 16, **values)
        assignment = {
            "run_id": i,
            "config": config.model_dump(mode="json"),
            "checkpoint": None if checkpoint is None else str(checkpoint),
            "n_epochs": n_epochs,
            "evaluate": name != "closed-form",
            "together": together,
        }
        # What travels between processes is plain JSON.
        return AssignedRun(
            json.loads(json.dumps(assignment)),
            RunData() if name == "closed-form" else RunData(train=digits, test=digits_test),
            n_together=3,
        )

    return make


@pytest.fixture
def batch_sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many runs each epoch of several at once had."""
    sizes = []
    run_epoch = TrainingBatch.run_epoch

    def counted(self: TrainingBatch) -> Any:
        if len(self.runs) > 1:
            sizes.append(len(self.runs))
        return run_epoch(self)

    monkeypatch.setattr(TrainingBatch, "run_epoch", counted)
    return sizes


def _finish(steps: BatchedSteps, runs: list[AssignedRun]) -> dict[int, list[Report]]:
    reports: dict[int, list[Report]] = {run.run_id: [] for run in runs}
    while open_runs := [run for run in runs if not run.closed]:
        for report in steps.step(open_runs):
            reports[report["run_id"]].append(json.loads(json.dumps(report)))
    return reports


def _alone(run: AssignedRun) -> list[Report]:
    return _finish(BatchedSteps(), [run])[run.run_id]


def _assert_alike(some: list[Report], others: list[Report]) -> None:
    """The same but for rounding, which may tip a pair or two."""
    assert len(some) == len(others)
    for one, two in zip(some, others, strict=True):
        assert one.keys() == two.keys()
        assert (one["failure"], one["warning"]) == (two["failure"], two["warning"])
        for part in ("epoch", "evaluation", "other"):
            assert (one[part] is None) == (two[part] is None)
            for key in one[part] or {}:
                if key != "seconds":
                    tolerance = 0.1 if key.endswith("error") else 0.05
                    assert two[part][key] == pytest.approx(one[part][key], abs=tolerance), key


def test_every_run_reports_as_if_alone(
    make_run: Callable[..., Any], batch_sizes: list[int]
) -> None:
    reports = _finish(BatchedSteps(), [make_run(i) for i in range(3)])
    assert batch_sizes == [3, 3, 3]
    for i, found in reports.items():
        assert [report["epoch"]["epoch"] for report in found] == [1, 2, 3]
        assert [report["evaluation"] is None for report in found] == [True, True, False]
        _assert_alike(_alone(make_run(i)), found)


def test_what_does_not_fit_is_stepped_in_turn(
    make_run: Callable[..., Any], batch_sizes: list[int]
) -> None:
    runs = [
        make_run(0, training__epochs=1),
        make_run(1),
        make_run(2),
        make_run(3, name="mlp"),
        make_run(4, name="closed-form"),
        make_run(5, training__batch_size=12),
    ]
    reports = _finish(BatchedSteps(), runs)
    assert batch_sizes == [3, 2, 2]
    assert {i: len(found) for i, found in reports.items()} == {0: 1, 1: 3, 2: 3, 3: 3, 4: 3, 5: 3}
    _assert_alike(_alone(make_run(3, name="mlp")), reports[3])


def test_runs_leave_and_join_between_steps(
    make_run: Callable[..., Any], batch_sizes: list[int]
) -> None:
    steps = BatchedSteps()
    runs = [make_run(i) for i in range(4)]
    first = steps.step(runs[:3])
    assert [report["run_id"] for report in first] == [0, 1, 2]
    second = steps.step(runs[1:])
    assert sorted(report["run_id"] for report in second) == [1, 2, 3]
    assert batch_sizes == [3, 3]
    rest = _finish(steps, runs[1:])
    assert {i: [r["epoch"]["epoch"] for r in found] for i, found in rest.items()} == {
        1: [3],
        2: [3],
        3: [2, 3],
    }
    # The last run was alone in the end; the first may go on alone, too.
    assert batch_sizes == [3, 3, 3]
    assert [r["epoch"]["epoch"] for r in _alone(runs[0])] == [2, 3]


def test_runs_that_come_when_all_others_end_use_what_those_recorded(
    make_run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    captures = Captures()
    init = partialmethod(TrainingBatch.__init__, capture=captures)
    monkeypatch.setattr(TrainingBatch, "__init__", init)
    steps = BatchedSteps()
    _finish(steps, [make_run(i, name="mlp") for i in range(2)])
    n_captures = captures.n_captures
    assert n_captures
    found = _finish(steps, [make_run(i, name="mlp") for i in range(2, 4)])
    assert captures.n_captures == n_captures
    for i, reports in found.items():
        _assert_alike(_alone(make_run(i, name="mlp")), reports)


def test_a_loss_that_is_not_finite_is_that_runs_failure(
    make_run: Callable[..., Any], batch_sizes: list[int]
) -> None:
    runs = [
        make_run(i, name="mlp", training__learning_rate=1e38 if i == 1 else 1e-3) for i in range(3)
    ]
    reports = _finish(BatchedSteps(), runs)
    assert [len(reports[i]) for i in range(3)] == [3, 1, 3]
    assert "not finite in epoch 1" in reports[1][0]["failure"]
    assert reports[1][0]["epoch"]["epoch"] == 1
    assert batch_sizes == [3, 2, 2]


def test_checkpoints_are_resumed_and_missed_epochs_reported_first(
    make_run: Callable[..., Any],
    batch_sizes: list[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_module, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(worker_module, "CHECKPOINT_SHARE", float("inf"))
    paths = [tmp_path / f"{i}.pt" for i in range(3)]
    steps = BatchedSteps()
    runs = [make_run(i, paths[i]) for i in range(3)]
    steps.step(runs)
    steps.step(runs)
    # A new worker; the driver has heard of one epoch of the first run and of two of the others.
    again = [make_run(i, paths[i], n_epochs=1 if i == 0 else 2) for i in range(3)]
    reports = _finish(BatchedSteps(), again)
    assert {i: [r["epoch"]["epoch"] for r in found] for i, found in reports.items()} == {
        0: [2, 3],
        1: [3],
        2: [3],
    }
    assert batch_sizes == [3, 3, 2]
    for i in range(3):
        _assert_alike(_alone(make_run(i))[2:], reports[i][-1:])


def test_what_fails_as_a_batch_is_trained_in_turn(
    make_run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_epoch = TrainingBatch.run_epoch

    def refuse(self: TrainingBatch) -> Any:
        if len(self.runs) > 1:
            raise RuntimeError("no such operator for several runs")
        return run_epoch(self)

    monkeypatch.setattr(TrainingBatch, "run_epoch", refuse)
    reports = _finish(BatchedSteps(), [make_run(i) for i in range(2)])
    assert (
        "alone, since they cannot be trained as one: test_worker.py, line"
        in (reports[0][0]["warning"])
    )
    reports[0][0]["warning"] = None
    for i, found in reports.items():
        assert found[1]["warning"] is None
        _assert_alike(_alone(make_run(i)), found)


@pytest.mark.parametrize(
    ("fit", "sizes", "how"), [(3, [8, 4] + [2] * 12, "2 at a time"), (1, [8, 4, 2], "alone")]
)
def test_runs_that_do_not_fit_in_memory_go_on_in_smaller_batches(
    fit: int,
    sizes: list[int],
    how: str,
    make_run: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    batch_sizes: list[int],
) -> None:
    run_epoch = TrainingBatch.run_epoch

    def limited(self: TrainingBatch) -> Any:
        n_runs = len(self.runs)
        found = run_epoch(self)
        if n_runs > fit:
            raise OutOfMemoryFailure("'mlp' ran out of memory: tried 2 GiB")
        return found

    monkeypatch.setattr(TrainingBatch, "run_epoch", limited)
    reports = _finish(BatchedSteps(), [make_run(i, name="mlp") for i in range(8)])
    assert batch_sizes == sizes
    (warning,) = [r["warning"] for of_run in reports.values() for r in of_run if r["warning"]]
    assert warning.startswith(f"runs like it are trained {how}, since more do not fit in memory: ")
    reports[0][0]["warning"] = None
    for i in (0, 7):
        _assert_alike(_alone(make_run(i, name="mlp")), reports[i])


def test_a_run_that_exhausts_the_memory_alone_is_a_failure_and_the_others_go_on(
    make_run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, batch_sizes: list[int]
) -> None:
    run_epoch = TrainingBatch.run_epoch

    def limited(self: TrainingBatch) -> Any:
        if any(run.config.training.training_seed == 1 for run in self.runs):
            raise OutOfMemoryFailure("'mlp' ran out of memory: tried 2 GiB")
        return run_epoch(self)

    monkeypatch.setattr(TrainingBatch, "run_epoch", limited)
    reports = _finish(BatchedSteps(), [make_run(i, name="mlp") for i in range(4)])
    assert "ran out of memory" in reports[1][0]["failure"]
    assert [len(of_run) for of_run in reports.values()] == [3, 1, 3, 3]
    # The limit was that one's alone: the others are a batch again.
    assert batch_sizes[-1] == 3


class _Branching(PairModel):
    """Its code depends on values, which no batch of runs can follow."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(392, width), nn.Linear(width, 2))

    def forward(self, x_N2HW: Tensor) -> Output:
        y_N2: Tensor = self.layers(x_N2HW / 255)
        return Output(y_N2 if y_N2.mean() > 0 else 2 * y_N2, ())


def test_a_network_that_cannot_be_batched_leaves_the_others_in_their_batch(
    make_run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, batch_sizes: list[int]
) -> None:
    monkeypatch.setitem(MODELS, "branching", _Branching)
    odd, plain = (0, 1, 2), (3, 4)
    runs = [make_run(i, name="branching") for i in odd] + [make_run(i) for i in plain]
    reports = _finish(BatchedSteps(), runs)
    warnings = [report["warning"] for each in reports.values() for report in each]
    (warning,) = (each for each in warnings if each is not None)
    assert warning.startswith("runs like it are trained alone, since they cannot be trained as one")
    assert "data-dependent control flow" in warning
    assert not any(report["failure"] for each in reports.values() for report in each)
    assert [len(each) for each in reports.values()] == [3] * 5
    # The three are tried together once, the two are together in every epoch.
    assert sorted(batch_sizes) == [2, 2, 2, 3]
    reports[0][0]["warning"] = None
    for i in odd:
        _assert_alike(_alone(make_run(i, name="branching")), reports[i])


def test_a_lost_device_ends_the_process(
    make_run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: Any) -> None:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "synchronize", lost)
    monkeypatch.setattr(TrainingBatch, "run_epoch", lost)
    with pytest.raises(RuntimeError, match="illegal memory"):
        BatchedSteps().step([make_run(i) for i in range(2)])
    monkeypatch.setattr(Training, "run_epoch", lost)
    with pytest.raises(RuntimeError, match="illegal memory"):
        make_run(0).step()


def test_an_error_that_leaves_the_device_alone_ends_one_run(
    make_run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise torch.AcceleratorError("CUDA error: invalid configuration argument")

    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(Training, "run_epoch", refuse)
    assert "invalid configuration" in make_run(0).step()["failure"]


def test_the_ray_trainable_lets_runs_go_and_takes_more_in(
    make_config: MakeConfig, batch_sizes: list[int]
) -> None:
    def assignment(i: int) -> dict[str, Any]:
        return {
            "run_id": i,
            "config": make_config("mlp", training__training_seed=i).model_dump(mode="json"),
            "checkpoint": None,
            "n_epochs": 0,
            "evaluate": False,
            "together": True,
        }

    runs = [assignment(i) for i in range(3)]
    trainable = RunTrainable({"runs": runs, "in_turn": False})
    assert len(trainable.step()["reports"]) == 3
    trainable.change([1, 99], [])
    assert [report["run_id"] for report in trainable.step()["reports"]] == [0, 2]
    trainable.change([], [assignment(7)])
    reports = trainable.step()["reports"]
    assert {report["run_id"]: report["epoch"]["epoch"] for report in reports} == {0: 3, 2: 3, 7: 1}
    assert batch_sizes == [3, 2, 3]
    trainable.reset_config({"runs": runs, "in_turn": True})
    assert [report["run_id"] for report in trainable.step()["reports"]] == [0]
    assert batch_sizes == [3, 2, 3]
    trainable.change([0, 1, 2], [])
    with pytest.raises(RuntimeError, match="no run left"):
        trainable.step()


def test_what_cannot_be_captured_says_so_once_in_a_report(
    make_run: Callable[..., AssignedRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(work: Callable[[], object]) -> Any:
        raise RuntimeError("not permitted while a stream is captured")

    init = partialmethod(TrainingBatch.__init__, capture=refuse)
    monkeypatch.setattr(TrainingBatch, "__init__", init)
    runs = [make_run(0), make_run(1), make_run(2, training__epochs=5)]
    reports = [report for of_run in _finish(BatchedSteps(), runs).values() for report in of_run]
    warned = {report["run_id"]: report["warning"] for report in reports if report["warning"]}
    # The batch said it with its first run; the last run found it out again when it was left alone.
    assert list(warned) == [0, 2]
    for warning in warned.values():
        assert warning.startswith("a training step cannot be captured")
        assert warning.endswith(": not permitted while a stream is captured")
    assert not any(report["failure"] for report in reports)
