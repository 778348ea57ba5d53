"""Which trial comes next: one that waits, one that a dead launch left behind, or a new one."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Container

import optuna
from optuna.trial import TrialState

from search.runs.lease import HEARTBEAT_SECONDS, Lease, reclaim_stale
from search.trials.population import may_begin
from search.trials.proposals import Tried
from search.trials.study import OpenedStudy
from space.errors import SearchError
from space.study.samplers import PBTSampler
from storage.optuna_rows.steady import StudyFullError
from storage.tables.attributes import FAIL_REASON

__all__ = ["Asking", "has_levelled"]

logger = logging.getLogger(__name__)


def has_levelled(opened: OpenedStudy) -> bool:
    """Whether so many trials as `limits.plateau` says came after the best one, and none was better.

    Args:
        opened: The study; of its trials those count that are complete or pruned.
    """
    if opened.space.limits.plateau is None:
        return False
    ended = opened.trials(TrialState.COMPLETE, TrialState.PRUNED)
    complete = [trial for trial in ended if trial.state == TrialState.COMPLETE]
    if not complete:
        return False
    sign = -1 if opened.objectives[0].maximize else 1
    best = min(complete, key=lambda trial: (sign * trial.values[0], trial.number))
    n_after = sum(trial.number > best.number for trial in ended)
    return n_after >= opened.space.limits.plateau


class Asking:
    """Asks a study for trials within the budget that its launches share."""

    def __init__(self, opened: OpenedStudy, launch_id: int, lease: Lease) -> None:
        """
        Args:
            opened: The study, with its sampler.
            launch_id: The launch that asks.
            lease: Its right to its trials.
        """
        self._opened, self._study, self._store = opened, opened.study, opened.store
        self._launch_id = launch_id
        self._lease = lease
        self._tried = Tried(opened.space)
        self._looked = -math.inf
        self._said_exhausted = False

    def look_after_others(self) -> None:
        """Put back what launches that died were training, if it is time to look."""
        if time.monotonic() - self._looked >= HEARTBEAT_SECONDS:
            self._looked = time.monotonic()
            if self._lease.outlives_others(self._opened.id):
                self._reclaim()

    def refuse_failing(self, n_in_a_row: int) -> None:
        """Stop a search whose every trial fails: it would go on for as long as it may.

        Args:
            n_in_a_row: So many trials that the launch has begun failed, one after the other.

        Raises:
            SearchError: If those are too many.
        """
        if n_in_a_row < self._opened.space.limits.failures_in_a_row:
            return
        last = self._opened.trials(TrialState.FAIL)[-1]
        raise SearchError(
            f"study '{self._study.study_name}': {n_in_a_row} trials in a row failed, the last of "
            f"them, trial {last.number}, since {last.user_attrs.get(FAIL_REASON)}; mend what their "
            "reasons name and run the same command again: it goes on."
        )

    def next_trial(self, own: Container[int]) -> optuna.Trial | None:
        """The next trial; None where there is none now.

        Args:
            own: The launch's own open trials.
        """
        while True:
            trial = self._ask()
            if trial is not None or own or not self._others_run(own) or not self._reclaim():
                return trial

    def _ask(self) -> optuna.Trial | None:
        """A trial that waits, or a new one; None where the budget has no room for it."""
        # Several launches may share the budget: count and begin in one breath.
        with self._store.locked(self._opened.id):
            if self._may_start():
                # Launches of one process may share the store, too.
                most = self._opened.space.max_trials
                self._store.hold_study(self._opened.id, self._launch_id, most)
                try:
                    return self._study.ask()
                except StudyFullError:
                    logger.debug("another launch asked for the last trial")
        return None

    @property
    def awaits_others(self) -> bool:
        """Whether there are more trials once those of other launches have ended.

        To be asked where the launch has none itself.
        """
        return not self._is_round_open() and self._has_more()

    def _may_start(self) -> bool:
        return self._is_round_open() and self._has_more()

    def _is_round_open(self) -> bool:
        """Whether a population's round may begin; without rounds it always may."""
        sampler = self._opened.space.sampler
        return not isinstance(sampler, PBTSampler) or may_begin(self._opened.trials(), sampler)

    def _has_more(self) -> bool:
        """Whether a trial waits, or there is room and a point left for a new one."""
        study_id, trials = self._opened.id, self._store.optuna_storage
        sampler = self._opened.space.sampler
        if trials.get_n_trials(study_id, TrialState.WAITING) > 0:
            return True
        most = self._opened.space.max_trials
        if most is not None and trials.get_n_trials(study_id) >= most:
            return False
        if has_levelled(self._opened):
            return False
        if isinstance(sampler, PBTSampler):
            return True  # A point may have many trials.
        self._tried.look(trials, study_id)
        if self._tried.left() != []:
            return True
        if not self._said_exhausted:
            self._said_exhausted = True
            logger.warning("every point of the space has its trial: there is no more to propose")
        return False

    def _others_run(self, own: Container[int]) -> bool:
        """Whether trials are in the hands of other launches, alive or dead."""
        running = self._opened.trials(TrialState.RUNNING)
        return any(trial._trial_id not in own for trial in running)

    def _reclaim(self) -> int:
        """Put back what launches that died were training; say how many trials that are."""
        n_reclaimed = reclaim_stale(
            self._study,
            self._store,
            launch_id=self._launch_id,
            allowed_silence=self._lease.allowed_silence,
        )
        if n_reclaimed:
            trials = "1 trial goes" if n_reclaimed == 1 else f"{n_reclaimed} trials go"
            logger.warning("another launch of this study died; its %s on", trials)
        return n_reclaimed
