"""Conditions: when a parameter takes part, given another one's value."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from space.config import FrozenModel
from space.files.messages import refusal

__all__ = ["Bound", "Condition", "Value", "same"]

Value = bool | int | float | str
"""What a parameter may be set to."""

Bound = Annotated[float, Field(ge=-1e100, le=1e100)]
"""An end of a range."""


class Condition(FrozenModel):
    """When a parameter takes part: its parent does too and has a value that fits."""

    model_config = ConfigDict(serialize_by_alias=True)

    parameter: str
    """The parent, another parameter."""
    values: Annotated[tuple[Value, ...], Field(strict=False, min_length=1)] | None = Field(
        None, alias="in"
    )
    """Values of the parent, categorical or int, that make this parameter active."""
    above: Bound | None = None
    """A number that the parent, float or int, must exceed."""
    below: Bound | None = None
    """A number that the parent, float or int, must stay below."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        bounded = self.above is not None or self.below is not None
        if bounded == (self.values is not None):
            raise refusal("expected either 'in' or 'above' and 'below' (one of them or both)")
        return self

    def holds(self, value: Value) -> bool:
        """Whether a value of the parent makes the parameter active."""
        if self.values is not None:
            return any(same(value, each) for each in self.values)
        if not isinstance(value, int | float):
            return False
        return (self.above is None or value > self.above) and (
            self.below is None or value < self.below
        )


def same(one: object, other: object) -> bool:
    """Whether two values are equal, a boolean never to a number."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other
