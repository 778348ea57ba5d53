"""What all ledgers share: who assigns runs to workers, hears their reports and decides.

A ledger stands between the store and whoever trains, and knows nothing of Ray. Its vocabulary is
the searcher's: `next_assignment` asks, `report` hears one epoch and decides, `fail` and `interrupt`
close what cannot go on. It is not thread-safe: one driver owns one ledger.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from typing import Generic, Protocol, TypeVar

from search.runs.course import Course
from search.runs.lease import Lease
from search.runs.protocol import Assignment, Report
from space import RunConfig
from storage import NewRun, RunEpoch, RunRecord, Store
from storage.kept_epoch import RunProgress
from trainables.finding.find import trainable_of

__all__ = ["RunLedger"]


class _Holder(Protocol):
    """What is assigned at a time, with the progress of its runs."""

    runs: dict[int, RunProgress]


T = TypeVar("T", bound=_Holder)


class RunLedger(ABC, Generic[T]):
    """Assigns runs, hears of them, and keeps the store true. See the module's docstring."""

    purpose: str
    """What the runs are for: ``"search"``, ``"confirm"`` or ``"benchmark"``."""
    study_id: int | None = None
    """Whose runs they are, if any study's."""
    is_spent = False
    """Whether everything must stop because the budget of epochs is used up."""
    awaits_others = False
    """Whether there will be more to assign once other launches' trials have ended."""

    def __init__(self, store: Store, launch_id: int) -> None:
        """Open the ledger of a launch, which has just begun."""
        self._store = store
        self._launch_id = launch_id
        self.course = Course(self.purpose)
        self._lease = Lease(store, launch_id, self.course)
        self._by_run: dict[int, T] = {}
        """The runs in the hands of workers."""

    @abstractmethod
    def next_assignment(self, beside: RunConfig | None = None) -> Assignment | None:
        """The next assignment for a worker.

        Args:
            beside: What the worker trains already and would train it with; None: nothing.

        Returns:
            The assignment, or None where there is none for now.
        """

    @abstractmethod
    def fail(self, run_id: int, reason: str, traceback: str | None = None) -> None:
        """Close a run that cannot go on, for a reason and by an error."""

    @abstractmethod
    def interrupt(self, reason: str) -> int:
        """Put every open assignment back, to go on later; say how many there were."""

    @abstractmethod
    def _record(self, epochs: list[RunEpoch]) -> Collection[int]:
        """Store epochs that are news; say whose they are, of runs that are still open."""

    @abstractmethod
    def _goes_on(self, report: Report, *, is_news: bool) -> bool:
        """Decide on what a report of an open run made known; say whether the run goes on."""

    def is_open(self, run_id: int) -> bool:
        """Whether a run is in the hands of a worker and may go on."""
        return run_id in self._by_run

    def renew(self) -> None:
        """Keep the launch's lease alive; to be called many times a minute.

        Raises:
            LeaseLostError: If the launch was taken for dead: it must not go on.
        """
        self._lease.renew()

    def holding(self) -> AbstractContextManager[None]:
        """What the launch does inside this says so where another program deleted what it holds."""
        return self._store.holding(self._launch_id, lambda: self._by_run)

    def report(self, reports: Sequence[Report]) -> frozenset[int]:
        """Hear what a worker's step reports.

        Args:
            reports: An epoch's metrics or a failure, of each run that the worker trained.

        Returns:
            The runs that go on.
        """
        self.renew()
        with self.holding():
            epochs = [
                epoch
                for report in reports
                if (opened := self._by_run.get(report.run_id)) is not None
                and (epoch := report.take(opened.runs[report.run_id])) is not None
            ]
            news = self._record(epochs) if epochs else ()
            self.course.n_epochs += len(epochs)
            return frozenset(
                report.run_id
                for report in reports
                if self.is_open(report.run_id)
                and self._goes_on(report, is_news=report.run_id in news)
            )

    def _begin_run(self, config: RunConfig, trial_id: int | None, replicate: int) -> RunRecord:
        """Record that a run began, or that an interrupted one goes on."""
        return self._store.begin_run(
            NewRun(
                launch_id=self._launch_id,
                study_id=self.study_id,
                trial_id=trial_id,
                purpose=self.purpose,
                replicate=replicate,
                config_hash=config.config_hash(),
                config=config.model_dump(mode="json"),
                n_parameters=trainable_of(config).n_parameters(config),
            )
        )
