"""A worker's side of a search: trains an assigned run, checkpoints it and reports every epoch.

An assignment and a report are plain dictionaries, so that they travel between any two processes:

    assignment  {"run_id": 7, "config": {...}, "checkpoint": "/shared/7.pt" | None, "n_epochs": 3,
                 "evaluate": False, "keep": False}
    report      {"run_id": 7, "epoch": {...} | None, "evaluation": {...} | None,
                 "failure": "..." | None, "warning": "..." | None, "worker": "host 4711"}

``n_epochs`` says how many epochs whoever assigned the run has heard of; ``epoch`` holds an
`EpochMetrics`. Where ``evaluate`` asks for it, the report of the last epoch has the kept state's
errors and losses on the training, validation and test pairs; nothing else reads the test split.
``keep`` leaves a checkpoint of the finished run, for a worker that takes over while other runs of
the same trial go on.
"""

from __future__ import annotations

import os
import socket
import time
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any

from space.config import RunConfig
from space.errors import CheckpointError, UserError
from trainables.checkpoint import load_checkpoint, save_checkpoint
from trainables.failures import NonFiniteLossError, TrialFailure
from trainables.image_set import ImageSet
from trainables.metrics import EpochMetrics
from trainables.pairs import draw_test_pairs
from trainables.runs import Run, open_run
from trainables.training import Training

__all__ = ["CHECKPOINT_SECONDS", "AssignedRun"]

CHECKPOINT_SECONDS = 1.0
"""The least time between two checkpoints of a run."""
CHECKPOINT_SHARE = 0.05
"""The most of a run's time that may go into checkpoints. What lies between two checkpoints, and the
epoch in progress, is what a run trains again that lost its worker."""


LONGEST_REASON = 500
"""Characters of a failure's reason; the rest says nothing that the beginning does not."""


class AssignedRun:
    """One assigned run.

    Attributes:
        closed: Whether the run has reported its last.
    """

    def __init__(
        self,
        assignment: dict[str, Any],
        images: ImageSet | None,
        test_images: ImageSet | None = None,
    ) -> None:
        """Take an assignment; nothing is trained or loaded yet.

        Args:
            assignment: See the module's docstring.
            images: The training images of its source, if it needs any.
            test_images: The test images, where the assignment asks for an evaluation.
        """
        self._evaluate: bool = assignment["evaluate"]
        self._keep: bool = assignment["keep"]
        self._test_images = test_images
        self._run_id: int = assignment["run_id"]
        self._config = RunConfig.model_validate(assignment["config"])
        self._path = None if assignment["checkpoint"] is None else Path(assignment["checkpoint"])
        self._n_reported: int = assignment["n_epochs"]
        self._images = images
        self._run: Run | None = None
        self._warning: str | None = None
        self._saved_at = time.monotonic()
        self._save_seconds = 0.0
        self.closed = False

    def step(self) -> dict[str, Any]:
        """Train one epoch and report it.

        An epoch that the checkpoint holds and the driver has not heard of is reported first.

        Returns:
            The report. Whatever goes wrong is a report too: the study must survive any trial.
        """
        self._warning = None
        try:
            if self._run is None:
                self._run = self._open()
            # A driver that died may have missed epochs which the checkpoint holds.
            unreported = self._run.history[self._n_reported :]
            metrics = unreported[0] if unreported else self._run.run_epoch()
        except NonFiniteLossError as failure:
            return self._fail(str(failure), failure.metrics)
        except (TrialFailure, UserError) as failure:
            return self._fail(str(failure))
        except Exception as error:  # the study must survive any trial's bug
            if "CUDA error" in str(error):
                raise  # It outlives the run that met it, so this process must end.
            frame = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(frame.filename).name}:{frame.lineno}"
            return self._fail(f"{type(error).__name__}: {error} ({where})")
        self._n_reported = max(self._n_reported, metrics.epoch)
        self._save()
        self.closed = self._run.finished and self._n_reported >= self._run.epoch
        evaluation = None
        if self.closed and self._evaluate:
            try:
                evaluation = self._evaluation(self._run)
            except TrialFailure as failure:
                return self._fail(str(failure), metrics)
        return self._report(metrics, evaluation=evaluation)

    def _evaluation(self, run: Run) -> dict[str, float]:
        """The kept state's losses and errors on all three parts of the data."""
        if not isinstance(run, Training) or self._test_images is None:
            raise TypeError("only a network can be evaluated, and on test images alone")
        parts = {
            "train": run.pairs.train,
            "val": run.pairs.validation,
            "test": draw_test_pairs(self._test_images, self._config.data),
        }
        found = {}
        for name, pairs in parts.items():
            found[f"{name}_loss"], found[f"{name}_error"] = run.evaluate_kept(pairs)
        return found

    def _open(self) -> Run:
        run = open_run(self._config, self._images)
        if self._path is not None and self._path.exists():
            try:
                load_checkpoint(run, self._path)
            except CheckpointError as error:
                self._warning = f"{error}; the run starts from its first epoch"
        return run

    def _save(self) -> None:
        """Write a checkpoint where one is due; training goes on where it cannot be written."""
        started = time.monotonic()
        wait = max(CHECKPOINT_SECONDS, self._save_seconds / CHECKPOINT_SHARE)
        if self._path is None or self._run is None:
            return
        is_last = self._keep and self._run.finished
        if started - self._saved_at < wait and not is_last:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            save_checkpoint(self._run, self._path)
        except (CheckpointError, OSError) as error:
            self._warning = f"no checkpoint: {error}"
        self._saved_at = time.monotonic()
        self._save_seconds = self._saved_at - started

    def _fail(self, reason: str, metrics: EpochMetrics | None = None) -> dict[str, Any]:
        self.closed = True
        return self._report(metrics, " ".join(reason.split())[:LONGEST_REASON])

    def _report(
        self,
        metrics: EpochMetrics | None,
        failure: str | None = None,
        evaluation: dict[str, float] | None = None,
    ) -> dict[str, Any]:
        return {
            "run_id": self._run_id,
            "epoch": None if metrics is None else asdict(metrics),
            "evaluation": evaluation,
            "failure": failure,
            "warning": self._warning,
            "worker": f"{socket.gethostname()} {os.getpid()}",
        }
