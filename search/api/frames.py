"""Rows as a DataFrame, where pandas is installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

__all__ = ["frame"]


def frame(rows: list[dict[str, Any]], index: str | None = None) -> Any:
    """A pandas DataFrame of some rows; without pandas the rows themselves.

    Args:
        rows: Column -> value, each.
        index: The column that becomes the index.
    """
    if find_spec("pandas") is None:
        return rows
    import pandas as pd

    table = pd.DataFrame(rows)
    return table if index is None or table.empty else table.set_index(index)
