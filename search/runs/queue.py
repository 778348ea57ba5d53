"""A ledger for runs that no sampler proposed and no pruner stops: confirmations and benchmarks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from search.runs.protocol import LOST_WORKER, Assignment, Report
from search.runs.run_ledger import RunLedger
from space import RunConfig
from space.metrics import Measured
from storage import ResultRecord, RunEpoch, RunRecord, Store
from storage.kept_epoch import RunProgress
from storage.leases import is_alive

__all__ = ["QueuedRun", "RunQueue", "has_ended"]


@dataclass(frozen=True, kw_only=True)
class QueuedRun:
    """One run to train to its last epoch.

    Attributes:
        label: What to call it on the screen.
        config: Its complete config.
        trial_id: The trial whose config it is, if any.
        replicate: Which of that trial's runs it is.
    """

    label: str
    config: RunConfig
    trial_id: int | None = None
    replicate: int = 0


class QueueObserver(Protocol):
    """Hears of a queue's events."""

    def on_epoch(self) -> None:
        """An epoch was recorded."""

    def on_end(self, queued: QueuedRun, failure: str | None) -> None:
        """A run ended, or failed for a reason."""


@dataclass(kw_only=True)
class _Open:
    queued: QueuedRun
    runs: dict[int, RunProgress] = field(default_factory=dict)


def has_ended(run: RunRecord) -> bool:
    """Whether a trial's run is complete, or failed in a way in which it would fail again."""
    is_lost = run.reason is not None and run.reason.startswith(LOST_WORKER)
    return run.state == "complete" or (run.state == "failed" and not is_lost)


class RunQueue(RunLedger[_Open]):
    """Assigns queued runs in order, records every epoch, and never stops one early.

    A run that was interrupted by an earlier launch goes on from its checkpoint.

    Attributes:
        n_elsewhere: Runs that were left to another launch, which trains them or has done so.
    """

    def __init__(
        self,
        store: Store,
        queue: Sequence[QueuedRun],
        *,
        launch_id: int,
        study_id: int | None,
        measured: Measured,
        fingerprint: str,
        observer: QueueObserver,
    ) -> None:
        """Make the queue.

        Args:
            store: The store.
            queue: The runs, in the order they begin.
            launch_id: The launch that trains them.
            study_id: The study that they confirm; None: they are a benchmark's, whose final errors
                are measured and recorded, the test error among them.
            measured: What is measured of the runs.
            fingerprint: Of the data, recorded with each result.
            observer: Hears of every epoch and of every run that ends.
        """
        self.purpose = "benchmark" if study_id is None else "confirm"
        super().__init__(store, launch_id)
        self.study_id = study_id
        self._queue = list(queue)
        self._evaluate = study_id is None
        self._measured = measured
        self._fingerprint = fingerprint
        self._observer = observer
        self.n_elsewhere = 0

    def next_assignment(self, beside: RunConfig | None = None) -> Assignment | None:
        """The next run of the queue that fits, or None once there is none."""
        self.renew()
        wanted = None if beside is None else beside.kind()
        with self.holding():
            for queued in list(self._queue):
                if wanted is not None and queued.config.kind() != wanted:
                    continue
                self._queue.remove(queued)
                # Two launches with one run in their queues: look and begin in one breath.
                with self._store.locked(self.study_id):
                    if not self._is_elsewhere(queued):
                        return self._begin(queued)
                self.n_elsewhere += 1
        return None

    def _is_elsewhere(self, queued: QueuedRun) -> bool:
        """Whether another launch trains a run, or has ended it since the queue was made."""
        others = [run for run in self._same(queued) if run.launch_id != self._launch_id]
        if queued.trial_id is not None:
            is_over = any(has_ended(run) for run in others)
        else:  # One that is complete may be of other data.
            is_over = any(
                run.launch_id != self._launch_id and result.data_fingerprint == self._fingerprint
                for run, result in self._store.results([queued.config.config_hash()])
            )
        if is_over:
            return True
        running = {run.launch_id for run in others if run.state == "running"}
        return bool(running) and any(
            launch.launch_id in running and is_alive(launch) for launch in self._store.launches()
        )

    def _same(self, queued: QueuedRun) -> list[RunRecord]:
        """The runs that the store knows a queued one by."""
        if queued.trial_id is None:
            return self._store.runs_of_config(
                queued.config.config_hash(), purpose=self.purpose, study_id=self.study_id
            )
        key = (queued.trial_id, queued.replicate)
        runs = self._store.runs(self.study_id, self.purpose)
        return [run for run in runs if (run.trial_id, run.replicate) == key]

    def _begin(self, queued: QueuedRun) -> Assignment:
        run = self._begin_run(queued.config, queued.trial_id, queued.replicate)
        epochs = self._store.epochs([run.run_id])[run.run_id]
        progress = RunProgress(self._measured, selection=queued.config.selection, epochs=epochs)
        self._by_run[run.run_id] = _Open(queued=queued, runs={run.run_id: progress})
        # The evaluation comes with the last epoch, so a run that lost it trains that one again.
        last = queued.config.training.epochs - 1
        if run.n_epochs > last:
            run = replace(run, n_epochs=last)
        return Assignment(runs=((run, queued.config),), evaluate=self._evaluate)

    def _record(self, epochs: list[RunEpoch]) -> Collection[int]:
        self._store.record_epochs(self._launch_id, epochs)
        for _ in epochs:
            self._observer.on_epoch()
        return ()

    def _goes_on(self, report: Report, *, is_news: bool) -> bool:
        if report.failure is not None:
            self.fail(report.run_id, report.failure, report.traceback)
            return False
        n_epochs = self._by_run[report.run_id].queued.config.training.epochs
        if report.epoch is None or report.epoch.epoch < n_epochs:
            return True
        if self._evaluate:
            if report.evaluation is None:
                raise ValueError(f"run {report.run_id} ended without an evaluation")
            self._store.record_result(
                ResultRecord(
                    run_id=report.run_id,
                    metrics=report.evaluation,
                    other=report.other or {},
                    data_fingerprint=self._fingerprint,
                )
            )
        self._end(report.run_id, "complete")
        return False

    def fail(self, run_id: int, reason: str, traceback: str | None = None) -> None:
        """Close a run that cannot go on."""
        if self.is_open(run_id):
            self._end(run_id, "failed", reason, traceback)

    def interrupt(self, reason: str) -> int:
        """Leave every open run to go on from its checkpoint; say how many there were."""
        self.renew()
        n_open = len(self._by_run)
        self._store.end_runs(self._by_run, "interrupted", reason)
        self._by_run.clear()
        return n_open

    def _end(
        self, run_id: int, state: str, reason: str | None = None, traceback: str | None = None
    ) -> None:
        self._store.end_run(run_id, state, reason, traceback)
        self._observer.on_end(self._by_run.pop(run_id).queued, reason)
