"""A ledger for runs that no sampler proposed and no pruner stops: confirmations and benchmarks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from search.runs.lease import Lease
from search.runs.protocol import LOST_WORKER, Assignment, Report
from space import RunConfig
from storage import ResultRecord, RunRecord, Store
from storage.kept_epoch import RunProgress
from storage.leases import is_alive
from storage.locking import NO_STUDY, study_lock
from trainables.architecture import architecture
from trainables.runs import count_parameters

__all__ = ["QueuedRun", "RunQueue", "has_ended"]


@dataclass(frozen=True, kw_only=True)
class QueuedRun:
    """One run to train to its last epoch.

    Attributes:
        label: What to call it on the screen.
        config: Its complete config.
        study_id: The study it belongs to, if any.
        trial_id: The trial whose config it is, if any.
        replicate: Which of that trial's runs it is.
    """

    label: str
    config: RunConfig
    study_id: int | None = None
    trial_id: int | None = None
    replicate: int = 0


@dataclass(kw_only=True)
class _Open:
    queued: QueuedRun
    progress: RunProgress


def has_ended(run: RunRecord) -> bool:
    """Whether a trial's run is complete, or failed in a way in which it would fail again."""
    is_lost = run.reason is not None and run.reason.startswith(LOST_WORKER)
    return run.state == "complete" or (run.state == "failed" and not is_lost)


class RunQueue:
    """Assigns queued runs in order, records every epoch, and never stops one early.

    A run that was interrupted by an earlier launch goes on from its checkpoint.
    """

    def __init__(
        self,
        store: Store,
        queue: Sequence[QueuedRun],
        *,
        purpose: str,
        launch_id: int,
        evaluate: bool,
        fingerprint: str,
        on_end: Callable[[QueuedRun, str | None], None],
        on_epoch: Callable[[], None] = lambda: None,
    ) -> None:
        """Make the queue.

        Args:
            store: The store.
            queue: The runs, in the order they begin.
            purpose: ``"confirm"`` or ``"benchmark"``.
            launch_id: The launch that trains them.
            evaluate: Measure and record each run's final errors, the test error among them.
            fingerprint: Of the data, recorded with each result.
            on_end: Called with a run that ended, and why it failed or None.
            on_epoch: Called with every epoch recorded.
        """
        self._store = store
        self._queue = list(queue)
        self._purpose = purpose
        self._launch_id = launch_id
        self._lease = Lease(store, launch_id)
        self._evaluate = evaluate
        self._fingerprint = fingerprint
        self._on_end = on_end
        self._on_epoch = on_epoch
        self._open: dict[int, _Open] = {}
        self.n_failed = 0
        self.n_elsewhere = 0
        """Runs that were left to another launch, which trains them or has done so."""

    @property
    def is_spent(self) -> bool:
        """Never: every run in the queue is trained."""
        return False

    def is_open(self, run_id: int) -> bool:
        """Whether a run is in the hands of a worker."""
        return run_id in self._open

    def renew(self) -> None:
        """Keep the launch's lease alive; to be called many times a minute.

        Raises:
            LeaseLostError: If the launch was taken for dead: it must not go on.
        """
        self._lease.renew()

    def next_assignment(self, beside: RunConfig | None = None) -> Assignment | None:
        """The next run of the queue that fits, or None once there is none."""
        self.renew()
        with self._holding():
            return self._next(beside)

    def _holding(self) -> AbstractContextManager[None]:
        """What the queue does inside this says so where another program deleted what it holds."""
        return self._store.holding(self._launch_id, lambda: self._open)

    def _next(self, beside: RunConfig | None) -> Assignment | None:
        wanted = None if beside is None else architecture(beside)
        for queued in list(self._queue):
            if wanted is not None and architecture(queued.config) != wanted:
                continue
            self._queue.remove(queued)
            # Two launches with one run in their queues: look and begin in one breath.
            with study_lock(self._store, queued.study_id or NO_STUDY):
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
                queued.config.config_hash(), purpose=self._purpose, study_id=queued.study_id
            )
        key = (queued.trial_id, queued.replicate)
        runs = self._store.runs(queued.study_id, self._purpose)
        return [run for run in runs if (run.trial_id, run.replicate) == key]

    def _begin(self, queued: QueuedRun) -> Assignment:
        run = self._store.begin_run(
            launch_id=self._launch_id,
            study_id=queued.study_id,
            trial_id=queued.trial_id,
            purpose=self._purpose,
            replicate=queued.replicate,
            config_hash=queued.config.config_hash(),
            config=queued.config.model_dump(mode="json"),
            n_parameters=count_parameters(queued.config.model),
        )
        epochs = self._store.epochs([run.run_id])[run.run_id]
        progress = RunProgress((), n_parameters=0, epochs=epochs)
        self._open[run.run_id] = _Open(queued=queued, progress=progress)
        # The evaluation comes with the last epoch, so a run that lost it trains that one again.
        last = queued.config.training.epochs - 1
        if run.n_epochs > last:
            run = replace(run, n_epochs=last)
        return Assignment(runs=((run, queued.config),), evaluate=self._evaluate)

    def report(self, reports: Sequence[Report]) -> frozenset[int]:
        """Record what a worker's step reports; say which runs go on."""
        self.renew()
        epochs = [
            epoch
            for report in reports
            if (opened := self._open.get(report.run_id)) is not None
            and (epoch := report.take(opened.progress)) is not None
        ]
        with self._holding():
            if epochs:
                self._store.record_epochs(self._launch_id, epochs)
            for _ in epochs:
                self._on_epoch()
            return frozenset([report.run_id for report in reports if self._conclude(report)])

    def _conclude(self, report: Report) -> bool:
        """Close a run that has ended; say whether it goes on."""
        opened, epoch = self._open.get(report.run_id), report.epoch
        if opened is None:
            return False
        if report.failure is not None:
            self.fail(report.run_id, report.failure)
            return False
        if epoch is None or epoch.epoch < opened.queued.config.training.epochs:
            return True
        if self._evaluate:
            if report.evaluation is None:
                raise ValueError(f"run {report.run_id} ended without an evaluation")
            self._store.record_result(
                ResultRecord(
                    run_id=report.run_id,
                    data_fingerprint=self._fingerprint,
                    **vars(report.evaluation),
                )
            )
        self._end(report.run_id, "complete")
        return False

    def fail(self, run_id: int, reason: str) -> None:
        """Close a run that cannot go on."""
        if run_id in self._open:
            self.n_failed += 1
            self._end(run_id, "failed", reason)

    def interrupt(self, reason: str) -> int:
        """Leave every open run to go on from its checkpoint; say how many there were."""
        self.renew()
        n_open = len(self._open)
        for run_id in list(self._open):
            self._store.end_run(run_id, "interrupted", reason)
            del self._open[run_id]
        return n_open

    def _end(self, run_id: int, state: str, reason: str | None = None) -> None:
        self._store.end_run(run_id, state, reason)
        self._on_end(self._open.pop(run_id).queued, reason)
