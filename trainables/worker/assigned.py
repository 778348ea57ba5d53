"""A worker's side of a search: trains an assigned run, checkpoints it and reports every epoch.

An assignment and a report are plain dictionaries, so that they travel between any two processes:

    assignment  {"run_id": 7, "config": {...}, "checkpoint": "/shared/7.pt" | None, "n_epochs": 3,
                 "evaluate": False, "together": False, "weights": "/shared/7.safetensors" | None,
                 "before": [{"config": {...}, "checkpoint": "/shared/3.pt"}], "is_kept": False}
    report      {"run_id": 7, "epoch": {...} | None, "evaluation": {...} | None,
                 "other": {...} | None, "failure": "..." | None, "traceback": "..." | None,
                 "warning": "..." | None, "worker": "host 4711 NVIDIA H100 80GB HBM3"}

``n_epochs`` says how many epochs whoever assigned the run has heard of; ``epoch`` holds an
`Epoch`. Where ``evaluate`` asks for it, the report of the last epoch has the kept state's
errors and losses on the training, validation and test pairs, and as ``other`` those of the state
that the other selection would keep, if there is one; nothing else reads the test split.
``together`` lets a worker train the run as one model with others of its architecture; ``weights``
says where the kept state's weights are written once the run is finished. ``before`` names the runs
of its lineage in order: the run goes on from the last one's end, which is trained again, run by
run, where its checkpoint is lost. With ``is_kept`` its own end stays in its checkpoint, for others.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

from upath import UPath

from space.epochs import Epoch
from space.errors import CheckpointError, UserError
from trainables.contract.run import Run
from trainables.contract.run_data import RunData
from trainables.failures import (
    LONGEST_REASON,
    LostTeamError,
    NonFiniteLossError,
    TrialFailure,
    is_device_lost,
    out_of_memory_translated,
)
from trainables.finding.find import read_config, trainable_of
from trainables.tracebacks import describe, traceback_of
from trainables.worker.checkpoint import is_checkpoint, load_checkpoint, save_checkpoint
from trainables.worker.team_run import Members, TeamRun
from trainables.worker.weights import save_weights

if TYPE_CHECKING:
    from trainables.loop.training import Training

__all__ = ["CHECKPOINT_SECONDS", "AssignedRun"]

CHECKPOINT_SECONDS = 1.0
"""The least time between two checkpoints of a run."""
CHECKPOINT_SHARE = 0.05
"""The most of a run's time that may go into checkpoints. What lies between two checkpoints, and the
epoch in progress, is what a run trains again that lost its worker."""


class AssignedRun:
    """One assigned run.

    Attributes:
        closed: Whether the run has reported its last.
        failed: Whether that was a failure.
        together: Whether it may be trained as one model with others.
    """

    def __init__(
        self,
        assignment: dict[str, Any],
        data: RunData,
        *,
        n_together: int = 1,
        members: Members | None = None,
    ) -> None:
        """Take an assignment; nothing is trained or loaded yet.

        Args:
            assignment: See the module's docstring.
            data: What it is trained on, with the test part where the assignment asks for an
                evaluation.
            n_together: How many runs share the process's time, this one among them.
            members: The processes that train it together; None: this one trains it.
        """
        self._evaluate: bool = assignment["evaluate"]
        self.together: bool = assignment["together"]
        self.run_id: int = assignment["run_id"]
        self._config = read_config(assignment["config"])
        self._path = None if assignment["checkpoint"] is None else UPath(assignment["checkpoint"])
        self._weights = UPath(assignment["weights"]) if assignment.get("weights") else None
        self._before: Sequence[dict[str, Any]] = assignment.get("before", ())
        self._is_kept: bool = assignment.get("is_kept", False)
        self._n_reported: int = assignment["n_epochs"]
        self._data = data
        self._n_together = n_together
        self._members = members
        self._run: Run | None = None
        self._warning: str | None = None
        self._unsaved: str | None = None
        self._saved_at = time.monotonic()
        self._save_seconds = 0.0
        self.closed = False
        self.failed = False

    @property
    def takes_a_gpu(self) -> bool:
        """Whether it is trained on a GPU where there is one."""
        return trainable_of(self._config).batched and self._config.training.device != "cpu"

    @property
    def training(self) -> Training | None:
        """The run, once it is prepared, where it is one of those that are trained as one model."""
        is_one = trainable_of(self._config).batched
        return cast("Training | None", self._run if is_one and self._members is None else None)

    def step(self) -> dict[str, Any]:
        """Train one epoch and report it.

        Returns:
            The report; see `prepare` for what comes before an epoch. Whatever goes wrong is a
            report too: the study must survive any trial.
        """
        return self.prepare() or self._guarded(lambda: self._conclude(self._opened().run_epoch()))

    def prepare(self) -> dict[str, Any] | None:
        """Open the run, and report what needs no training.

        Returns:
            An epoch that the checkpoint holds and the driver has not heard of; or why the run
            cannot be opened; or None where the next epoch is to be trained.
        """

        def unreported() -> dict[str, Any]:
            # A driver that died may have missed epochs which the checkpoint holds.
            history = self._opened().history[self._n_reported :]
            return self._conclude(history[0]) if history else {}

        return self._guarded(unreported) or None

    def conclude(self, outcome: Epoch | NonFiniteLossError) -> dict[str, Any]:
        """Report an epoch that the run was trained for elsewhere, and save what is due.

        Args:
            outcome: The epoch's numbers, or why there are no more.

        Returns:
            The report.
        """
        if isinstance(outcome, NonFiniteLossError):
            return self._fail(str(outcome), outcome.metrics)
        return self._guarded(lambda: self._conclude(outcome))

    def start_over(self) -> None:
        """Forget what was trained since the last checkpoint."""
        self._run = None

    def warn(self, text: str) -> None:
        """Say something with the next report.

        Args:
            text: What did not stop the run but should be known.
        """
        self._warning = text if self._warning is None else f"{self._warning}; {text}"

    def _guarded(self, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            # Everything that a run does takes memory, its making and its checkpoints too.
            with out_of_memory_translated(self._config.what):
                return work()
        except NonFiniteLossError as failure:
            return self._fail(str(failure), failure.metrics)
        except TrialFailure as failure:
            return self._fail(str(failure), told=failure.told)
        except UserError as failure:
            return self._fail(str(failure))
        except LostTeamError:
            raise  # It is none of the run's doing, as far as can be told.
        except Exception as error:  # the study must survive any trial's bug
            if is_device_lost():
                raise  # It outlives the run that met it, so this process must end.
            return self._fail(describe(error), told=traceback_of(error))

    def _conclude(self, metrics: Epoch) -> dict[str, Any]:
        run = self._opened()
        self._n_reported = max(self._n_reported, metrics.epoch)
        self._save(run)
        self.closed = run.finished and self._n_reported >= run.epoch
        evaluation: dict[str, float] | None = None
        other: dict[str, float] | None = None
        if self.closed and self._evaluate:
            try:
                evaluation = dict(run.evaluate(self._data.test))
                if run.other is not None:
                    is_one = run.other == run.kept
                    other = dict(
                        evaluation if is_one else run.evaluate(self._data.test, other=True)
                    )
            except TrialFailure as failure:
                return self._fail(str(failure), metrics)
        if self.closed and self._weights is not None:
            try:
                save_weights(run, self._weights)
            except CheckpointError as error:
                self.warn(str(error))
        return self._report(metrics, evaluation=evaluation, other=other)

    def _opened(self) -> Run:
        """The run, at its last checkpoint if it was not open yet."""
        if self._run is not None:
            return self._run
        run: Run
        if self._members is None:
            run = trainable_of(self._config).open_run(self._config, self._data)
        else:
            run = TeamRun(self.run_id, self._config, self._data, self._members)
        try:
            if self._path is not None and is_checkpoint(self._path):
                load_checkpoint(run, self._path)
        except CheckpointError as error:
            self._warning = f"{error}; the run starts from its first epoch"
        if self._before and not run.history:
            run.go_on_from(self._end_of(self._before))
        self._run = run
        return run

    def _end_of(self, lineage: Sequence[dict[str, Any]]) -> Mapping[str, Any]:
        """The state at the end of a lineage; what of it is lost is trained again."""
        *before, last = lineage
        config, path = read_config(last["config"]), UPath(last["checkpoint"])
        run = trainable_of(config).open_run(config, self._data)
        try:
            if is_checkpoint(path):
                load_checkpoint(run, path)
        except CheckpointError as error:
            self.warn(str(error))
        if not run.finished:
            self.warn(f"{path}: the state that it goes on from is lost, and is trained again")
        if before and not run.history:
            run.go_on_from(self._end_of(before))
        while not run.finished:
            run.run_epoch()
        return run.state_dict()

    def _save(self, run: Run) -> None:
        """Write a checkpoint where one is due; training goes on where it cannot be written."""
        started = time.monotonic()
        wait = max(CHECKPOINT_SECONDS, self._n_together * self._save_seconds / CHECKPOINT_SHARE)
        if self._path is None:
            return
        if run.finished and self._is_kept:
            save_checkpoint(run, self._path)
            return
        if started - self._saved_at < wait:
            return
        unsaved = None
        try:
            save_checkpoint(run, self._path)
        except CheckpointError as error:
            unsaved = f"{error}; the run goes on without"
        if unsaved is not None and unsaved != self._unsaved:  # Once, not with every epoch.
            self._warning = unsaved
        self._unsaved = unsaved
        self._saved_at = time.monotonic()
        self._save_seconds = self._saved_at - started

    def _fail(
        self, reason: str, metrics: Epoch | None = None, told: str | None = None
    ) -> dict[str, Any]:
        self.closed = self.failed = True
        return self._report(metrics, " ".join(reason.split())[:LONGEST_REASON], told)

    def _report(
        self,
        metrics: Epoch | None,
        failure: str | None = None,
        told: str | None = None,
        evaluation: dict[str, float] | None = None,
        other: dict[str, float] | None = None,
    ) -> dict[str, Any]:
        if self._run is not None and self._run.notice is not None:
            self.warn(self._run.notice)
            self._run.notice = None
        warning, self._warning = self._warning, None
        return {
            "run_id": self.run_id,
            "epoch": None if metrics is None else asdict(metrics),
            "evaluation": evaluation,
            "other": other,
            "failure": failure,
            "traceback": told,
            "warning": warning,
            "worker": _worker(self._run),
        }


def _worker(run: Run | None) -> str:
    """This process, and the GPU that it trains on."""
    device = "" if run is None else run.device_name
    return f"{socket.gethostname()} {os.getpid()} {device}".strip()
