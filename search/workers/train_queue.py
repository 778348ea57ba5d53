"""Training a queue of runs through Ray Tune: what confirmations and benchmarks share."""

from __future__ import annotations

import contextlib
import datetime
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from search.runs.queue import QueuedRun, RunQueue
from search.workers.group_size import group_size_of_queue
from search.workers.ray_session import Slots, ray_session, slots_for
from search.workers.tune import run_tune
from space import Resources
from space.terminal.counts import count, plural
from space.terminal.printing import error_console, say_error
from storage import Store

if TYPE_CHECKING:
    from trainables.data.image_set import ImageSet

__all__ = ["QueueProgress", "train_on", "train_queue"]


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
        self._say(
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
            self._say(f"{self._n_ended}/{self._n_runs} {queued.label}: {how}")

    def leave(self, n_runs: int) -> None:
        """Say that another launch trains some of the runs, or has done so."""
        self._say(
            f"left to another launch, which trains or has trained them: "
            f"{count(n_runs, self._kind)}; the same command shows them later"
        )

    def close(self) -> None:
        """Take the bar down."""
        if self._bar is not None:
            self._bar.stop()

    def _say(self, line: str) -> None:
        now = datetime.datetime.now().strftime("%H:%M:%S")
        say_error(f"{now} {line}")


def train_queue(
    store: Store,
    queue: Sequence[QueuedRun],
    *,
    purpose: str,
    launch_id: int,
    resources: Resources,
    concurrency: int | Literal["auto"],
    checkpoints: Path,
    images: ImageSet,
    test_images: ImageSet | None,
    fingerprint: str,
    progress: QueueProgress,
    ray_address: str | None,
    verbose: bool,
    stop_requested: Callable[[], bool],
    deadline: float | None = None,
) -> str:
    """Start Ray and train a queue on it.

    Args:
        store: The store.
        queue: The runs.
        purpose: ``"confirm"`` or ``"benchmark"``.
        launch_id: The launch that trains them.
        resources: What a worker occupies, and how many runs it trains together.
        concurrency: The most that may run at once, or as many as fit.
        checkpoints: The directory for the state of unfinished runs.
        images: The training images.
        test_images: The test images, for a benchmark.
        fingerprint: Of the data, recorded with each result.
        progress: What a person sees.
        ray_address: The cluster to join, or None for a Ray of our own.
        verbose: Let the libraries' own messages through.
        stop_requested: Whether a person asks to stop.
        deadline: When to stop (`time.monotonic`), or None.

    Returns:
        ``"done"``, ``"time limit"`` or ``"interrupted"``.

    Raises:
        UserError: If the store or the cluster does not allow it.
    """
    with ray_session(ray_address, verbose=verbose) as scratch:
        slots = slots_for(resources, concurrency, queue[0].config.training)
        return train_on(
            store,
            queue,
            slots=slots,
            scratch=scratch,
            purpose=purpose,
            launch_id=launch_id,
            resources=resources,
            checkpoints=checkpoints,
            images=images,
            test_images=test_images,
            fingerprint=fingerprint,
            progress=progress,
            verbose=verbose,
            stop_requested=stop_requested,
            deadline=deadline,
        )


def train_on(
    store: Store,
    queue: Sequence[QueuedRun],
    *,
    slots: Slots,
    scratch: Path,
    purpose: str,
    launch_id: int,
    resources: Resources,
    checkpoints: Path,
    images: ImageSet | None,
    test_images: ImageSet | None,
    fingerprint: str,
    progress: QueueProgress,
    verbose: bool,
    stop_requested: Callable[[], bool],
    deadline: float | None = None,
) -> str:
    """Train a queue on the Ray that is up; the arguments are those of `train_queue`."""
    progress.announce(slots)
    group_size = group_size_of_queue(
        [queued.config for queued in queue],
        resources.runs_per_trainable,
        slots=slots,
        cpus=resources.cpus,
        images=images,
    )
    ledger = RunQueue(
        store,
        queue,
        purpose=purpose,
        launch_id=launch_id,
        evaluate=test_images is not None,
        fingerprint=fingerprint,
        on_end=progress.on_end,
        on_epoch=progress.on_epoch,
    )

    def on_step() -> str | None:
        ledger.renew()
        if stop_requested():
            return "interrupted"
        is_late = deadline is not None and time.monotonic() >= deadline
        return "time limit" if is_late else None

    with contextlib.ExitStack() as stack:
        stack.callback(ledger.interrupt, "stopped")
        status = run_tune(
            ledger,
            slots=slots,
            group_size=group_size,
            cpus_per_trial=resources.cpus,
            checkpoint_path=lambda uid: checkpoints / f"{uid}.pt",
            on_step=on_step,
            scratch=scratch,
            images=images,
            test_images=test_images,
            verbose=verbose,
        )
    if ledger.n_elsewhere:
        progress.leave(ledger.n_elsewhere)
    return status
