"""Numbers and times as pages say them."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping, Sequence

__all__ = [
    "duration",
    "metric_name",
    "number",
    "time_element",
    "unit_of",
    "values",
]

_EXACT = 2**53
"""Whole numbers below it are exact as floats."""
_WORDS = {
    "train_error": ("training error", "fraction of pairs"),
    "val_error": ("validation error", "fraction of pairs"),
    "train_loss": ("training loss", "nats"),
    "val_loss": ("validation loss", "nats"),
    "train_seconds": ("training time", "s"),
    "n_parameters": ("parameters", ""),
}


def number(value: object, digits: int = 4) -> str:
    """A value as people read it: numbers rounded, other things as they are, – for nothing."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or (value.is_integer() and abs(value) < _EXACT):
        return f"{value:,.0f}"
    return f"{value:.{digits}g}" if math.isfinite(value) else "not finite"


def values(numbers: Sequence[float]) -> str:
    """Several objectives' values, or – for none."""
    return " / ".join(number(each) for each in numbers) or "–"


def unit_of(metric: str) -> str:
    """What a metric is measured in; empty for one that is not ours."""
    return _WORDS.get(metric, ("", ""))[1]


def metric_name(metric: str) -> str:
    """A metric in words; as it is called where it is not ours."""
    return _WORDS.get(metric, (metric, ""))[0]


def duration(seconds: float) -> str:
    """A time span in its two largest units: ``"12.3 s"``, ``"5 min 20 s"``, ``"2 h 5 min"``."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def time_element(time: datetime.datetime | None) -> Mapping[str, str] | None:
    """A point in time for a ``<time>`` element, whose text the page's script keeps up to date."""
    if time is None:
        return None
    utc = time.astimezone(datetime.UTC)
    return {"iso": utc.isoformat(timespec="seconds"), "text": f"{utc:%Y-%m-%d %H:%M} UTC"}
