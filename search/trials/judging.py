"""Whether the pruner stops a trial."""

from __future__ import annotations

import logging

import optuna

from search.trials.foreign import brief, safely
from search.trials.open_trial import OpenTrial
from search.trials.study import OpenedStudy
from space.study.own import title
from storage.tables.attributes import BASELINE, SPARED

__all__ = ["Judge"]

logger = logging.getLogger(__name__)


class Judge:
    """Asks a study's pruner; a trial that it cannot judge goes on."""

    def __init__(self, opened: OpenedStudy) -> None:
        """Make the judge of a launch."""
        self._study, self._space = opened.study, opened.space
        self._has_raised = False

    def stops(self, opened: OpenTrial) -> bool:
        """Whether the pruner stops a trial after its last report.

        A baseline that may not be stopped is judged until the pruner would have stopped it and then
        no more: at later rungs, which it would not have reached, its values would let others pass.
        """

        def not_judged(error: Exception) -> bool:
            if not self._has_raised:
                self._has_raised = True
                logger.warning(
                    "the %s pruner could not judge trial %d, which goes on (%s); no more is said "
                    "of it",
                    title(self._space.pruner), opened.number, brief(error),
                )  # fmt: skip
            return False

        return safely(lambda: self._is_stopped(opened.trial_id), not_judged)

    def _is_stopped(self, trial_id: int) -> bool:
        pruner, storage = self._study.pruner, self._study._storage
        if isinstance(pruner, optuna.pruners.NopPruner):
            return False
        trial = storage.get_trial(trial_id)
        if self._space.prune_baselines or BASELINE not in trial.user_attrs:
            return pruner.prune(self._study, trial)
        if SPARED not in trial.user_attrs and pruner.prune(self._study, trial):
            storage.set_trial_user_attr(trial_id, SPARED, trial.last_step)
        return False
