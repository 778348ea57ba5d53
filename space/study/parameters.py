"""What a search varies: numbers, whole numbers and choices, each perhaps under a condition."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from pydantic import ConfigDict, Field, field_validator, model_validator

from space.config import FrozenModel
from space.messages import listed, refusal
from space.study.steps import TOLERANCE, on_step, stepped
from space.words import describe

__all__ = [
    "CategoricalParameter",
    "Condition",
    "FloatParameter",
    "IntParameter",
    "Parameter",
    "Value",
]

Value = bool | int | float | str
"""What a parameter may be set to."""

Bound = Annotated[float, Field(ge=-1e100, le=1e100)]
"""An end of a range."""
_IntBound = Annotated[int, Field(ge=-(2**53), le=2**53)]
N = TypeVar("N", int, float)
_MOST_STEPS = 1_000_000


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


class _Parameter(FrozenModel):
    when: Condition | None = None
    """Take part only under this condition on another parameter; default: always."""

    def is_active(self, params: Mapping[str, Value]) -> bool:
        """Whether the parameter takes part, given the values of those before it, at least."""
        when = self.when
        return when is None or (when.parameter in params and when.holds(params[when.parameter]))

    def contains(self, value: object) -> bool:
        """Whether the parameter may have this value."""
        raise NotImplementedError

    def normalise(self, value: Any) -> Value:
        """A contained value as the parameter itself spells it."""
        raise NotImplementedError

    def spell(self, value: object) -> Value | None:
        """Any value as the parameter itself spells it; None where it is none of its values."""
        return self.normalise(value) if self.contains(value) else None


class _Number(_Parameter, Generic[N]):
    type: str
    """The kind of parameter."""
    low: N
    """The smallest value."""
    high: N
    """The largest value."""
    log: bool = False
    """Search on a logarithmic scale."""
    step: N | None = None
    """Allow only low, low + step, low + 2 step ..."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        low, high = describe(self.low), describe(self.high)
        if self.low > self.high:
            raise refusal(f"found {low}; expected at most high, {high}", "low")
        if self.log and self.step is not None:
            raise refusal("expected either 'log' or 'step', not both", "step")
        if self.log and self.low <= 0:
            raise refusal(
                f"found {low}; expected more than 0, since the scale is logarithmic", "low"
            )
        if self.step is not None:
            self._check_step(self.step)
            start, stride, end = (Decimal(str(n)) for n in (self.low, self.step, self.high))
            if (end - start) % stride:
                last = float(start + (end - start) // stride * stride)
                raise refusal(
                    f"found {high}; expected low plus a whole number of steps, such as "
                    f"{describe(last)}",
                    "high",
                )
        return self

    def _check_step(self, step: N) -> None:
        """Refuse a step that gives no points."""

    def _centre(self, value: float) -> Value:
        """A cell's centre as the parameter itself spells it."""
        raise NotImplementedError

    def centres(self, n_cells: int) -> list[Value]:
        """The centres of equal cells of the range, on its own scale.

        Args:
            n_cells: How many cells, at least 1.

        Returns:
            So many values ascending, fewer where whole numbers coincide.
        """

        def on_scale(share: float) -> float:
            if self.log:
                low, high = math.log(self.low), math.log(self.high)
                return math.exp(low + share * (high - low))
            return self.low + share * (self.high - self.low)

        shares = ((cell + 0.5) / n_cells for cell in range(n_cells))
        return list(dict.fromkeys(self._centre(on_scale(share)) for share in shares))

    def extremes(self) -> list[tuple[tuple[str | int, ...], Value]]:
        """The outermost values with the keys that set them."""
        return [(("low",), self.low), (("high",), self.high)]

    def span(self) -> str:
        """The allowed values in words."""
        kind = "a whole number" if self.type == "int" else "a number"
        steps = "" if self.step is None else f" in steps of {describe(self.step)}"
        return f"{kind} from {describe(self.low)} to {describe(self.high)}{steps}"


class FloatParameter(_Number[Bound]):
    """A number between two bounds, both included."""

    type: Literal["float"]
    """The kind of parameter."""
    step: Annotated[Bound, Field(gt=0)] | None = None
    """Allow only low, low + step, low + 2 step ..."""

    def _check_step(self, step: float) -> None:
        if (self.high - self.low) / step > _MOST_STEPS:
            raise refusal(f"found {describe(step)}; over a million steps", "step")
        # A value and low are each rounded by half a unit in the last place, sums once more.
        least = 2 * math.ulp(max(abs(self.low), abs(self.high))) / TOLERANCE
        if step < least:
            enough = 10.0 ** math.ceil(math.log10(least))
            raise refusal(
                f"found {describe(step)}, which is lost in the rounding of the bounds; "
                f"expected a larger step, such as {describe(enough)}",
                "step",
            )

    @property
    def n_points(self) -> int | None:
        """How many values there are; None where they are continuous."""
        if self.step is None:
            return 1 if self.low == self.high else None
        return round((self.high - self.low) / self.step) + 1

    def points(self) -> list[Value]:
        """Every value, ascending; only where `n_points` is not None."""
        return [stepped(self.low, index, self.step or 1) for index in range(self.n_points or 0)]

    def _centre(self, value: float) -> Value:
        return float(f"{value:.6g}")

    def contains(self, value: object) -> bool:
        """Whether the parameter may have this value."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if not self.low <= value <= self.high:
            return False
        return self.step is None or on_step(value, self.low, self.step) is not None

    def normalise(self, value: Any) -> Value:
        """A contained value as the parameter itself spells it."""
        found = None if self.step is None else on_step(value, self.low, self.step)
        return float(value if found is None else found) + 0.0  # No negative zero.


class IntParameter(_Number[_IntBound]):
    """A whole number between two bounds, both included."""

    type: Literal["int"]
    """The kind of parameter."""
    step: Annotated[_IntBound, Field(ge=1)] | None = None
    """Allow only low, low + step, low + 2 step ...; default: every whole number."""

    @property
    def n_values(self) -> int:
        """How many values there are, whatever the scale."""
        return (self.high - self.low) // (self.step or 1) + 1

    @property
    def n_points(self) -> int | None:
        """How many values there are; None on a logarithmic scale, of which no grid is made."""
        return None if self.log and self.low < self.high else self.n_values

    def points(self) -> list[Value]:
        """Every value, ascending."""
        return list(range(self.low, self.high + 1, self.step or 1))

    def _centre(self, value: float) -> Value:
        return round(value)

    def contains(self, value: object) -> bool:
        """Whether the parameter may have this value."""
        if isinstance(value, bool) or not isinstance(value, int):
            return False
        return self.low <= value <= self.high and (value - self.low) % (self.step or 1) == 0

    def normalise(self, value: Any) -> Value:
        """A contained value as the parameter itself spells it."""
        return int(value)

    def spell(self, value: object) -> Value | None:
        """As the others', and 32.0 is 32: files are strict about it, other tools are not."""
        return super().spell(
            int(value) if isinstance(value, float) and value.is_integer() else value
        )


class CategoricalParameter(_Parameter):
    """One of several values without an order."""

    type: Literal["categorical"]
    """The kind of parameter."""
    choices: Annotated[tuple[Value, ...], Field(strict=False, min_length=1)]
    """The values, all different."""

    @field_validator("choices", mode="after")
    @classmethod
    def _no_negative_zero(cls, choices: tuple[Value, ...]) -> tuple[Value, ...]:
        return tuple(choice + 0.0 if isinstance(choice, float) else choice for choice in choices)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        for index, choice in enumerate(self.choices):
            if choice in self.choices[:index]:
                raise refusal(f"found {describe(choice)} a second time", "choices", index)
        return self

    @property
    def n_points(self) -> int:
        """How many values there are."""
        return len(self.choices)

    def points(self) -> list[Value]:
        """Every value in the file's order."""
        return list(self.choices)

    def contains(self, value: object) -> bool:
        """Whether the parameter may have this value."""
        return any(same(value, choice) for choice in self.choices)

    def normalise(self, value: Any) -> Value:
        """A contained value as the parameter itself spells it."""
        return next(choice for choice in self.choices if same(value, choice))

    def extremes(self) -> list[tuple[tuple[str | int, ...], Value]]:
        """Every value with the keys that set it."""
        return [(("choices", index), choice) for index, choice in enumerate(self.choices)]

    def span(self) -> str:
        """The allowed values in words."""
        return listed(self.choices)


Parameter = Annotated[
    FloatParameter | IntParameter | CategoricalParameter, Field(discriminator="type")
]
