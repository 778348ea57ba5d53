"""What a config leaves open, and what it may not ask for."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from space.errors import ModelError, TrainingError
from trainables import device
from trainables.device import pick_device
from trainables.seeds import PROTOCOL
from trainables.shipped.digit_pairs.config import DigitPairsConfig
from trainables.shipped.digit_pairs.data import sources
from trainables.shipped.digit_pairs.resolve import resolve_config


def _config(name: str, **values: Any) -> DigitPairsConfig:
    base = DigitPairsConfig.model_validate({"model": {"name": name}, "training": {"device": "cpu"}})
    return base.with_values({key.replace("__", "."): value for key, value in values.items()})


@pytest.mark.parametrize(
    ("source", "n_train", "n_test"), [("mnist", 1000, 1000), ("digits", 600, 298)]
)
def test_everything_is_filled_in(source: Any, n_train: int, n_test: int) -> None:
    resolved = resolve_config(_config("siamese-aux"), source)
    assert resolved.data.source == source
    assert (resolved.data.n_train_pairs, resolved.data.n_test_pairs) == (n_train, n_test)
    assert resolved.training.aux_weight == 0.6
    assert resolved.model.options == {"dropout": 0.5}
    assert resolve_config(resolved) == resolved


def test_what_is_given_stays() -> None:
    asked = _config(
        "deepconvnet-aux",
        data__source="digits",
        data__n_train_pairs=50,
        data__n_test_pairs=7,
        training__aux_weight=0.0,
        model__options__dropout=0.1,
        training__protocol=PROTOCOL,
    )
    assert resolve_config(asked, "mnist") == asked


def test_what_was_trained_under_another_protocol_is_refused() -> None:
    assert resolve_config(_config("mlp"), "digits").training.protocol == PROTOCOL
    with pytest.raises(TrainingError, match=r"training\.protocol is 1, and this release"):
        resolve_config(_config("mlp", training__protocol=1), "digits")


def test_source_is_looked_up_where_it_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "resolve_source", lambda data: "mnist")
    assert resolve_config(_config("mlp")).data.source == "mnist"


@pytest.mark.parametrize("name", ["mlp", "convnet", "deepconvnet", "resnet", "siamese"])
def test_auxiliary_weight_needs_heads(name: str) -> None:
    assert resolve_config(_config(name), "digits").training.aux_weight == 0.0
    assert resolve_config(_config(name, training__aux_weight=0), "digits")
    with pytest.raises(TrainingError, match=rf"aux_weight is 0\.3, but '{name}'"):
        resolve_config(_config(name, training__aux_weight=0.3), "digits")


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("training__precision", "bfloat16", r"training\.precision: bfloat16 needs a GPU or"),
        ("training__tf32", True, r"training\.tf32: true needs a GPU"),
    ],
)
def test_settings_of_a_gpu_are_refused_on_a_cpu(
    key: str, value: Any, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "computes_in_bfloat16", lambda device: False)
    with pytest.raises(TrainingError, match=text):
        resolve_config(_config("mlp", **{key: value}), "digits")


def test_bfloat16_is_for_cpus_that_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "computes_in_bfloat16", lambda device: True)
    config = resolve_config(_config("mlp", training__precision="bfloat16"), "digits")
    assert config.training.precision == "bfloat16"


def test_model_is_checked() -> None:
    with pytest.raises(ModelError, match="did you mean 'convnet'"):
        resolve_config(_config("convnett"), "digits")
    with pytest.raises(ModelError, match="say trainable: closed-form"):
        resolve_config(_config("closed-form"), "digits")


@pytest.mark.parametrize("augment", [False, True])
def test_last_batch_must_suffice_for_batch_norm(augment: bool) -> None:
    n_pairs = {False: 57, True: 57}[augment]  # 51 train, or 102 with augmentation
    values = {"data__n_train_pairs": n_pairs, "data__augment": augment}
    lonely, fine = (101, 50) if augment else (50, 49)
    with pytest.raises(TrainingError, match="leaves 1 pair"):
        resolve_config(_config("convnet", training__batch_size=lonely, **values), "digits")
    assert resolve_config(_config("convnet", training__batch_size=fine, **values), "digits")
    assert resolve_config(_config("mlp", training__batch_size=lonely, **values), "digits")


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto").type == pick_device("cpu").type == "cpu"
    with pytest.raises(TrainingError, match=r"training\.device is cuda"):
        pick_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device("auto").type == pick_device("cuda").type == "cuda"
    assert pick_device("cpu").type == "cpu"
