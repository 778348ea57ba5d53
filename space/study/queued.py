"""Points that somebody puts into a study's queue: a value for some parameters, or for all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from space.errors import SpaceError, nearest
from space.messages import listed
from space.study.parameters import CategoricalParameter, IntParameter, Parameter, Value
from space.words import describe

__all__ = ["read_values", "spelled_values"]


def spelled_values(
    values: Mapping[str, Any], parameters: Mapping[str, Parameter]
) -> dict[str, Value]:
    """Values as the space spells them.

    Args:
        values: Parameter -> value.
        parameters: Those that are searched.

    Raises:
        SpaceError: If one names what is not searched, or is none of its parameter's.
    """
    found: dict[str, Value] = {}
    for name, value in values.items():
        if name not in parameters:
            raise SpaceError(
                f"a value is given of {describe(name)}, which is not searched; searched: "
                f"{listed(parameters)}{nearest(name, parameters)}"
            )
        spelled = parameters[name].spell(value)
        if spelled is None:
            raise SpaceError(
                f"it cannot have {name} {describe(value)}; expected {parameters[name].span()}"
            )
        found[name] = spelled
    return found


def read_values(texts: Mapping[str, str], parameters: Mapping[str, Parameter]) -> dict[str, Value]:
    """Values that a person wrote, as the space spells them.

    Args:
        texts: Parameter -> what was written for it.
        parameters: Those that are searched.

    Raises:
        SpaceError: As for `spelled_values`.
    """
    values = {
        name: _read(text.strip(), parameters[name]) if name in parameters else text
        for name, text in texts.items()
    }
    return spelled_values(values, parameters)


def _read(text: str, parameter: Parameter) -> Any:
    if isinstance(parameter, CategoricalParameter):
        return next((each for each in parameter.choices if str(each) == text), text)
    try:
        return int(text) if isinstance(parameter, IntParameter) else float(text)
    except ValueError:
        return text
