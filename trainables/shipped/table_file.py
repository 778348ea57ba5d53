"""A table of numbers from a CSV file, its mistakes said by line."""

import csv
import math
from functools import lru_cache
from pathlib import Path

import torch
from sklearn.datasets import load_diabetes
from torch import Tensor

from space.errors import DataError, nearest

__all__ = ["read_table"]


@lru_cache(maxsize=4)
def read_table(path: str, target: str) -> tuple[Tensor, Tensor]:
    """One column of a table, and the others.

    Args:
        path: A CSV file: a line of names, then lines of as many numbers. Empty: the diabetes table
            that comes with scikit-learn.
        target: The column's name; empty: the last.

    Returns:
        The other columns (N, K), the column (N,): float32.

    Raises:
        DataError: If the file cannot be read, or is no such table.
    """
    if path:
        names, rows = _read(path)
    else:
        found = load_diabetes()
        names = [*found.feature_names, "target"]
        rows = [[*row, y] for row, y in zip(found.data, found.target, strict=True)]
    if target and target not in names:
        raise DataError(
            f"options.target: {path or 'the diabetes table'} has no column '{target}'; it has "
            f"{', '.join(names)}{nearest(target, names)}"
        )
    column = names.index(target) if target else len(names) - 1
    table = torch.tensor(rows, dtype=torch.float32)
    others = [n for n in range(len(names)) if n != column]
    return table[:, others], table[:, column]


def _read(path: str) -> tuple[list[str], list[list[float]]]:
    try:
        lines = list(csv.reader(Path(path).read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"options.csv: {path} cannot be read: {error}") from error
    names, rows = lines[0] if lines else [], []
    for number, line in enumerate(lines[1:], start=2):
        try:
            rows.append([float(text) for text in line])
        except ValueError as error:
            raise DataError(f"{path}, line {number}: expected numbers alone: {error}") from error
        if len(line) != len(names):
            raise DataError(
                f"{path}, line {number}: {len(line)} values; expected {len(names)}, as many as the "
                "first line has names"
            )
        if not all(map(math.isfinite, rows[-1])):
            raise DataError(f"{path}, line {number}: expected finite numbers: {', '.join(line)}")
    if len(names) < 2 or len(rows) < 10:
        raise DataError(
            f"{path} has {len(names)} columns and {len(rows)} rows; expected 2 and 10 at least"
        )
    return names, rows
