"""Makes a sampler or a pruner by its import path."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

from search.trials.foreign import brief, safely
from space.errors import SpaceError, nearest
from space.messages import listed
from space.study.own import OwnClass, class_in

__all__ = ["make_own"]


def make_own(key: str, base: type, config: OwnClass, *, seed: int | None = None) -> Any:
    """Make what a space file names by its import path.

    Args:
        key: The file's key.
        base: What the class must derive from.
        config: The class and its options.
        seed: What it is given as `seed`, if it takes one.

    Raises:
        SpaceError: If it cannot be imported, is no such class, or does not take its options.
    """
    where = config.path.partition(":")[0]

    def absent(error: Exception) -> object:
        raise SpaceError(
            f"{key}: {where} cannot be imported here ({brief(error)}); install it, or start where "
            "Python finds it."
        ) from error

    module: Any = safely(lambda: importlib.import_module(where), absent)
    found = class_in(key, module, config.path, base)
    options = dict(config.options)
    parameters = inspect.signature(found).parameters
    kinds = {each.kind for each in parameters.values()}
    named = [each for each, one in parameters.items() if one.kind not in _STARRED]
    for option in options:
        if option not in named and inspect.Parameter.VAR_KEYWORD not in kinds:
            raise SpaceError(
                f"{key}.{option}: {config.path} has no such option; it has "
                f"{listed(named) or 'none'}{nearest(option, named)}"
            )
    if seed is not None and "seed" in named:
        options["seed"] = seed
    lacking = [
        each for each in named if parameters[each].default is _NOTHING and each not in options
    ]
    if lacking:
        raise SpaceError(f"{key}: {config.path} needs {listed(lacking)}; give it beside the name.")

    def refused(error: Exception) -> Any:
        raise SpaceError(
            f"{key}: {config.path} does not take these options ({brief(error)})"
        ) from error

    return safely(lambda: found(**options), refused)


_NOTHING = inspect.Parameter.empty
_STARRED = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
