"""Baselines: from what the file says of them to every active parameter's value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from space.conditions import Value
from space.errors import nearest
from space.files.messages import describe, listed, refusal
from space.paths import config_path

if TYPE_CHECKING:
    from space.space import Space

__all__ = ["complete"]


def complete(space: Space) -> list[dict[str, Value]]:
    """Every baseline with the values of all parameters that are active in it.

    Raises:
        pydantic_core.PydanticCustomError: If a baseline names a parameter that is unknown or
            inactive, has a value outside a range, lacks one, or repeats another.
    """
    found: list[dict[str, Value]] = []
    for index, given in enumerate(space.baselines):
        params = _complete(space, given, ("baselines", index))
        if params in found:
            raise refusal(f"the same as baselines.{found.index(params)}", "baselines", index)
        found.append(params)
    return found


def _complete(
    space: Space, given: Mapping[str, Value], at: tuple[str | int, ...]
) -> dict[str, Value]:
    for name in given:
        if name not in space.parameters:
            raise refusal(
                f"unknown parameter; searched: {listed(space.parameters)}"
                f"{nearest(name, space.parameters)}",
                *at,
                name,
            )
    params: dict[str, Value] = {}
    for name, parameter in space.parameters.items():
        if not space.is_active(name, params):
            if name in given:
                raise refusal("inactive here, since its condition does not hold", *at, name)
            continue
        path = config_path(name)
        value = given[name] if name in given else space.config.value(path)
        if not parameter.contains(value):
            if name in given:
                raise refusal(f"found {describe(value)}; expected {parameter.span()}", *at, name)
            raise refusal(
                f"{name} is missing, and the fixed {path}, {describe(value)}, is not "
                f"{parameter.span()}",
                *at,
            )
        params[name] = parameter.normalise(value)
    return params
