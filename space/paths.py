"""From a parameter's name to the setting of a run that it searches."""

from __future__ import annotations

import re

from space.config import TrainingConfig

__all__ = ["OPTION_PATTERN", "PARAMETER_NAMES", "config_path", "is_parameter"]

OPTION_PATTERN = r"options\.[A-Za-z_][A-Za-z0-9_]*"
"""Names of parameters that search an argument of the model's constructor."""

_UNSEARCHED = {"epochs", "device", "training_seed"}
_PATHS = {
    "model": "model.name",
    "width": "model.width",
    "augment": "data.augment",
} | {name: f"training.{name}" for name in TrainingConfig.model_fields if name not in _UNSEARCHED}
_OPTION = re.compile(OPTION_PATTERN)

PARAMETER_NAMES = tuple(_PATHS)
"""Every searchable setting but the model's options."""


def is_parameter(name: str) -> bool:
    """Whether a setting of this name can be searched."""
    return name in _PATHS or _OPTION.fullmatch(name) is not None


def config_path(name: str) -> str:
    """The dotted path in a `RunConfig`, e.g. ``training.learning_rate``.

    Args:
        name: A name for which `is_parameter` holds.
    """
    return _PATHS.get(name, f"model.{name}")
