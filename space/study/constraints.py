"""What must hold of a trial's settings before it is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from space.config import RunConfig
from space.errors import UsageError
from space.expressions import Kind, read_expression
from space.messages import refusal
from space.study.identity import flat
from space.words import describe

__all__ = ["broken", "check_constraints"]

CONSTRAINT = Kind(word="constraint", name="setting", example="batch_size * learning_rate < 0.1")
N_PARAMETERS = "n_parameters"


def check_constraints(
    constraints: Sequence[str], config: RunConfig, searched: Mapping[str, str]
) -> None:
    """Refuse a constraint that cannot be read.

    Args:
        constraints: The constraints.
        config: What is fixed.
        searched: Parameter -> dotted path of its setting.

    Raises:
        PydanticCustomError: For the first that is none.
    """
    for index, text in enumerate(constraints):
        try:
            read_expression(text, _values(config, searched, 0), CONSTRAINT)
        except UsageError as error:
            raise refusal(str(error).rstrip("."), "constraints", index) from error


def broken(
    constraints: Sequence[str], config: RunConfig, searched: Mapping[str, str], n_parameters: int
) -> str | None:
    """Say which constraint a config breaks, and with what; None where it keeps them all.

    Args:
        constraints: The constraints.
        config: The complete config of a trial.
        searched: Parameter -> dotted path of its setting.
        n_parameters: Trainable parameters of its network.
    """
    values = _values(config, searched, n_parameters)
    for text in constraints:
        found = read_expression(text, values, CONSTRAINT)
        if not found.holds(values):
            said = ", ".join(f"{name} {describe(values[name])}" for name in found.names)
            return f"it breaks the constraint {text} ({said})"
    return None


def _values(config: RunConfig, searched: Mapping[str, str], n_parameters: int) -> dict[str, Any]:
    """Every setting by its dotted path, and those that can be searched by their names, too."""
    named = {**config.searchable(), **searched}
    return {
        **dict(flat(config.model_dump(mode="json"))),
        **{name: config.value(path) for name, path in named.items()},
        N_PARAMETERS: n_parameters,
    }
