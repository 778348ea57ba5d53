"""Amounts of memory as a person writes them: ``500MiB``, ``4GiB``, ``4GB``, plain bytes."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer

from space.errors import SpaceError
from space.messages import describe, refusal

__all__ = ["LARGEST", "Size", "format_size", "parse_size", "size_in_words"]

LARGEST = 2**50
"""Bytes; a pebibyte."""

_BINARY = {"TiB": 2**40, "GiB": 2**30, "MiB": 2**20, "KiB": 2**10}
_UNITS = _BINARY | {"TB": 10**12, "GB": 10**9, "MB": 10**6, "kB": 10**3, "B": 1, "": 1}
_BY_LETTERS = {unit.lower(): n_bytes for unit, n_bytes in _UNITS.items()}
_PATTERN = re.compile(r"([0-9]+(?:\.[0-9]+)?) *([a-z]*)", re.IGNORECASE | re.ASCII)


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
    match = _PATTERN.fullmatch(text.strip(" "))
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


def _from_text(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return parse_size(value)
    except SpaceError as error:
        raise refusal(str(error)) from error


Size = Annotated[
    int,
    Field(gt=0, le=LARGEST),
    BeforeValidator(_from_text, json_schema_input_type=int | str),
    PlainSerializer(format_size, return_type=str, when_used="json"),
]
"""Bytes in memory, text such as ``4GiB`` in a file."""
