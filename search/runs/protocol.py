"""What a worker is told and what it reports: plain dictionaries on the wire, typed here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from search.runs.lineage import Lineage
from space import RunConfig
from space.epochs import Epoch
from storage import RunEpoch, RunRecord
from storage.kept_epoch import RunProgress

__all__ = ["LOST_WORKER", "Assignment", "Report"]

LOST_WORKER = "its worker died"
"""How the reason begins for which a run failed whose workers died: another machine may train it."""


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """What a worker is given at a time: a run, or several that belong to one trial.

    Attributes:
        runs: Each run as the store knows it, with its complete config.
        in_turn: Train them one after another instead of an epoch of each in turn.
        evaluate: Measure the kept state's errors at the end, those on the test split among them.
        lineage: Where a trial of a population goes on, whose own end is kept for others; None for
            any other.
    """

    runs: tuple[tuple[RunRecord, RunConfig], ...]
    in_turn: bool = False
    evaluate: bool = False
    lineage: Lineage | None = None


@dataclass(frozen=True, kw_only=True)
class Report:
    """One epoch of one run, or the failure that ended it.

    Attributes:
        run_id: The run in the store.
        epoch: The epoch's metrics, or None where the run failed before one was measured.
        evaluation: The metrics that a `ResultRecord` has of the state that the run kept, where that
            was asked for and the epoch is its last.
        other: Those of the state that the other selection would keep, if there is one.
        failure: Why the run cannot go on, or None.
        traceback: Of the error that it failed with, the part that its user is to see.
        warning: What did not stop the run but should be known, or None.
        worker: Where the epoch was trained.
    """

    run_id: int
    epoch: Epoch | None
    evaluation: dict[str, float] | None = None
    other: dict[str, float] | None = None
    failure: str | None = None
    traceback: str | None = None
    warning: str | None = None
    worker: str

    def take(self, progress: RunProgress) -> RunEpoch | None:
        """Take the epoch in, if it is news.

        A worker that died after its last checkpoint has a successor that trains epochs again.

        Args:
            progress: What is known of the run; it is brought up to date.

        Returns:
            What is to be stored; None where there is nothing new.
        """
        if self.epoch is None or self.epoch.epoch != progress.n_epochs + 1:
            return None
        progress.add(self.epoch)
        return RunEpoch(
            run_id=self.run_id,
            epoch=self.epoch,
            best_epoch=progress.best_epoch,
            other_epoch=progress.other_epoch,
            worker=self.worker,
        )

    @classmethod
    def from_wire(cls, message: dict[str, Any]) -> Report:
        """Read what `trainables.worker.assigned` sent."""
        epoch = message["epoch"]
        return cls(**{**message, "epoch": None if epoch is None else Epoch(**epoch)})
