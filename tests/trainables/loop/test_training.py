"""The training loop."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from space.epochs import Epoch
from tests.harness.configs import open_run
from tests.trainables.conftest import in_float64
from trainables.contract.split_data import SplitData
from trainables.device import computes_in_bfloat16
from trainables.failures import NonFiniteLossError, OutOfMemoryFailure, TrialFailure
from trainables.loop import batch as batch_module
from trainables.loop.dropout import SeededDropout
from trainables.loop.training import Training, draw_test
from trainables.shipped.digit_pairs.config import DigitPairsConfig
from trainables.shipped.digit_pairs.models import MODELS

MakeConfig = Callable[..., DigitPairsConfig]
MakeTraining = Callable[..., Training]

EVERYTHING = {
    "data__augment": True,
    "training__learning_rate_decay": 0.8,
    "training__weight_decay": 0.01,
}


def _numbers(metrics: Epoch) -> Epoch:
    return replace(metrics, seconds=0.0)


def _finish(run: Training) -> list[Epoch]:
    while not run.finished:
        run.run_epoch()
    return [_numbers(metrics) for metrics in run.history]


def test_loss_falls_on_digits(make_training: MakeTraining) -> None:
    run = make_training(
        "convnet", 64, data__n_train_pairs=600, training__epochs=8, training__batch_size=50
    )
    history = _finish(run)
    assert history[-1]["train_loss"] < 0.6 * history[0]["train_loss"]
    assert run.kept is not None
    assert run.kept["val_error"] < 0.3


@pytest.mark.parametrize("name", MODELS)
def test_every_model_trains_to_the_same_numbers_again(
    name: str, make_training: MakeTraining
) -> None:
    one = make_training(name, 4, training__epochs=2, **EVERYTHING)
    history = _finish(one)
    torch.rand(3)
    two = make_training(name, 4, training__epochs=2, **EVERYTHING)
    assert _finish(two) == history
    other = make_training(name, 4, training__epochs=2, training__training_seed=1, **EVERYTHING)
    assert _finish(other) != history
    for a, b in zip(one.network.parameters(), two.network.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.skipif(
    not computes_in_bfloat16(torch.device("cpu")), reason="this CPU has no bfloat16"
)
def test_bfloat16_learns_like_float32_and_again_the_same(make_training: MakeTraining) -> None:
    settings = {"data__n_train_pairs": 600, "training__epochs": 8, "training__batch_size": 50}
    full = _finish(make_training("convnet", 64, **settings))
    settings["training__precision"] = "bfloat16"
    half = make_training("convnet", 64, **settings)
    history = _finish(half)
    assert history != full
    assert history[-1]["train_loss"] == pytest.approx(full[-1]["train_loss"], rel=0.1)
    assert {parameter.dtype for parameter in half.network.parameters()} == {torch.float32}
    assert _finish(make_training("convnet", 64, **settings)) == history


def test_runs_take_turns_without_touching_each_other(make_training: MakeTraining) -> None:
    alone = _finish(make_training("convnet", 16))
    one, two = make_training("convnet", 16), make_training("convnet", 16, **EVERYTHING)
    while not one.finished:
        one.run_epoch()
        two.run_epoch()
    assert [_numbers(metrics) for metrics in one.history] == alone


def test_global_generators_are_left_alone(make_training: MakeTraining) -> None:
    torch.manual_seed(2)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    run = make_training("siamese-aux", **EVERYTHING)
    run.run_epoch()
    run.measure(run.parts["val"], kept=True)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.random.get_state()[1].tolist() == before[2]
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("name", ["mlp", "convnet", "deepconvnet-aux"])
@pytest.mark.parametrize("augment", [False, True])
def test_against_a_loop_written_out(name: str, augment: bool, make_training: MakeTraining) -> None:
    """A plain loop with torch's unfused Adam gives the same weights and the same numbers.

    In float64, since Adam makes a full step of a gradient that is all rounding.
    """
    has_aux = MODELS[name].has_aux
    w = 0.3 if has_aux else 0.0
    values = {
        "data__augment": augment,
        "training__epochs": 3,
        "training__learning_rate": 1e-3,
        "training__learning_rate_decay": 0.5,
        "training__weight_decay": 0.05,
        "training__aux_weight": w,
    }
    run, drawn = (in_float64(make_training(name, 8, **values)) for _ in range(2))
    history = _finish(run)

    model = drawn.network
    adam = torch.optim.Adam(
        model.parameters(), lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.05
    )
    for epoch in range(3):
        adam.param_groups[0]["lr"] = 1e-3 * 0.5**epoch
        samples, keys = drawn.begin_epoch()
        n_epoch = 72 if augment else 36
        losses, n_wrong = [], 0
        for key, start in zip(keys, range(0, n_epoch, 16), strict=True):
            x, classes, target = (tensor[start : start + 16] for tensor in samples.values())
            assert torch.equal(target, (classes[:, 0] <= classes[:, 1]).long())
            with SeededDropout(key):
                output = model(x)
            loss = (1 - w) * F.cross_entropy(output.comparison_N2, target)
            for digit in range(2 if has_aux else 0):
                logits = output.digits[0][:, digit]
                loss = loss + w / 2 * F.cross_entropy(logits, classes[:, digit])
            adam.zero_grad()
            loss.backward()
            adam.step()
            losses += [loss.item()] * len(target)
            n_wrong += int((output.comparison_N2.argmax(1) != target).sum())
        assert len(losses) == n_epoch
        assert history[epoch]["train_loss"] == pytest.approx(sum(losses) / n_epoch, rel=1e-9)
        assert history[epoch]["train_error"] == pytest.approx(n_wrong / n_epoch)
        drawn.history.append(history[epoch])  # Which of the epochs it is.
    for mine, plain in zip(run.network.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(mine, plain, rtol=0, atol=1e-9)


def test_metrics_count_epochs_from_one(make_training: MakeTraining) -> None:
    run = make_training(training__epochs=2)
    assert (run.epoch, run.finished, run.kept) == (0, False, None)
    first = run.run_epoch()
    assert (first.epoch, run.epoch, run.finished) == (1, 1, False)
    assert first.seconds > 0
    assert run.run_epoch().epoch == 2
    assert run.finished
    with pytest.raises(RuntimeError, match="finished"):
        run.run_epoch()


VALIDATIONS = [
    # (validation loss, validation error); the fourth is the best of the lowest errors.
    (0.9, 0.5),
    (0.5, 0.2),
    (0.6, 0.2),
    (0.4, 0.2),
    (0.4, 0.2),
    (0.1, 0.3),
]


def test_kept_state_is_that_of_the_lowest_error_then_loss(make_training: MakeTraining) -> None:
    run = make_training(training__epochs=6)
    bias = run.network.layers[-1].bias

    best = []
    for number, (loss, error) in enumerate(VALIDATIONS, start=1):
        with torch.no_grad():
            bias.fill_(number)
        metrics = {"train_loss": 1.0, "train_error": 0.25, "val_loss": loss, "val_error": error}
        run.complete_epoch(Epoch(epoch=number, metrics=metrics, seconds=1.0))
        assert run.kept is not None
        best.append(run.kept.epoch)
    assert best == [1, 2, 2, 4, 4, 4]
    assert run.kept is run.history[3]
    assert run.kept["val_loss"] == 0.4
    assert run.state_dict()["kept_model"]["layers.8.bias"].tolist() == [4.0, 4.0]
    assert bias.tolist() == [6.0, 6.0]


@pytest.mark.parametrize("name", ["convnet", "siamese-aux"])
def test_the_state_kept_gives_the_kept_numbers(
    name: str, make_training: MakeTraining, digits_test: SplitData
) -> None:
    run = make_training(name, training__learning_rate=0.01)
    _finish(run)
    assert run.kept is not None
    found = run.evaluate(digits_test)
    assert list(found) == [f"{s}_{m}" for s in ("train", "val", "test") for m in ("loss", "error")]
    assert (found["val_loss"], found["val_error"]) == (run.kept["val_loss"], run.kept["val_error"])
    test = draw_test(run.task, digits_test, run.config.data.data_seed)
    network = run.network.eval()
    network.load_state_dict(run.state_dict()["kept_model"])
    wrong = network(test["x"]).comparison_N2.argmax(1) != test["target"]
    assert found["test_error"] == pytest.approx(wrong.double().mean().item())
    assert np.isfinite(found["test_loss"])


def test_nothing_is_kept_before_the_first_epoch(
    make_training: MakeTraining, digits_test: SplitData
) -> None:
    with pytest.raises(RuntimeError, match="first epoch"):
        make_training().evaluate(digits_test)


def test_evaluation_in_parts_is_the_mean_over_all(
    make_training: MakeTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_training("convnet")
    run.run_epoch()
    pairs = run.parts["train"]
    whole = run.measure(pairs)
    monkeypatch.setattr(batch_module, "EVALUATION_BATCH", 7)
    assert run.measure(pairs) == pytest.approx(whole, rel=1e-5)
    again = run.measure({**pairs, "target": 1 - pairs["target"]})
    assert again["error"] == pytest.approx(1 - whole["error"])


def test_evaluation_changes_nothing(make_training: MakeTraining) -> None:
    run, plain = make_training("siamese-aux"), make_training("siamese-aux")
    for _ in range(3):
        run.run_epoch()
        plain.run_epoch()
        run.measure(run.parts["train"])
        run.measure(run.parts["train"], kept=True)
    assert [_numbers(m) for m in run.history] == [_numbers(m) for m in plain.history]


def test_loss_that_is_not_finite_ends_the_run(make_training: MakeTraining) -> None:
    run = make_training("mlp", training__learning_rate=1e38)
    with pytest.raises(NonFiniteLossError, match="not finite in epoch 1") as raised:
        _finish(run)
    failure = raised.value
    assert isinstance(failure, TrialFailure)
    assert failure.metrics.epoch == 1
    assert not failure.metrics.is_finite()
    assert run.kept is None
    copied = pickle.loads(pickle.dumps(failure))
    assert str(copied) == str(failure)
    assert copied.metrics.epoch == 1


def test_validation_loss_must_be_finite_too(make_training: MakeTraining) -> None:
    run = make_training()
    run.parts["val"]["x"].fill_(float("nan"))
    with pytest.raises(NonFiniteLossError, match="val_loss nan"):
        run.run_epoch()


@pytest.mark.parametrize("step", ["train", "evaluate"])
def test_exhausted_memory_is_a_trial_failure(
    step: str, make_training: MakeTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_training()

    def forward(x: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\ndetails")

    monkeypatch.setattr(run.network, "forward", forward)
    with pytest.raises(OutOfMemoryFailure, match=r"'mlp' ran out of memory: .* 2 GiB$"):
        run.run_epoch() if step == "train" else run.measure(run.parts["train"])


def test_unresolved_configs_are_refused(make_config: MakeConfig, digits: SplitData) -> None:
    config = make_config()
    for path, value in (("training.aux_weight", None), ("data.source", "mnist")):
        with pytest.raises(ValueError, match="not resolved"):
            open_run(config.with_values({path: value}), digits)


def test_open_run_trains_on_the_device_of_the_config(
    make_config: MakeConfig, digits: SplitData
) -> None:
    for images in (digits, None):
        run = open_run(make_config(), images)
        assert isinstance(run, Training)
        assert run.device == torch.device("cpu")
        assert run.fingerprint == digits.fingerprint
        assert run.n_parameters == sum(p.numel() for p in run.network.parameters())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", MODELS)
def test_a_gpu_repeats_its_numbers(name: str, make_training: MakeTraining) -> None:
    one, two = (
        _finish(make_training(name, 16, training__device="cuda", **EVERYTHING)) for _ in range(2)
    )
    assert one == two
