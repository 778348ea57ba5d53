"""Configs of pairs of digits, and their runs, as tests make them."""

from __future__ import annotations

from typing import Any

from space import NamedConfig
from space.config import RunConfig
from trainables.contract.run_data import RunData
from trainables.finding.find import trainable_of
from trainables.shipped.digit_pairs.config import DigitPairsConfig

__all__ = ["PairsNamed", "open_run"]

PairsNamed: Any = NamedConfig.holding(DigitPairsConfig)
"""A named config of pairs of digits."""


def open_run(config: RunConfig, images: Any = None) -> Any:
    """A run at its beginning, of the training images or of those that its config names."""
    return trainable_of(config).open_run(config, RunData(train=images))
