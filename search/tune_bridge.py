"""Ray Tune's three hooks onto the ledger: searcher, scheduler and stopper.

Ray's `OptunaSearch` records pruned trials as complete, loses the report that triggers a stop and
leaves running rows behind on a loss that is not finite. Here every result goes to the scheduler,
which Tune calls for each result without exception as long as no trainable says ``done`` itself;
ours never do. The scheduler hands it to the ledger, and the ledger's decision is Tune's.
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayTaskError
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher
from ray.tune.stopper import Stopper

from search.reports import Report, RunLedger
from space.errors import UserError

__all__ = ["LedgerScheduler", "LedgerSearcher", "LedgerStopper"]

logger = logging.getLogger(__name__)


class LedgerSearcher(Searcher):  # type: ignore[misc]
    """Hands Tune the ledger's assignments, no more at a time than can run at once."""

    def __init__(
        self, ledger: RunLedger, *, max_concurrent: int, checkpoint_path: Callable[[str], Path]
    ) -> None:
        """Make the searcher.

        Args:
            ledger: The launch's ledger.
            max_concurrent: How many trials may run at once; a trial is proposed only when a worker
                is free for it, with all that is known by then.
            checkpoint_path: A run's uid -> where its checkpoint lies.
        """
        super().__init__()
        self._ledger = ledger
        self._max_concurrent = max_concurrent
        self._checkpoint_path = checkpoint_path
        self.run_ids: dict[str, list[int]] = {}
        self._checkpoints: dict[str, list[Path]] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next assignment, None while no worker is free, FINISHED when the budget is spent."""
        if self._ledger.n_open >= self._max_concurrent:
            return None
        assignment = self._ledger.next_assignment()
        if assignment is None:
            return str(Searcher.FINISHED)
        self.run_ids[trial_id] = [run.run_id for run, _ in assignment.runs]
        self._checkpoints[trial_id] = [self._checkpoint_path(run.uid) for run, _ in assignment.runs]
        return {
            "in_turn": assignment.in_turn,
            "runs": [
                {
                    "run_id": run.run_id,
                    "config": config.model_dump(mode="json"),
                    "checkpoint": str(self._checkpoint_path(run.uid)),
                    "n_epochs": run.n_epochs,
                    "evaluate": assignment.evaluate,
                    "keep": len(assignment.runs) > 1,
                }
                for run, config in assignment.runs
            ],
        }

    def delete_checkpoints(self, trial_id: str) -> None:
        """Delete the checkpoints of an assignment that has ended for good.

        Until then those of its finished runs stay: a worker that dies starts all of them again.
        """
        for path in self._checkpoints.pop(trial_id, []):
            path.unlink(missing_ok=True)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Forget a Tune trial; the ledger has closed its runs, or will interrupt them."""
        self.run_ids.pop(trial_id, None)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the store has it all."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the store has it all."""


class LedgerScheduler(TrialScheduler):  # type: ignore[misc]
    """Hands every result to the ledger, and the ledger's decision to Tune."""

    _supports_buffered_results = False

    def __init__(self, ledger: RunLedger, searcher: LedgerSearcher) -> None:
        """Make the scheduler of a launch."""
        super().__init__()
        self._ledger = ledger
        self._searcher = searcher
        self._trials: dict[str, Trial] = {}
        self.error: UserError | None = None

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Report a step's epochs; stop the Tune trial when none of its runs goes on."""
        try:
            open_runs = self._hear(trial.trial_id, result["reports"])
        except UserError as error:
            # Tune would wrap it; the stopper raises it as it is.
            self.error = error
            open_runs = []
        return str(TrialScheduler.CONTINUE if open_runs else TrialScheduler.STOP)

    def _hear(self, trial_id: str, messages: list[dict[str, Any]]) -> list[int]:
        """Hand a step's reports to the ledger; say which runs go on."""
        open_runs = self._searcher.run_ids[trial_id]
        for message in messages:
            report = Report.from_wire(message)
            if report.warning is not None:
                logger.warning("run %d: %s", report.run_id, report.warning)
            if not self._ledger.report(report) and report.run_id in open_runs:
                open_runs.remove(report.run_id)
        # The end of one run may be the end of the trial that others belong to.
        open_runs[:] = [run_id for run_id in open_runs if self._ledger.is_open(run_id)]
        if not open_runs:
            self._searcher.delete_checkpoints(trial_id)
        return open_runs

    @property
    def is_spent(self) -> bool:
        """Whether the study's budget of epochs is used up."""
        return self._ledger.is_spent

    def kill_workers(self) -> None:
        """Kill the worker of every trial that is not finished."""
        for trial in self._trials.values():
            if trial.temporary_state.ray_actor is not None:
                ray.kill(trial.temporary_state.ray_actor)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """A worker died. Tune starts another, up to a bound; after that the trial is FAIL."""
        retrying = trial.should_recover() and trial.status == Trial.ERROR
        reason = _reason(trial)
        logger.warning("a worker died (%s)%s", reason, "; starting another" if retrying else "")
        if not retrying:
            self._trials.pop(trial.trial_id, None)
            n_deaths = trial.run_metadata.num_failures
            try:
                for run_id in self._searcher.run_ids.get(trial.trial_id, []):
                    self._ledger.fail(run_id, f"its worker died {n_deaths} times: {reason}")
            except UserError as error:
                self.error = error
            self._searcher.delete_checkpoints(trial.trial_id)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """The first pending trial; Tune's own scheduler looks through all that ever were."""
        for trial in self._trials.values():
            if trial.status == Trial.PENDING:
                return trial
        return None

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Remember a trial whose worker may have to be killed."""
        self._trials[trial.trial_id] = trial

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Forget a trial; the ledger closed it when it heard its last report."""
        self._trials.pop(trial.trial_id, None)

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        """Forget a trial that never ran."""
        self._trials.pop(trial.trial_id, None)

    def debug_string(self) -> str:
        """What Tune shows of the scheduler."""
        return "Optuna's pruner decides, over the reports in the store."


def _reason(trial: Trial) -> str:
    """Why a Tune trial's worker ended, in one line.

    Tune pickles the error into the driver's own directory; it is read back from there.
    """
    try:
        error = pickle.loads(Path(trial.pickled_error_file).read_bytes())
    except (OSError, TypeError, AttributeError, ImportError, EOFError, pickle.UnpicklingError):
        return "no reason was given"
    if isinstance(error, RayTaskError):
        return " ".join(f"{type(error.cause).__name__}: {error.cause}".split())[:500]
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    details = [line for line in lines if "exit" in line.lower() or "oom" in line.lower()]
    return " ".join(dict.fromkeys([*lines[:1], *details[:1]]))[:500]


class LedgerStopper(Stopper):  # type: ignore[misc]
    """Ends Tune's loop at once when the launch must stop.

    Tune would first wait for every epoch in flight, so the workers are killed: the store and the
    checkpoints have everything up to their last full epoch.

    Attributes:
        reason: Why the launch stopped, or None while it has not.
    """

    def __init__(self, scheduler: LedgerScheduler, on_step: Callable[[], str | None]) -> None:
        """Make the stopper.

        Args:
            scheduler: The launch's scheduler.
            on_step: Called about ten times a second or more; returns why the search must stop now,
                or None.
        """
        self._scheduler = scheduler
        self._on_step = on_step
        self.reason: str | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its stopper at the end, and this one cannot be resumed."""
        return {}

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Never: single trials are the scheduler's."""
        return False

    def stop_all(self) -> bool:
        """Whether the launch must stop now.

        Raises:
            UserError: What the scheduler met and Tune would have wrapped.
        """
        if self._scheduler.error is not None:
            self._scheduler.kill_workers()
            raise self._scheduler.error
        if self.reason is None:
            self.reason = self._on_step()
            if self.reason is None and self._scheduler.is_spent:
                self.reason = "done"
            if self.reason is not None:
                self._scheduler.kill_workers()
        return self.reason is not None
