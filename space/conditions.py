"""Conditions between parameters: whether they make sense, and an order in which they can be met."""

from __future__ import annotations

from collections.abc import Mapping

from space.config import PARAMETER_NAMES, is_parameter
from space.errors import nearest
from space.files.messages import describe, listed, refusal
from space.parameters import CategoricalParameter, Condition, FloatParameter, Parameter

__all__ = ["ordered"]


def ordered(parameters: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """The parameters in the file's order but that each comes after the one it depends on.

    Args:
        parameters: Name -> parameter.

    Returns:
        The same parameters; applied to its own result the function changes nothing.

    Raises:
        pydantic_core.PydanticCustomError: If a name is unknown, a condition can never hold, or
            conditions go round in a circle.
    """
    for name, parameter in parameters.items():
        if not is_parameter(name):
            raise refusal(
                f"unknown parameter; allowed: {listed(PARAMETER_NAMES)}, options.NAME"
                f"{nearest(name, PARAMETER_NAMES)}",
                name,
            )
        if parameter.when is not None:
            _check_condition(name, parameter.when, parameters)
    return {name: parameters[name] for name in _sorted(parameters)}


def _sorted(parameters: Mapping[str, Parameter]) -> list[str]:
    done: dict[str, None] = {}
    for name in parameters:
        waiting: list[str] = []
        step: str | None = name
        while step is not None and step not in done:
            if step in waiting:
                circle = " -> ".join([*waiting[waiting.index(step) :], step])
                raise refusal(f"conditions go round in a circle: {circle}", step, "when")
            waiting.append(step)
            when = parameters[step].when
            step = None if when is None else when.parameter
        done.update(dict.fromkeys(reversed(waiting)))
    return list(done)


def _check_condition(name: str, when: Condition, parameters: Mapping[str, Parameter]) -> None:
    at = (name, "when")
    parent = parameters.get(when.parameter)
    if parent is None:
        others = [other for other in parameters if other != name]
        raise refusal(
            f"found {describe(when.parameter)}, which is not searched; searched: "
            f"{listed(others)}{nearest(when.parameter, others)}",
            *at,
            "parameter",
        )
    if when.values is not None:
        if isinstance(parent, FloatParameter):
            raise refusal(
                f"{when.parameter} is a float; expected 'above' or 'below' instead", *at, "in"
            )
        for index, value in enumerate(when.values):
            if not parent.contains(value):
                raise refusal(
                    f"found {describe(value)}; {when.parameter} allows {parent.span()}",
                    *at,
                    "in",
                    index,
                )
    elif isinstance(parent, CategoricalParameter):
        raise refusal(f"{when.parameter} is categorical; expected 'in' instead", *at)
    else:
        low = parent.low if when.above is None else max(parent.low, when.above)
        high = parent.high if when.below is None else min(parent.high, when.below)
        ends_are_open = low == when.above or high == when.below
        if low > high or (low == high and ends_are_open):
            raise refusal(f"never holds: {when.parameter} is {parent.span()}", *at)
