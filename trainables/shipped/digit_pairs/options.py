"""The options of a model: the keywords of its constructor, by their names and types."""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from space.errors import ModelError, nearest
from trainables.shipped.digit_pairs.config import ModelConfig, OptionValue

__all__ = ["LATER", "check_options"]

LATER = "later"
"""Marks an option that configs of older releases do not have: left out where it is the default."""


def check_options(config: ModelConfig, constructor: type) -> dict[str, OptionValue]:
    """A model's options, complete.

    Args:
        config: The model config.
        constructor: The class whose constructor's keywords, but for ``width``, are the options.

    Returns:
        Every option of the constructor with the config's value or the default; of those marked
        `LATER` only what is not the default.

    Raises:
        ModelError: If an option is unknown, or its value not of the kind or in the range allowed.
    """
    defaults = default_options(constructor)
    options = dict(defaults)
    for key, value in config.options.items():
        if key not in options:
            known = ", ".join(options) or "none"
            raise ModelError(
                f"model.options.{key}: '{config.name}' has no such option (it has: {known})"
                f"{nearest(key, options)}"
            )
        try:
            options[key] = _adapters(constructor)[key].validate_python(value, strict=True)
        except ValidationError as error:
            problem = error.errors()[0]["msg"].lower()
            raise ModelError(
                f"model.options.{key} of '{config.name}' is {value!r}: {problem}"
            ) from error
    later = _later(constructor)
    return {
        key: value for key, value in options.items() if key not in later or value != defaults[key]
    }


def default_options(constructor: type) -> dict[str, OptionValue]:
    """The options of a constructor with their defaults.

    Args:
        constructor: The class.

    Returns:
        Option -> default.
    """
    parameters = inspect.signature(constructor).parameters
    return {name: p.default for name, p in parameters.items() if name != "width"}


@cache
def _adapters(constructor: type) -> dict[str, TypeAdapter[Any]]:
    return {name: TypeAdapter(hint) for name, hint in _hints(constructor).items()}


@cache
def _later(constructor: type) -> frozenset[str]:
    hints = _hints(constructor)
    return frozenset(name for name in hints if LATER in getattr(hints[name], "__metadata__", ()))


def _hints(constructor: type) -> dict[str, Any]:
    init = constructor.__init__  # type: ignore[misc]
    hints = get_type_hints(init, include_extras=True)
    return {name: hints[name] for name in default_options(constructor)}
