"""Which runs were trained together with others as one model, and so share their training time."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from storage import Store
from storage.connect.engine import translated
from storage.tables import schema

__all__ = ["together_note", "trained_together"]

SHORTEST_SECONDS = 1e-3
"""Epochs without any training are so short that two of them may take the same time by chance."""


def trained_together(store: Store, launch_ids: Iterable[int]) -> frozenset[int]:
    """The runs that had an epoch in a batch with other runs.

    Each run of a batch is given the same share of an epoch's wall time, to the last figure, and all
    are recorded at once; epochs that were timed one by one agree in no such way.

    Args:
        store: The store.
        launch_ids: The launches whose epochs are looked at.

    Returns:
        Their numbers.

    Raises:
        StorageError: If the store cannot be read.
    """
    wanted = list(launch_ids)
    if not wanted:  # Then the store may be another tool's, without our tables.
        return frozenset()
    epochs = schema.epochs.c
    step = (epochs.launch_id, epochs.reported_at, epochs.seconds)
    counted = (
        sa.select(epochs.run_id, sa.func.count().over(partition_by=step).label("n_runs"))
        .where(epochs.launch_id.in_(wanted) & (epochs.seconds >= SHORTEST_SECONDS))
        .subquery()
    )
    query = sa.select(counted.c.run_id).where(counted.c.n_runs > 1).distinct()
    with translated(store.url), store.engine.connect() as connection:
        return frozenset(connection.scalars(query))


def together_note(n_together: int, n_runs: int) -> str:
    """What to bear in mind of training times; nothing where no run was trained with others."""
    if not n_together:
        return ""
    which = "All runs were" if n_together == n_runs else f"{n_together:,} of {n_runs:,} runs were"
    return (
        f"{which} trained together with others: each is given an equal share of the time that its "
        "batch took, so these times do not tell which run is faster."
    )
