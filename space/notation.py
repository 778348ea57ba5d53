"""How measured values are written, wherever people read them: unit, decimals, signs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Notation"]

_LEAST, _MOST = 1e-6, 1e9
"""What lies between them is written out, all else with its power of ten."""
_FIGURES = 4
_NOT_ZERO = frozenset("123456789")


@dataclass(frozen=True, kw_only=True)
class Notation:
    """How the values of a metric that stand together are written; see `Metric.notation`.

    Attributes:
        unit: What follows a value in a sentence, with the space before it: ``" %"``, ``" nats"``;
            empty where the metric has none.
        of_difference: The same of a difference.
        scale: What values are multiplied by: 100 where shares are written in per cent.
        decimals: How many there are.
        is_scientific: Whether with a power of ten.
    """

    unit: str = ""
    of_difference: str = ""
    scale: float = 1.0
    decimals: int = 2
    is_scientific: bool = False

    @classmethod
    def of(cls, values: Iterable[float | None], unit: str) -> Notation:
        """One whose decimals follow from the values; see `Metric.notation`."""
        finite = [value for value in values if value is not None and math.isfinite(value)]
        largest = max(map(abs, finite), default=0.0) or 1.0
        if not _LEAST <= largest < _MOST:
            decimals = _FIGURES - 1
            return cls(unit=unit, of_difference=unit, decimals=decimals, is_scientific=True)
        is_whole = bool(finite) and all(float(value).is_integer() for value in finite)
        decimals = 0 if is_whole else max(_FIGURES - 1 - math.floor(math.log10(largest)), 0)
        return cls(unit=unit, of_difference=unit, decimals=decimals)

    def value(self, value: float | None) -> str:
        """A value, or a difference whose sign goes without saying."""
        if value is None:
            return "-"
        if not math.isfinite(value):
            return "not finite"
        # "z" makes a zero of what is rounded to minus zero.
        kind = f"z.{self.decimals}e" if self.is_scientific else f"z,.{self.decimals}f"
        return format(value * self.scale, kind)

    def signed(self, value: float | None) -> str:
        """A difference with its sign, but where it is zero."""
        shown = self.value(value)
        return f"+{shown}" if value is not None and value > 0 and _NOT_ZERO & {*shown} else shown

    def mean(self, mean: float, std: float | None) -> str:
        """A mean and its standard deviation, where there is one."""
        return self.value(mean) + ("" if std is None else f" ± {self.value(std)}")

    def interval(self, low: float, high: float) -> str:
        """An interval."""
        return f"[{self.value(low)}, {self.value(high)}]"

    def quoted(self, value: float) -> str:
        """A value that others published: with no decimal less than they gave."""
        scaled = round(value * self.scale, 12)
        return self.value(value) if round(scaled, self.decimals) == scaled else f"{scaled:.12g}"
