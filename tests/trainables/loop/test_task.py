"""Any task is trained like the pairs of digits: alone, with others, resumed, and measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import f1_score, mean_absolute_error, r2_score
from torch import Tensor, nn

from space.config import FrozenModel
from space.errors import DataError, ModelError, TrainingError
from tests.trainables.conftest import in_float64
from tests.trainables.loop.tasks import Classes, Progression, open_task
from trainables.contract.split_data import Batch, Split
from trainables.contract.task import Task
from trainables.loop.batch import TrainingBatch
from trainables.loop.task_trainable import TaskTrainable
from trainables.loop.training import Training
from trainables.shipped.digit_pairs.config import DIGIT_PAIRS
from trainables.shipped.digit_pairs.task import DigitPairs
from trainables.worker.checkpoint import load_checkpoint, save_checkpoint


def _classes(i: int, **training: Any) -> Training:
    task = Classes(Classes.Options(smoothing=0.1 * i))
    return open_task(task, training_seed=i, learning_rate=0.01 * (1 + i), **training)


def _progression(i: int, **training: Any) -> Training:
    return open_task(Progression(FrozenModel()), training_seed=i, learning_rate=0.01, **training)


def _finish(run: Training) -> Training:
    while not run.finished:
        run.run_epoch()
    return run


def _metrics(run: Training) -> list[Mapping[str, float]]:
    return [epoch.metrics for epoch in run.history]


make_any = pytest.mark.parametrize("make", [_classes, _progression])
Make = Callable[..., Training]


def test_measured_says_every_metric_of_every_split_and_what_decides() -> None:
    assert DigitPairs.measured.fget is Task.measured.fget  # type: ignore[attr-defined]
    pairs = DigitPairs.__new__(DigitPairs).measured
    assert set(pairs.metrics) == set(DIGIT_PAIRS.metrics)
    assert pairs.kept_by == DIGIT_PAIRS.kept_by
    found = Progression(FrozenModel()).measured
    assert found.kept_by == ("val_r2", "val_loss")
    assert found.metric("test_r2").maximize
    assert found.judged_by.name == "test_r2"


@pytest.mark.parametrize(("width", "reads"), [(10**8, False), (8, True)])
def test_parameters_are_counted_without_memory_for_them(
    width: int, reads: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def network(_: Task) -> nn.Module:
        if reads:  # As those do whose layers are dropped at rates of their own.
            torch.linspace(0, 1, 2)[1].item()
        return nn.Linear(width, width)

    monkeypatch.setattr(Progression, "network", network)
    trainable = TaskTrainable(Progression, "wide")
    config = trainable.config_type.model_validate({"trainable": "wide"})
    assert trainable.n_parameters(config) == width**2 + width


@make_any
def test_a_task_learns_and_keeps_its_best_epoch(make: Make) -> None:
    run = _finish(make(0, epochs=10))
    first, *_ = run.task.measured.rule
    values = [epoch[first.name] for epoch in run.history]
    best = min(values, key=first.rank)
    assert run.kept is not None
    assert run.kept[first.name] == best
    assert first.rank(best) < first.rank(values[0])
    again = _finish(make(0, epochs=10))
    assert _metrics(again) == _metrics(run)


@make_any
def test_a_run_of_several_is_the_run_alone(make: Make) -> None:
    runs = [in_float64(make(i)) for i in range(3)]
    batch = TrainingBatch(runs, trace_after=2)
    while batch.runs:
        batch.run_epoch()
    for i, run in enumerate(runs):
        alone = _finish(in_float64(make(i)))
        for one, two in zip(_metrics(alone), _metrics(run), strict=True):
            assert two == pytest.approx(one, rel=1e-7)


@make_any
def test_a_resumed_run_is_the_run(make: Make, tmp_path: Path) -> None:
    whole, first, resumed = make(1), make(1), make(1)
    first.run_epoch()
    save_checkpoint(first, tmp_path / "run.pt")
    load_checkpoint(resumed, tmp_path / "run.pt")
    _finish(whole)
    assert _metrics(_finish(resumed)) == _metrics(whole)
    test = whole.task.load("test")
    assert resumed.evaluate(test) == whole.evaluate(test)


def test_metrics_of_a_whole_split_are_those_of_its_predictions() -> None:
    run = _finish(_classes(0, epochs=2))
    test = run.task.load("test")
    run.network.load_state_dict(run.state_dict()["kept_model"])
    said = run.network.eval()(test["image"]).argmax(1)
    found = run.evaluate(test)
    assert found["test_error"] == pytest.approx(np.mean((said != test["label"]).numpy()))
    f1 = f1_score(test["label"], said, average="macro", zero_division=0)
    assert found["test_f1"] == pytest.approx(f1)

    other = _finish(_progression(0))
    test = other.task.load("test")
    other.network.load_state_dict(other.state_dict()["kept_model"])
    said = other.network.eval()(test["x"]).squeeze(1).detach()
    found = other.evaluate(test)
    assert found["test_r2"] == pytest.approx(r2_score(test["y"], said), rel=1e-5)
    assert found["test_mae"] == pytest.approx(mean_absolute_error(test["y"], said), rel=1e-5)
    assert len(other.parts["val"]["x"]) == 100


class _Odd(Task):
    """A network that each test makes odd in its own way."""

    def __init__(self, make: Callable[[], nn.Module]) -> None:
        super().__init__(FrozenModel())
        self._make = make

    def data(self, split: Split) -> Batch | None:
        if split == "val":
            return None
        x = torch.randn(48, 6, generator=torch.Generator().manual_seed(len(split)))
        return {"x": x, "y": (x.sum(1) > 0).long()}

    def network(self) -> nn.Module:
        return self._make()

    def loss(self, network: nn.Module, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        return F.cross_entropy(network(batch["x"]), batch["y"]), {}


class _Noisy(nn.Module):
    """Draws of torch's global generator, and branches on values."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x + torch.randn_like(x))
        return 2 * y if y.mean() > 0 else y


def _cumulative() -> nn.Module:
    return nn.Sequential(nn.BatchNorm1d(6, momentum=None), nn.Linear(6, 2))


@pytest.mark.parametrize("network", [_Noisy, _cumulative])
def test_what_cannot_be_batched_is_trained_alone_and_repeats(
    network: Callable[[], nn.Module],
) -> None:
    torch.manual_seed(0)
    one = _finish(open_task(_Odd(network)))
    torch.rand(3)
    two = open_task(_Odd(network))
    two.run_epoch()
    three = open_task(_Odd(network))
    three.load_state_dict(two.state_dict())
    assert _metrics(_finish(two)) == _metrics(_finish(three)) == _metrics(one)
    with pytest.raises(RuntimeError):
        TrainingBatch([open_task(_Odd(network)) for _ in range(2)]).run_epoch()


class _Transposed(nn.Module):
    """Its weight's gradient comes in another layout than the weight has."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6, 2))

    def forward(self, x: Tensor) -> Tensor:
        return (x.unsqueeze(1) * self.weight.t()).sum(2)


class _TransposedTask(_Odd):
    def __init__(self) -> None:
        super().__init__(_Transposed)


@pytest.mark.parametrize("n_runs", [1, 2])
def test_a_gradient_of_any_layout_is_applied_where_it_belongs(n_runs: int) -> None:
    runs = [open_task(_TransposedTask(), epochs=2, training_seed=i) for i in range(n_runs)]
    twins = [open_task(_TransposedTask(), epochs=2, training_seed=i) for i in range(n_runs)]
    TrainingBatch(runs).run_epoch()
    for run, twin in zip(runs, twins, strict=True):
        adam = torch.optim.Adam(twin.network.parameters(), lr=1e-3)
        samples, _ = twin.begin_epoch()
        for x, y in zip(samples["x"].split(32), samples["y"].split(32), strict=True):
            adam.zero_grad()
            F.cross_entropy(twin.network(x), y).backward()
            adam.step()
        found, wanted = run.network.state_dict(), twin.network.state_dict()
        torch.testing.assert_close(found["weight"], wanted["weight"])


class _NoScores(_Odd):
    def loss(self, network: nn.Module, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        loss, _ = super().loss(network, batch)
        return loss, {"error": loss}


class _NoMean(_Odd):
    def loss(self, network: nn.Module, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        return F.cross_entropy(network(batch["x"]), batch["y"], reduction="none"), {}


class _Unsaid(_Odd):
    def loss(self, network: nn.Module, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        loss, _ = super().loss(network, batch)
        return loss, {"error": batch["y"]}


class _OtherNames(_Odd):
    def epoch(self, train: Batch, order: torch.Generator, augmentation: torch.Generator) -> Batch:
        return {"x": train["x"]}


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (_NoScores, r"_NoScores\.loss gives the scores 'error' of 32 samples in the shape \(\): "),
        (_NoMean, r"_NoMean\.loss gives the loss of 32 samples in the shape \(32,\): "),
        (
            _Unsaid,
            r"_Unsaid\.loss measures error, loss, but its class says that it measures loss: ",
        ),
        (_OtherNames, r"_OtherNames\.epoch gives x: give the same names .* have, x, y"),
    ],
)
def test_a_task_that_gives_something_else_is_told_so(kind: type[_Odd], text: str) -> None:
    with pytest.raises(TrainingError, match=text):
        open_task(kind(lambda: nn.Linear(6, 2))).run_epoch()


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        (None, r"nothing"),
        ({}, r"nothing"),
        ({"x": torch.ones(4, 6), "y": torch.ones(3)}, r"4 of 'x', 3 of 'y'"),
        ({"x": torch.ones(0, 6)}, r"0 of 'x'"),
    ],
)
def test_data_that_are_no_samples_are_refused(tensors: Batch | None, said: str) -> None:
    class Empty(_Odd):
        def data(self, split: Split) -> Batch | None:
            return None if split == "val" else tensors

    with pytest.raises(DataError, match=rf"Empty\.data gives {said} for the split 'train': "):
        Empty(nn.Identity).load("train")


def test_a_network_without_parameters_is_refused() -> None:
    with pytest.raises(ModelError, match=r"_Odd\.network gives a network without a parameter"):
        open_task(_Odd(nn.Identity))
