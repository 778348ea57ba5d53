"""Ray Tune's three hooks onto the ledger: searcher, scheduler and stopper.

One of Tune's trials is a worker: it trains runs for as long as the ledger has any for it (see
`search.workers.workers`), so that a study's trial costs Tune no start, and one of its results is a
step of all the runs that the worker has.

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
from typing import Any, cast

import ray
from ray.exceptions import RayTaskError
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher
from ray.tune.stopper import Stopper

from search.workers.memory import MemoryWatch
from search.workers.workers import Workers
from space.errors import UserError

__all__ = ["LedgerScheduler", "LedgerSearcher", "LedgerStopper"]

logger = logging.getLogger(__name__)


class LedgerSearcher(Searcher):  # type: ignore[misc]
    """Hands Tune a worker's first runs, for as many workers as there may be at once."""

    def __init__(self, workers: Workers, must_stop: Callable[[], bool]) -> None:
        """Make the searcher of a launch.

        Args:
            workers: What the workers train.
            must_stop: Whether the launch must stop now; Tune does not ask where no worker has
                anything.
        """
        super().__init__()
        self._workers, self._must_stop = workers, must_stop

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """What a worker starts with, None where it has to wait, FINISHED when all is done.

        While others work there may be more to come: what a worker that dies leaves behind, or the
        next round of a population.
        """
        config = self._workers.open(trial_id)
        workers = self._workers
        if config is None and workers.is_idle and (workers.is_done or self._must_stop()):
            return str(Searcher.FINISHED)
        return config

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Nothing: the scheduler hears it first."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the store has it all."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the store has it all."""


class LedgerScheduler(TrialScheduler):  # type: ignore[misc]
    """Hands every result to the ledger, and its decisions to the worker and to Tune."""

    _supports_buffered_results = False

    def __init__(
        self, workers: Workers, memory: MemoryWatch | None = None, *, is_spent: Callable[[], bool]
    ) -> None:
        """Make the scheduler of a launch.

        Args:
            workers: What the workers train.
            memory: Says how much memory they take up; None: that does not matter.
            is_spent: Whether the study's budget of epochs is used up.
        """
        super().__init__()
        self._workers, self._memory = workers, memory
        self.is_spent = is_spent
        self._trials: dict[str, Trial] = {}
        self._killed: dict[str, str] = {}
        self.error: UserError | None = None

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Report a step's epochs; stop the worker when it has nothing more to do."""
        _forget_finished_calls(tune_controller)
        try:
            change = self._workers.hear(trial.trial_id, result["reports"], result["usage"])
        except UserError as error:
            # Tune would wrap it; the stopper raises it as it is.
            self.error = error
            change = None
        if change is None:
            return str(TrialScheduler.STOP)
        if change.drop or change.add:
            # An actor does what one process asks of it in order, and the next step is not yet
            # asked for. Should the worker be dead, Tune will hear of it by that step.
            trial.temporary_state.ray_actor.change.remote(change.drop, change.add)
        return str(TrialScheduler.CONTINUE)

    def kill_workers(self) -> None:
        """Kill the worker of every trial that is not finished."""
        for trial in self._trials.values():
            if trial.temporary_state.ray_actor is not None:
                ray.kill(trial.temporary_state.ray_actor)

    def kill_excessive(self) -> None:
        """Kill the workers that take too long or too much memory, or train what was ended.

        Tune tells of their end as of any other's.
        """
        up = {
            key: trial.temporary_state.ray_actor
            for key, trial in self._trials.items()
            if trial.status == Trial.RUNNING
        }
        excessive = self._workers.abandoned(up) | self._workers.overdue(up)
        if self._memory is not None:
            excessive |= self._workers.oversized(self._memory.look(up))
        for key, reason in excessive.items():
            self._killed[key] = reason
            ray.kill(up[key])

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """A worker died: what it trained goes on with another, within bounds.

        What a user has to mend, such as a GPU that cannot be used, would meet every other, too.
        """
        self._trials.pop(trial.trial_id, None)
        error = _error(trial)
        if isinstance(error, RayTaskError) and isinstance(error.cause, UserError):
            self.error = error.cause
            return
        killed = self._killed.pop(trial.trial_id, None)
        reason = killed or _reason(error)
        try:
            goes_on = self._workers.lose(trial.trial_id, reason)
        except UserError as error:
            self.error = error
            return
        how = "was killed" if killed else "died"
        logger.warning("a worker %s (%s)%s", how, reason, "; starting another" if goes_on else "")

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
        """Forget a worker that has nothing more to do."""
        self._trials.pop(trial.trial_id, None)

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        """Forget a trial that never ran."""
        self._trials.pop(trial.trial_id, None)

    def debug_string(self) -> str:
        """What Tune shows of the scheduler."""
        return "Optuna's pruner decides, over the reports in the store."


def _forget_finished_calls(tune_controller: Any) -> None:
    """Let go of the results that were already handed on.

    Tune keeps the future of every call of an actor, and with it the call's result, until the actor
    ends. A worker of ours lives as long as its launch.
    """
    manager = tune_controller._actor_manager
    unfinished = manager._actor_task_events.get_futures()
    for futures in manager._tracked_actors_to_task_futures.values():
        futures &= unfinished


def _error(trial: Trial) -> Exception | None:
    """What ended a Tune trial's worker.

    Tune pickles the error into the driver's own directory; it is read back from there.
    """
    try:
        found = pickle.loads(Path(trial.pickled_error_file).read_bytes())  # noqa: S301
    except (OSError, TypeError, AttributeError, ImportError, EOFError, pickle.UnpicklingError):
        return None
    return cast(Exception, found)


def _reason(error: Exception | None) -> str:
    """Why a worker ended, in one line."""
    if error is None:
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
            self._scheduler.kill_excessive()
            self.reason = self._on_step()
            if self.reason is None and self._scheduler.is_spent():
                self.reason = "done"
            if self.reason is not None:
                self._scheduler.kill_workers()
        return self.reason is not None
