"""Both states of a run, that kept by metric and that kept by loss, and its order of samples."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from space.epochs import Epoch
from tests.trainables.conftest import in_float64
from trainables.contract.split_data import SplitData
from trainables.loop.batch import TrainingBatch
from trainables.loop.training import Training
from trainables.shipped.digit_pairs.config import DigitPairsConfig
from trainables.worker.checkpoint import load_checkpoint, save_checkpoint

MakeTraining = Callable[..., Training]
MakeConfig = Callable[..., DigitPairsConfig]

VALIDATIONS = [(0.9, 0.5), (0.5, 0.2), (0.1, 0.3), (0.1, 0.4)]
"""Validation loss and error: the second has the lowest error, the third the lowest loss."""


def complete(run: Training) -> Training:
    """Completes `VALIDATIONS`; the MLP's last layer's first bias is the epoch's number."""
    for number, (loss, error) in enumerate(VALIDATIONS, start=1):
        with torch.no_grad():
            run.network.layers[-1].bias[0] = number
        metrics = {"train_loss": 1.0, "train_error": 0.25, "val_loss": loss, "val_error": error}
        run.complete_epoch(Epoch(epoch=number, metrics=metrics, seconds=1.0))
    return run


def states(run: Training) -> tuple[Any, ...]:
    """The two epochs, and the last layer's first biases of their states."""
    assert run.kept is not None
    assert run.other is not None
    state = run.state_dict()
    biases = [state[name]["layers.8.bias"][0].item() for name in ("kept_model", "other_model")]
    return run.kept.epoch, run.other.epoch, *biases


@pytest.mark.parametrize(
    ("selection", "expected"), [("metric", (2, 3, 2, 3)), ("loss", (3, 2, 3, 2))]
)
def test_a_run_has_the_states_of_both_selections(
    selection: str, expected: tuple[int, ...], make_training: MakeTraining, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"training__epochs": 6, "training__selection": selection}
    run = complete(make_training(**settings))
    assert states(run) == expected
    assert run.weights()["layers.8.bias"][0].item() == expected[2]
    save_checkpoint(run, tmp_path / "run.pt")
    again = make_training(**settings)
    load_checkpoint(again, tmp_path / "run.pt")
    assert states(again) == expected


def test_a_checkpoint_of_an_older_release_has_the_kept_state_alone(
    make_training: MakeTraining, digits_test: SplitData
) -> None:
    run = complete(make_training(training__epochs=6))
    state = run.state_dict()
    del state["other_model"]
    again = make_training(training__epochs=6)
    again.load_state_dict(state)
    again.run_epoch()
    assert again.kept == run.kept
    assert again.other is None
    with pytest.raises(RuntimeError, match="no state is kept"):
        again.evaluate(digits_test, other=True)


def finish(*runs: Training, trace_after: int = 3) -> None:
    batch = TrainingBatch(runs, trace_after=trace_after)
    while batch.runs:
        batch.run_epoch()


def test_one_training_gives_what_those_of_both_selections_give(make_training: MakeTraining) -> None:
    settings = {
        "training__epochs": 8,
        "training__learning_rate": 0.003,
        "data__n_train_pairs": 200,
    }
    alone, by_metric, by_loss = (
        in_float64(make_training("convnet", **settings, training__selection=each))
        for each in ("metric", "metric", "loss")
    )
    finish(alone)
    finish(by_metric, by_loss)
    for own, other in ((by_metric, by_loss), (by_loss, by_metric), (by_loss, alone)):
        assert own.kept is not None
        assert other.other is not None
        assert own.kept.epoch == other.other.epoch
        for part in own.parts.values():
            assert own.measure(part, kept=True) == pytest.approx(other.measure(part, other=True))
    assert by_metric.kept != by_metric.other


def test_the_other_state_is_evaluated_on_all_parts(
    make_training: MakeTraining, digits_test: SplitData
) -> None:
    run = complete(make_training(training__epochs=6))
    by_loss = complete(make_training(training__epochs=6, training__selection="loss"))
    found = run.evaluate(digits_test, other=True)
    assert found == by_loss.evaluate(digits_test)
    assert found["test_loss"] != run.evaluate(digits_test)["test_loss"]


@pytest.mark.parametrize("augment", [False, True])
def test_without_shuffle_all_epochs_have_the_first_order(
    augment: bool, make_training: MakeTraining
) -> None:
    def firsts(shuffle: bool) -> list[torch.Tensor]:
        run = make_training(training__epochs=3, training__shuffle=shuffle, data__augment=augment)
        found = []
        for _ in range(3):
            found.append(run.begin_epoch()[0]["x"][:, 0])
            run.run_epoch()
        return found

    fixed, shuffled = firsts(False), firsts(True)
    assert torch.equal(fixed[0], shuffled[0])
    assert torch.equal(fixed[0], fixed[1])
    assert torch.equal(fixed[0], fixed[2])
    assert not torch.equal(shuffled[0], shuffled[1])


@pytest.mark.parametrize(
    ("model", "option"),
    [("convnet", "test_time_dropout"), ("siamese-aux", "separate_batch_statistics")],
)
def test_an_option_of_a_network_acts_alone_and_batched_alike(
    model: str, option: str, make_training: MakeTraining
) -> None:
    def run(value: bool, seed: int = 1000) -> Training:
        options = {"dropout": 0.5, option: value} if value else {"dropout": 0.5}
        return in_float64(
            make_training(
                model,
                model__options=options,
                training__epochs=2,
                training__training_seed=seed,
                training__shuffle=False,
            )
        )

    alone, plain, runs = run(True), run(False), [run(True), run(True, 1001)]
    # A trace takes seconds; the batch's is compared with steps that have none.
    finish(alone, trace_after=1_000)
    finish(plain, trace_after=1_000)
    finish(*runs)
    measured = alone.measure(alone.parts["val"], kept=True)
    assert measured == alone.measure(alone.parts["val"], kept=True)
    assert measured == pytest.approx(runs[0].measure(alone.parts["val"], kept=True))
    assert alone.history[-1].metrics == pytest.approx(runs[0].history[-1].metrics)
    assert measured["loss"] != plain.measure(alone.parts["val"], kept=True)["loss"]


def test_dropout_at_test_time_changes_the_test_error_and_no_training(
    make_training: MakeTraining, digits_test: SplitData
) -> None:
    dropping, plain = (
        make_training(
            "convnet",
            width=16,
            model__options={"test_time_dropout": value},
            data__n_train_pairs=200,
            training__epochs=2,
        )
        for value in (True, False)
    )
    finish(dropping)
    finish(plain)
    for one, two in zip(dropping.history, plain.history, strict=True):
        assert one["train_loss"] == two["train_loss"]
        assert one["val_loss"] != two["val_loss"]
    found = dropping.evaluate(digits_test)
    assert found == dropping.evaluate(digits_test)
    assert found["test_error"] != plain.evaluate(digits_test)["test_error"]


def test_branches_apart_have_batch_statistics_of_their_own(make_training: MakeTraining) -> None:
    apart, joint = (
        in_float64(
            make_training("siamese", model__options={"separate_batch_statistics": value})
        ).network
        for value in (True, False)
    )
    x_N2HW = torch.rand(6, 2, 14, 14, dtype=torch.float64, generator=torch.Generator())
    x_N2HW[:, 1] += 1  # Of which statistics of its own see nothing.
    for module in (*apart.modules(), *joint.modules()):
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    found = apart(x_N2HW).comparison_N2
    scores = [joint.trunk(x_N2HW[:, [place]])[0] for place in (0, 1)]
    torch.testing.assert_close(found, joint.fc(scores[0] - scores[1]))
    assert (found - joint(x_N2HW).comparison_N2).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("model", "option"),
    [("convnet", "test_time_dropout"), ("siamese", "separate_batch_statistics")],
)
def test_a_config_without_an_option_of_later_releases_stays_the_same(
    model: str, option: str, make_config: MakeConfig
) -> None:
    plain = make_config(model)
    assert make_config(model, model__options={option: False}).config_hash() == plain.config_hash()
    assert make_config(model, model__options={option: True}).config_hash() != plain.config_hash()
    settings = {"training__shuffle": True, "training__selection": "metric"}
    assert make_config(model, **settings).config_hash() == plain.config_hash()
    assert option not in plain.model_dump_json()
    assert "shuffle" not in plain.model_dump_json()
