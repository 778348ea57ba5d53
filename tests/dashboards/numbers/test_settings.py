"""The settings in which configs differ, those that a config leaves out among them."""

from __future__ import annotations

from typing import Any

import pytest

from dashboards.numbers.settings import differing_settings
from space import RunConfig
from space.config import RecordedConfig
from tests.search.results_store import named_config

OWN = {"trainable": "own.py:Task@0123456789abcdef", "data": {}, "training": {"epochs": 3}}


def config(model: str = "convnet", **values: Any) -> RunConfig:
    """A small config; ``a__b`` in a name stands for the path ``a.b``."""
    laid = {name.replace("__", "."): value for name, value in values.items()}
    return named_config("a", model).config.with_values(laid)


def recorded(config: RunConfig) -> RunConfig:
    return RecordedConfig.model_validate(config.model_dump(mode="json"))


@pytest.mark.parametrize("read", [recorded, lambda config: config])
@pytest.mark.parametrize(
    ("one", "other", "paths"),
    [
        ({}, {}, ()),
        ({}, {"data__data_seed": 5, "training__training_seed": 5, "training__device": "cpu"}, ()),
        ({}, {"training__learning_rate": 0.5}, ("training.learning_rate",)),
        # Of default values that a config leaves out.
        ({}, {"training__optimizer": "sgd"}, ("training.optimizer",)),
        ({"training__shuffle": False}, {}, ("training.shuffle",)),
        ({"training__clip_norm": 1.0}, {}, ("training.clip_norm",)),
        ({}, {"model__options__test_time_dropout": True}, ("model.options.test_time_dropout",)),
        ({"training__optimizer": "sgd"}, {"training__optimizer": "sgd"}, ()),
        # Of what only one of two networks has, nothing; the loop's settings both have.
        ({"model": "mlp"}, {}, ()),
        ({"model": "mlp"}, {"model__options__test_time_dropout": True}, ()),
        ({"model": "mlp"}, {"training__selection": "loss"}, ("training.selection",)),
    ],
)
def test_a_setting_that_one_leaves_out_differs(
    read: Any, one: dict[str, Any], other: dict[str, Any], paths: tuple[str, ...]
) -> None:
    assert differing_settings([read(config(**one)), read(config(**other))]) == paths
    assert differing_settings([read(config(**other)), read(config(**one))]) == paths


def test_a_recorded_config_has_the_defaults_of_the_loop_that_it_was_trained_by() -> None:
    found = recorded(config(training__momentum=0.5))
    assert found.value("training.momentum") == 0.5
    assert found.value("training.optimizer") == "adam"
    assert found.value("training.clip_norm") is None
    assert found.value("training.absent") is None
    assert found.config_hash() == config(training__momentum=0.5).config_hash()
    assert RecordedConfig.model_validate(OWN).value("training.optimizer") is None


def test_an_option_that_an_older_file_did_not_have_differs() -> None:
    old, new = (
        RecordedConfig.model_validate({**OWN, "options": options})
        for options in ({"depth": 2}, {"depth": 2, "norm": True})
    )
    assert differing_settings([old, new]) == ("options.norm",)
