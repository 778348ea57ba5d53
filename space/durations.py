"""Durations as a person writes them: ``90s``, ``10m``, ``1h30m``, ``2d``, plain seconds."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer

from space.errors import SpaceError
from space.messages import describe, refusal

__all__ = ["LONGEST", "Duration", "format_duration", "parse_duration"]

LONGEST = 1e9
"""Seconds; some 31 years."""

_NUMBER = r"[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?"
_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_PATTERN = re.compile("".join(rf"(?:({_NUMBER}) *{unit} *)?" for unit in _UNITS), re.IGNORECASE)
_PLAIN = re.compile(_NUMBER, re.IGNORECASE)


def parse_duration(text: str) -> float:
    """Read a duration.

    Args:
        text: Numbers with the units d, h, m and s in that order, each at most once, or a plain
            number of seconds.

    Returns:
        Seconds, more than 0 and at most `LONGEST`.

    Raises:
        SpaceError: If the text is none, or the duration is 0 or too long.
    """
    seconds = _seconds(text.strip(" "))
    if seconds is None:
        raise SpaceError(
            f"found {describe(text)}; expected a duration such as 90s, 10m, 1h30m or 2h"
        )
    if not 0 < seconds <= LONGEST:
        raise SpaceError(
            f"found {describe(text)}; expected a duration of more than 0 and at most "
            f"{describe(LONGEST)} seconds"
        )
    return seconds


def format_duration(seconds: float) -> str:
    """Write a duration so that `parse_duration` reads the same number back.

    Args:
        seconds: Not negative.

    Returns:
        E.g. ``"1h30m"``; a fraction of a second is kept in full, as in ``"90.5s"``.
    """
    if seconds != int(seconds):
        return f"{seconds!r}s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{count}{unit}" for count, unit in ((hours, "h"), (minutes, "m"), (rest, "s"))]
    return "".join(part for part in parts if part[0] != "0") or "0s"


def _seconds(text: str) -> float | None:
    if _PLAIN.fullmatch(text):
        return float(text)
    match = _PATTERN.fullmatch(text)
    if match is None or not text:
        return None
    numbers = zip(match.groups(), _UNITS.values(), strict=True)
    return sum(float(number) * unit for number, unit in numbers if number is not None)


def _from_text(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return parse_duration(value)
    except SpaceError as error:
        raise refusal(str(error)) from error


Duration = Annotated[
    float,
    Field(gt=0, le=LONGEST),
    BeforeValidator(_from_text, json_schema_input_type=float | str),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
]
"""Seconds in memory, text such as ``1h30m`` in a file."""
