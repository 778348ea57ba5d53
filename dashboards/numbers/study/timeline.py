"""Which worker trained which trial when."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import sqlalchemy as sa

from storage import RunRecord, Store
from storage.connect.engine import translated
from storage.tables import schema

__all__ = ["Idle", "Segment", "Timeline", "idle_times", "latest", "read_timeline"]

IDLE_SHARE = 0.1
"""Nobody needs to see idle time that is longer than this share of the busy time."""
KEPT_SHARE = 0.01
"""So much of the busy time is left of it on either side, so that it can be seen."""
MAX_IDLE = 30


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


class Idle(NamedTuple):
    """A time in which no worker trained anything."""

    started_at: datetime.datetime
    ended_at: datetime.datetime


class Timeline(NamedTuple):
    """What is shown of some segments."""

    segments: list[Segment]
    """The latest, oldest first."""
    workers: list[str | None]
    """Who trained them, in the order of their first; see `Segment.worker`."""
    idle: tuple[Idle, ...]
    """What is left out between them; see `idle_times`."""

    @property
    def busy(self) -> list[tuple[datetime.datetime, datetime.datetime]]:
        """From when to when there is something to see, the idle times lying between."""
        first = min(each.started_at for each in self.segments)
        last = max(each.ended_at for each in self.segments)
        starts = [first, *(each.ended_at for each in self.idle)]
        return list(zip(starts, [*(each.started_at for each in self.idle), last], strict=True))


def latest(segments: Sequence[Segment], most: int, most_workers: int) -> Timeline:
    """The latest segments, of the latest workers.

    Args:
        segments: Oldest first, at least one.
        most: At the most so many, at least one.
        most_workers: Of the workers of these, at the most so many, at least one.
    """
    last = segments[-most:]
    workers = list(dict.fromkeys(each.worker for each in last))[-most_workers:]
    shown = [each for each in last if each.worker in workers]
    return Timeline(shown, workers, idle_times(shown))


def idle_times(segments: Sequence[Segment]) -> tuple[Idle, ...]:
    """The long times between segments, such as the night between two launches.

    Args:
        segments: What was trained.

    Returns:
        The longest of those that are long beside the time in which something was trained, oldest
        first; each is shortened by a little of that time at both of its ends.
    """
    gaps: list[Idle] = []
    busy = datetime.timedelta()
    until: datetime.datetime | None = None
    for segment in sorted(segments, key=lambda each: each.started_at):
        if until is None or segment.started_at > until:
            if until is not None:
                gaps.append(Idle(until, segment.started_at))
            until = segment.started_at
        busy += max(segment.ended_at - until, datetime.timedelta())
        until = max(until, segment.ended_at)
    kept = KEPT_SHARE * busy
    long = [gap for gap in gaps if gap.ended_at - gap.started_at > IDLE_SHARE * busy]
    long.sort(key=lambda gap: gap.started_at - gap.ended_at)
    return tuple(
        Idle(gap.started_at + kept, gap.ended_at - kept) for gap in sorted(long[:MAX_IDLE])
    )


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
