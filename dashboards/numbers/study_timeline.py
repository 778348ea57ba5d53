"""Which worker trained which trial when."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from storage import RunRecord, Store, schema
from storage.engine import translated

__all__ = ["Segment", "read_timeline"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """What one launch trained of one run.

    Attributes:
        trial_id: The run's trial, as Optuna numbers it in the store.
        replicate: Which of the trial's runs it is.
        launch_id: The launch.
        worker: Who trained it; None where a later launch went on with the run, since the store
            keeps a run's last worker.
        started_at: When its first epoch began, as far as the epochs tell, UTC.
        ended_at: When its last epoch was reported, UTC.
        n_epochs: Its epochs.
    """

    trial_id: int
    replicate: int
    launch_id: int
    worker: str | None
    started_at: datetime.datetime
    ended_at: datetime.datetime
    n_epochs: int


def read_timeline(store: Store, study_id: int, runs: Iterable[RunRecord]) -> tuple[Segment, ...]:
    """Read when the runs of a search were trained.

    Args:
        store: The store.
        study_id: The study.
        runs: Its search runs.

    Returns:
        Their segments, oldest first.

    Raises:
        StorageError: If the store cannot be read.
    """
    by_id = {run.run_id: run for run in runs if run.trial_id is not None}
    if not by_id:
        return ()
    epochs = schema.epochs.c
    query = (
        sa.select(
            epochs.run_id,
            epochs.launch_id,
            sa.func.min(epochs.reported_at),
            sa.func.max(epochs.reported_at),
            sa.func.count(),
            sa.func.avg(epochs.seconds),
        )
        .join(schema.runs, schema.runs.c.run_id == epochs.run_id)
        .where((schema.runs.c.study_id == study_id) & (schema.runs.c.purpose == "search"))
        .group_by(epochs.run_id, epochs.launch_id)
    )
    with translated(store.url), store.engine.connect() as connection:
        rows = connection.execute(query).all()
    found = []
    for run_id, launch_id, first, last, n_epochs, seconds in rows:
        run = by_id.get(run_id)
        if run is None or run.trial_id is None:
            continue
        found.append(
            Segment(
                trial_id=run.trial_id,
                replicate=run.replicate,
                launch_id=launch_id,
                worker=run.worker if launch_id == run.launch_id else None,
                # The first epoch began before it was reported; an epoch's mean time stands for its.
                started_at=first - datetime.timedelta(seconds=seconds),
                ended_at=last,
                n_epochs=n_epochs,
            )
        )
    return tuple(sorted(found, key=lambda each: (each.started_at, each.trial_id, each.replicate)))
