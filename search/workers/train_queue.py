"""Training a queue of runs through Ray Tune: what confirmations and benchmarks share."""

from __future__ import annotations

from collections.abc import Sequence

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from search.runs.queue import QueuedRun, RunQueue
from search.runs.stopping import Stopping
from search.workers.group_size import group_size_of_queue
from search.workers.ray_session import Slots
from search.workers.tune import run_tune
from search.workers.workplace import OpenWorkplace
from space.metrics import Measured
from space.terminal.printing import error_console, say_event
from space.words import count, plural
from storage import Store

__all__ = ["QueueProgress", "train_queue"]


class QueueProgress:
    """What a person sees of a queue: a bar of epochs on a terminal, else a line a run."""

    def __init__(
        self,
        queue: Sequence[QueuedRun],
        *,
        kind: str = "run",
        detail: str = "",
    ) -> None:
        """Begin.

        Args:
            queue: The runs.
            kind: What one of the runs is called.
            detail: What else is to be known of them, said once, after their name.
        """
        self._n_runs, self._n_ended = len(queue), 0
        self._kind, self._detail = kind, detail
        self._bar: Progress | None = None
        if error_console().is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("epochs"),
                TimeElapsedColumn(),
                console=error_console(),
                transient=True,
            )
            total = sum(queued.config.training.epochs for queued in queue)
            self._task = self._bar.add_task(self._description, total=total)
            self._bar.start()

    @property
    def _description(self) -> str:
        return f"{self._n_ended}/{self._n_runs} {plural(self._kind, self._n_runs)}"

    def announce(self, slots: Slots) -> None:
        """Say what is about to be trained, and where."""
        say_event(
            f"{count(self._n_runs, self._kind)}{self._detail}, "
            f"{count(slots.concurrency, 'worker')} on {count(slots.cpus, 'CPU')}"
        )

    def on_epoch(self) -> None:
        """An epoch was recorded."""
        if self._bar is not None:
            self._bar.advance(self._task)

    def on_end(self, queued: QueuedRun, failure: str | None) -> None:
        """A run ended."""
        self._n_ended += 1
        if self._bar is not None:
            self._bar.update(self._task, description=self._description)
        if self._bar is None or failure is not None:
            how = "done" if failure is None else f"FAILED: {failure}"
            say_event(f"{self._n_ended}/{self._n_runs} {queued.label}: {how}")

    def leave(self, n_runs: int) -> None:
        """Say that another launch trains some of the runs, or has done so."""
        say_event(
            f"left to another launch, which trains or has trained them: "
            f"{count(n_runs, self._kind)}; the same command shows them later"
        )

    def close(self) -> None:
        """Take the bar down."""
        if self._bar is not None:
            self._bar.stop()


def train_queue(
    store: Store,
    queue: Sequence[QueuedRun],
    place: OpenWorkplace,
    *,
    launch_id: int,
    study_id: int | None = None,
    measured: Measured,
    progress: QueueProgress,
    stopping: Stopping,
) -> str:
    """Train a queue on the Ray that is up.

    Args:
        store: The store.
        queue: The runs.
        place: Where they are trained.
        launch_id: The launch that trains them.
        study_id: The study that they confirm; None: they are a benchmark's.
        measured: What is measured of the runs.
        progress: What a person sees.
        stopping: When to stop.

    Returns:
        ``"done"``, ``"time limit"`` or ``"interrupted"``.

    Raises:
        UserError: If the store or the cluster does not allow it.
    """
    progress.announce(place.slots)
    group_size = group_size_of_queue([queued.config for queued in queue], place)
    ledger = RunQueue(
        store,
        queue,
        launch_id=launch_id,
        study_id=study_id,
        measured=measured,
        fingerprint=place.data.fingerprint,
        observer=progress,
    )

    ledger.course.stopping = stopping
    ledger.course.n_planned = sum(queued.config.training.epochs for queued in queue)

    def on_step() -> str | None:
        ledger.renew()
        return stopping.reason()

    try:
        status = run_tune(ledger, place, group_size, on_step)
    finally:
        ledger.interrupt("stopped")
    if ledger.n_elsewhere:
        progress.leave(ledger.n_elsewhere)
    return status
