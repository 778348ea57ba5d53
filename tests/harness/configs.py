"""Configs of pairs of digits and of the closed form, and their runs, as tests make them."""

from __future__ import annotations

from typing import Any

from space import NamedConfig
from space.config import RunConfig
from trainables.contract.run_data import RunData
from trainables.finding.find import read_config, trainable_of
from trainables.shipped.digit_pairs.config import DigitPairsConfig

__all__ = ["PairsNamed", "closed_form", "open_run"]

PairsNamed: Any = NamedConfig.holding(DigitPairsConfig)
"""A named config of pairs of digits."""


def closed_form(**values: Any) -> RunConfig:
    """A config of the closed form: its options and settings by name, or by ``section__name``."""
    paths = {key: key.replace("__", ".") if "__" in key else f"options.{key}" for key in values}
    config = read_config({"trainable": "closed-form"})
    return config.with_values({paths[key]: value for key, value in values.items()})


def open_run(config: RunConfig, images: Any = None, *, with_test: bool = False) -> Any:
    """A run at its beginning, of the training images or of those that its config names."""
    return trainable_of(config).open_run(config, RunData(train=images, with_test=with_test))
