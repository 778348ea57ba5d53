"""Metrics as rows of their own, and the epochs that are read with them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from space.epochs import Epoch
from storage.tables import schema

__all__ = ["as_rows", "as_value", "read_epochs"]


def as_rows(metrics: Mapping[str, float], **key: int) -> list[dict[str, Any]]:
    """A row a metric.

    Args:
        metrics: Name -> value.
        key: What the rows belong to.
    """
    return [
        {**key, "name": name, "value": value if math.isfinite(value) else None}
        for name, value in metrics.items()
    ]


def as_value(value: float | None) -> float:
    """A metric as the database has it: NaN for one that is not finite."""
    return math.nan if value is None else value


def read_epochs(
    connection: sa.Connection, runs: Sequence[int] | sa.Select[tuple[int]]
) -> dict[int, list[Epoch]]:
    """The epochs of some runs, in order, by run; none of a run that has none.

    Args:
        connection: It reads in one statement, as of one moment.
        runs: The runs' numbers, or what finds them.
    """
    epochs, metrics = schema.epochs, schema.epoch_metrics
    of_epoch = (metrics.c.run_id == epochs.c.run_id) & (metrics.c.epoch == epochs.c.epoch)
    query = (
        sa.select(
            epochs.c.run_id, epochs.c.epoch, epochs.c.seconds, metrics.c.name, metrics.c.value
        )
        .outerjoin(metrics, of_epoch)
        .where(epochs.c.run_id.in_(runs))
        .order_by(epochs.c.run_id, epochs.c.epoch)
    )
    found: dict[int, list[Epoch]] = {}
    last: tuple[int, int] | None = None
    values: dict[str, float] = {}
    for run_id, number, seconds, name, value in connection.execute(query):
        if (run_id, number) != last:
            last, values = (run_id, number), {}
            epoch = Epoch(epoch=number, metrics=values, seconds=seconds)
            found.setdefault(run_id, []).append(epoch)
        if name is not None:
            values[name] = as_value(value)
    return found
