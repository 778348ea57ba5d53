"""The Ray Tune trainable: trains the runs of one assignment, one epoch a step.

This is the only module of `trainables` that imports Ray. It keeps nothing that the driver must save:
a run's state goes to its own checkpoint file, which whoever trains the run next goes on from.

The assignment in the config, and a step's result, on the wire:

    {"runs": [{"run_id": 7, "config": {...}, "checkpoint": "/shared/7.pt", "n_epochs": 3}, ...]}
    {"reports": [{"run_id": 7, "epoch": {...} | None, "kept": {...}, "best_epoch": 4 | None,
                  "failure": "..." | None, "worker": "host 4711 cpu"}, ...]}
"""

from __future__ import annotations

import logging
import os
import socket
import time
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from ray import tune

from space.config import RunConfig
from space.errors import CheckpointError, UserError
from trainables.checkpoint import load_checkpoint, save_checkpoint
from trainables.failures import NonFiniteLossError, TrialFailure
from trainables.runs import Run, open_run
from trainables.sources import ImageSet

__all__ = ["CHECKPOINT_SECONDS", "RunTrainable"]

logger = logging.getLogger(__name__)

CHECKPOINT_SECONDS = 5.0
"""A run that lost its worker trains again at most this much, and the epoch it was in."""


class RunTrainable(tune.Trainable):
    """Trains the runs it is given, an epoch a step, and reports every one of them."""

    def setup(
        self, config: dict[str, Any], images: Any = None, n_threads: int | None = None
    ) -> None:
        """Open the runs of an assignment.

        Args:
            config: The assignment; see the module's docstring.
            images: The training images in NumPy form (`ImageSet.to_numpy`), or None where no run
                needs any.
            n_threads: Threads for PyTorch, or None to leave its choice.
        """
        if n_threads is not None:
            torch.set_num_threads(n_threads)
        self._images = None if images is None else ImageSet.from_numpy(images)
        self._open(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next assignment into this same process, its libraries and data warm."""
        self._open(new_config)
        return True

    def _open(self, config: dict[str, Any]) -> None:
        self._runs = [_OpenRun(assignment, self._images) for assignment in config["runs"]]

    def step(self) -> dict[str, Any]:
        """Train every open run for an epoch."""
        return {"reports": [run.step() for run in self._runs if not run.closed]}


class _OpenRun:
    """One run of the assignment, its checkpoint file and what it reports."""

    def __init__(self, assignment: dict[str, Any], images: ImageSet | None) -> None:
        self._assignment = assignment
        self._images = images
        self._run: Run | None = None
        self._saved_at = time.monotonic()
        self.closed = False

    def step(self) -> dict[str, Any]:
        """Train one epoch; a failure is a report too, so that Ray has nothing to handle."""
        try:
            if self._run is None:
                self._run = self._open()
            metrics = self._run.run_epoch()
        except NonFiniteLossError as failure:
            self.closed = True
            return self._report(failure.metrics, str(failure))
        except (TrialFailure, UserError) as failure:
            self.closed = True
            return self._report(None, str(failure))
        except Exception as error:  # noqa: BLE001  the study must survive any trial's bug
            self.closed = True
            logger.error("run %s raised", self._assignment["run_id"], exc_info=True)
            frame = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(frame.filename).name}:{frame.lineno}"
            return self._report(None, f"{type(error).__name__}: {error} ({where})")
        failure_of_checkpoint = self._save()
        if self._run.finished or failure_of_checkpoint:
            self.closed = True
        return self._report(metrics, failure_of_checkpoint)

    def _open(self) -> Run:
        config = RunConfig.model_validate(self._assignment["config"])
        run = open_run(config, self._images)
        path = self._path
        if path is not None and path.exists():
            try:
                load_checkpoint(run, path)
            except CheckpointError as error:
                logger.warning("%s; the run starts from its first epoch", error)
                run = open_run(config, self._images)
        return run

    def _save(self) -> str | None:
        """Write a checkpoint where one is due; say why where it cannot be written."""
        path = self._path
        now = time.monotonic()
        if path is None or now - self._saved_at < CHECKPOINT_SECONDS:
            return None
        if self._run is None or self._run.finished:
            return None
        try:
            save_checkpoint(self._run, path)
        except CheckpointError as error:
            return str(error)
        self._saved_at = now
        return None

    @property
    def _path(self) -> Path | None:
        path = self._assignment["checkpoint"]
        return None if path is None else Path(path)

    def _report(self, metrics: Any, failure: str | None) -> dict[str, Any]:
        epoch: dict[str, Any] | None = None
        kept: dict[str, float] = {}
        best_epoch: int | None = None
        if metrics is not None:
            epoch = asdict(metrics)
            state = epoch.pop("kept")
            if state is not None:
                best_epoch = state.pop("best_epoch")
                kept = {**state, **(self._run.totals() if self._run else {})}
        device = getattr(self._run, "device", "cpu")
        return {
            "run_id": self._assignment["run_id"],
            "epoch": epoch,
            "kept": kept,
            "best_epoch": best_epoch,
            "failure": failure,
            "worker": f"{socket.gethostname()} {os.getpid()} {device}",
        }
