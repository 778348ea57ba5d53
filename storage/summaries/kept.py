"""What was measured of the state that runs keep, of many runs at once."""

from __future__ import annotations

import sqlalchemy as sa

from storage.store import Store
from storage.tables import schema

__all__ = ["kept_metrics"]


def kept_metrics(store: Store, study_id: int, purpose: str) -> dict[int, dict[str, float]]:
    """The metrics of the epoch whose state a run keeps, of the runs of a study.

    Args:
        store: The store.
        study_id: The study.
        purpose: That of the runs.

    Returns:
        Run -> metric -> value; without runs that have no epoch, and values that are not finite.

    Raises:
        StorageError: If the store cannot be read.
    """
    runs, metrics = schema.runs, schema.epoch_metrics
    kept = (metrics.c.run_id == runs.c.run_id) & (metrics.c.epoch == runs.c.best_epoch)
    query = (
        sa.select(metrics.c.run_id, metrics.c.name, metrics.c.value)
        .select_from(runs.join(metrics, kept))
        .where((runs.c.study_id == study_id) & (runs.c.purpose == purpose))
        .where(metrics.c.value.is_not(None))
    )
    found: dict[int, dict[str, float]] = {}
    for row in store.rows(query):
        found.setdefault(row["run_id"], {})[row["name"]] = row["value"]
    return found
