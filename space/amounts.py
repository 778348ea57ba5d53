"""Amounts as a person writes them: durations such as ``1h30m``, memory such as ``4GiB``."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer

from space.errors import SpaceError
from space.messages import refusal
from space.words import describe

__all__ = [
    "LARGEST",
    "LONGEST",
    "Duration",
    "Size",
    "format_duration",
    "format_size",
    "parse_duration",
    "parse_size",
    "size_in_words",
]

LONGEST = 1e9
"""Seconds; some 31 years."""

_NUMBER = r"[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?"
_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_OF_TIME = re.compile("".join(rf"(?:({_NUMBER}) *{unit} *)?" for unit in _SECONDS), re.IGNORECASE)
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
    match = _OF_TIME.fullmatch(text)
    if match is None or not text:
        return None
    numbers = zip(match.groups(), _SECONDS.values(), strict=True)
    return sum(float(number) * unit for number, unit in numbers if number is not None)


LARGEST = 2**50
"""Bytes; a pebibyte."""

_BINARY = {"TiB": 2**40, "GiB": 2**30, "MiB": 2**20, "KiB": 2**10}
_BYTES = _BINARY | {"TB": 10**12, "GB": 10**9, "MB": 10**6, "kB": 10**3, "B": 1, "": 1}
_BY_LETTERS = {unit.lower(): n_bytes for unit, n_bytes in _BYTES.items()}
_OF_MEMORY = re.compile(r"([0-9]+(?:\.[0-9]+)?) *([a-z]*)", re.IGNORECASE | re.ASCII)


def parse_size(text: str) -> int:
    """Read an amount of memory.

    Args:
        text: A number and one of the units B, kB, MB, GB, TB, KiB, MiB, GiB and TiB, or a plain
            number of bytes.

    Returns:
        Bytes, 1 or more and at most `LARGEST`.

    Raises:
        SpaceError: If the text is none, or the amount is less than a byte or too large.
    """
    match = _OF_MEMORY.fullmatch(text.strip(" "))
    if match is None or match[2].lower() not in _BY_LETTERS:
        raise SpaceError(f"found {describe(text)}; expected an amount such as 500MiB, 4GiB or 4GB")
    n_bytes = float(match[1]) * _BY_LETTERS[match[2].lower()]
    if not 1 <= n_bytes <= LARGEST:
        raise SpaceError(
            f"found {describe(text)}; expected 1B at the least and at most {format_size(LARGEST)}"
        )
    return round(n_bytes)


def format_size(n_bytes: int) -> str:
    """Write an amount so that `parse_size` reads the same back: ``"4GiB"``, ``"1500B"``."""
    for unit, of_unit in _BINARY.items():
        if n_bytes % of_unit == 0:
            return f"{n_bytes // of_unit}{unit}"
    return f"{n_bytes}B"


def size_in_words(n_bytes: int) -> str:
    """An amount as people read it: ``"4 GiB"``, ``"953.7 MiB"``."""
    for unit, of_unit in _BINARY.items():
        if n_bytes >= of_unit:
            return f"{n_bytes / of_unit:.4g} {unit}"
    return f"{n_bytes} B"


def _from_text(parse: Callable[[str], Any]) -> Callable[[Any], Any]:
    """Reads text in a file as an amount, and leaves the rest to the field's own check."""

    def read(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return parse(value)
        except SpaceError as error:
            raise refusal(str(error)) from error

    return read


Duration = Annotated[
    float,
    Field(gt=0, le=LONGEST),
    BeforeValidator(_from_text(parse_duration), json_schema_input_type=float | str),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
]
"""Seconds in memory, text such as ``1h30m`` in a file."""

Size = Annotated[
    int,
    Field(gt=0, le=LARGEST),
    BeforeValidator(_from_text(parse_size), json_schema_input_type=int | str),
    PlainSerializer(format_size, return_type=str, when_used="json"),
]
"""Bytes in memory, text such as ``4GiB`` in a file."""
