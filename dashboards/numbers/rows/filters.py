"""Filters of rows: expressions over their columns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from space import Value
from space.expressions import Kind, read_expression

__all__ = ["Filter", "read_filter"]

Filter = Callable[[Mapping[str, Value | None]], bool]
"""Whether a row is wanted; by the names of its columns, None where it has no value."""
FILTER = Kind(word="filter", name="column", example="val_error < 0.1 and learning_rate > 0.01")


def read_filter(text: str, columns: Collection[str]) -> Filter:
    """Read a filter; an empty one holds of every row.

    Args:
        text: See `space.expressions`.
        columns: The names that there are.

    Raises:
        UsageError: If it is none.
    """
    return read_expression(text, columns, FILTER).holds if text.strip() else lambda row: True
