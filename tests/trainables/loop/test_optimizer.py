"""The optimizers' steps are torch's own, and learning rates are those of their schedules."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from trainables.loop.batch import TrainingBatch
from trainables.loop.optimizer import Optimizer, learning_rate_of
from trainables.loop.training import Training
from trainables.shipped.digit_pairs.config import DigitPairsConfig, ModelConfig, PairTrainingConfig
from trainables.worker.checkpoint import load_checkpoint, save_checkpoint

MakeTraining = Callable[..., Training]

TORCHS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}


@pytest.mark.parametrize(
    ("optimizer", "values"),
    [
        ("adam", {}),
        ("adamw", {}),
        ("sgd", {"momentum": 0.8}),
        ("sgd", {"momentum": 0.0}),
        ("adam", {"clip_norm": 1.0}),
        ("sgd", {"clip_norm": 1e6}),
    ],
)
def test_steps_are_those_of_torch_to_the_bit(
    optimizer: Any, values: dict[str, float], make_training: MakeTraining
) -> None:
    training = PairTrainingConfig(
        optimizer=optimizer,
        weight_decay=0.03,
        learning_rate=0.01,
        learning_rate_decay=0.5,
        **values,
    )
    network = make_training("convnet", 16).network
    other = copy.deepcopy(network)
    ours = Optimizer(list(network.parameters()), training)
    options = {"momentum": training.momentum} if optimizer == "sgd" else {}
    torchs = TORCHS[optimizer](
        other.parameters(), lr=0.01, weight_decay=0.03, fused=True, **options
    )
    generator = torch.Generator().manual_seed(3)
    for epoch in range(3):
        torchs.param_groups[0]["lr"] = 0.01 * 0.5**epoch
        ours.begin(epoch + 1)
        for _ in range(4):
            gradients = [
                torch.empty_like(p).copy_(torch.randn(p.shape, generator=generator))
                for p in network.parameters()
            ]
            with torch.no_grad():
                ours.step([None, *gradients[1:]])
            for parameter, gradient in zip(other.parameters(), gradients, strict=True):
                parameter.grad = gradient
            next(other.parameters()).grad = None
            if training.clip_norm is not None:
                torch.nn.utils.clip_grad_norm_(other.parameters(), training.clip_norm)
            torchs.step()
    for mine, theirs in zip(network.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def _rates(n: int, **values: Any) -> list[float]:
    training = PairTrainingConfig.model_validate({"learning_rate": 1.0, "epochs": n, **values})
    return [learning_rate_of(training, epoch) for epoch in range(1, n + 1)]


def test_learning_rates_of_the_schedules() -> None:
    assert _rates(3) == [1, 1, 1]
    assert _rates(3, learning_rate_decay=0.5) == [1, 0.5, 0.25]
    step = {"schedule": "step", "step_epochs": 2, "learning_rate_decay": 0.5}
    assert _rates(5, **step) == [1, 1, 0.5, 0.5, 0.25]
    assert _rates(4, schedule="cosine") == pytest.approx(
        [1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2]
    )
    warm = {"warmup_epochs": 3, "learning_rate_decay": 0.5}
    assert _rates(6, **warm) == [0.25, 0.5, 0.75, 1, 0.5, 0.25]
    assert _rates(5, warmup_epochs=1, schedule="cosine")[:2] == [0.5, 1]
    assert _rates(2, warmup_epochs=5, schedule="cosine") == pytest.approx([1 / 6, 2 / 6])


SETTINGS = [
    {"optimizer": "adamw", "schedule": "cosine"},
    {"optimizer": "sgd", "clip_norm": 0.5, "warmup_epochs": 1},
    {"momentum": 0.5, "schedule": "step", "step_epochs": 2},
]


def test_runs_of_any_optimizer_are_trained_together_and_resumed(
    make_run: MakeTraining, tmp_path: Any
) -> None:
    def make(i: int) -> Training:
        return make_run(i, **{f"training__{key}": v for key, v in SETTINGS[i].items()})

    runs = [make(i) for i in range(3)]
    batch = TrainingBatch(runs)
    batch.run_epoch()
    for i, run in enumerate(runs):
        save_checkpoint(run, tmp_path / f"{i}.pt")
    while batch.runs:
        batch.run_epoch()
    for i, run in enumerate(runs):
        alone, resumed = make(i), make(i)
        load_checkpoint(resumed, tmp_path / f"{i}.pt")
        for other in (alone, resumed):
            while not other.finished:
                other.run_epoch()
            for one, two in zip(run.history, other.history, strict=True):
                assert two.metrics == pytest.approx(one.metrics, rel=1e-7, abs=1e-9)


def test_a_config_that_says_none_of_it_is_the_config_it_was() -> None:
    """Its hash names stored runs, and stored configs have none of these settings."""
    config = DigitPairsConfig(model=ModelConfig(name="mlp"))
    assert config.config_hash() == "7fdb7550d84e9e22"
    assert set(config.model_dump()["training"]) == {
        "epochs", "batch_size", "learning_rate", "learning_rate_decay", "weight_decay",
        "aux_weight", "training_seed", "device", "precision", "tf32",
    }  # fmt: skip
    same = config.with_values({"training.optimizer": "adam", "training.momentum": 0.9})
    assert same.config_hash() == config.config_hash()
    other = config.with_values({"training.optimizer": "sgd"})
    assert other.config_hash() != config.config_hash()
    assert other.value("training.optimizer") == "sgd"
    assert config.value("training.optimizer") == "adam"
    assert DigitPairsConfig.model_validate(other.model_dump(mode="json")) == other
