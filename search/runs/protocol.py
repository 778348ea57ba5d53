"""What a worker is told and what it reports: plain dictionaries on the wire, typed here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from space import RunConfig
from storage import EpochRecord, RunEpoch, RunRecord
from storage.kept_epoch import RunProgress

__all__ = ["LOST_WORKER", "Assignment", "Evaluation", "Report", "RunLedger"]

LOST_WORKER = "its worker died"
"""How the reason begins for which a run failed whose workers died: another machine may train it."""


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """What a worker is given at a time: a run, or several that belong to one trial.

    Attributes:
        runs: Each run as the store knows it, with its complete config.
        in_turn: Train them one after another instead of an epoch of each in turn.
        evaluate: Measure the kept state's errors at the end, those on the test split among them.
    """

    runs: tuple[tuple[RunRecord, RunConfig], ...]
    in_turn: bool = False
    evaluate: bool = False


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Errors (fractions of pairs) and losses (nats) of the state that a run kept."""

    train_error: float
    val_error: float
    test_error: float
    train_loss: float
    val_loss: float
    test_loss: float


@dataclass(frozen=True, kw_only=True)
class Report:
    """One epoch of one run, or the failure that ended it.

    Attributes:
        run_id: The run in the store.
        epoch: The epoch's metrics, or None where the run failed before one was measured.
        evaluation: What the run ended in, where that was asked for and the epoch is its last.
        failure: Why the run cannot go on, or None.
        warning: What did not stop the run but should be known, or None.
        worker: Where the epoch was trained.
    """

    run_id: int
    epoch: EpochRecord | None
    evaluation: Evaluation | None
    failure: str | None
    warning: str | None
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
            worker=self.worker,
        )

    @classmethod
    def from_wire(cls, message: dict[str, Any]) -> Report:
        """Read what `trainables.worker` sent."""
        epoch, evaluation = message["epoch"], message["evaluation"]
        return cls(
            **{
                **message,
                "epoch": None if epoch is None else EpochRecord(**epoch),
                "evaluation": None if evaluation is None else Evaluation(**evaluation),
            }
        )


class RunLedger(Protocol):
    """Who assigns runs to workers, hears their reports and decides; see `search.trials.ledger`."""

    @property
    def is_spent(self) -> bool:
        """Whether everything must stop because the budget of epochs is used up."""

    def is_open(self, run_id: int) -> bool:
        """Whether a run is in the hands of a worker and may go on."""

    def next_assignment(self, beside: RunConfig | None = None) -> Assignment | None:
        """The next assignment for a worker.

        Args:
            beside: What the worker trains already and would train it with; None: nothing.

        Returns:
            The assignment, or None where there is none for now.
        """

    def report(self, reports: Sequence[Report]) -> frozenset[int]:
        """Hear what a worker's step reports; say which of its runs go on."""

    def fail(self, run_id: int, reason: str) -> None:
        """Close a run that cannot go on."""

    def interrupt(self, reason: str) -> int:
        """Put every open assignment back, to go on later; say how many there were."""
