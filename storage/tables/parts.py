"""Long lists over several statements: databases bound the number of parameters of one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

__all__ = ["in_parts"]

T = TypeVar("T")

PART = 500


def in_parts(values: Iterable[T]) -> Iterator[list[T]]:
    """Some values, in lists that are short enough for a statement."""
    wanted = list(values)
    for start in range(0, len(wanted), PART):
        yield wanted[start : start + PART]
