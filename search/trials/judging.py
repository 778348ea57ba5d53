"""Whether a trial can be judged, and whether the pruner stops it."""

from __future__ import annotations

import logging

import optuna

from search.trials.foreign import brief, safely
from search.trials.history import for_pruner
from search.trials.open_trial import OpenTrial
from search.trials.sampling import history_of
from search.trials.study import OpenedStudy
from space.epochs import Epoch
from space.study.own import title
from storage.tables.attributes import BASELINE, SPARED

__all__ = ["Judge"]

logger = logging.getLogger(__name__)


class Judge:
    """Asks a study's pruner; a trial that it cannot judge goes on."""

    def __init__(self, opened: OpenedStudy) -> None:
        """Make the judge of a launch."""
        self._space, self._trials = opened.space, opened.store.optuna_storage
        self._pruner = opened.study.pruner
        of_epochs = {metric.name for metric in opened.measured.metrics}
        self._aims = [o.metric for o in opened.space.objectives if o.metric in of_epochs]
        # Optuna's pruners look at a study's trials.
        self._study = optuna.Study(
            study_name=opened.study.study_name,
            storage=for_pruner(self._trials, history_of(opened.space.pruner)),
            pruner=self._pruner,
        )
        self._has_raised = False

    def cannot(self, epoch: Epoch) -> str | None:
        """Why a trial with such an epoch cannot be judged; None where it can."""
        missing = [name for name in self._aims if name not in epoch.metrics]
        if not missing:
            return None
        return f"it is judged by {missing[0]}, and measures {', '.join(epoch.metrics)}"

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
        if isinstance(self._pruner, optuna.pruners.NopPruner):
            return False
        trial = self._trials.get_trial(trial_id)
        if self._space.prune_baselines or BASELINE not in trial.user_attrs:
            return self._pruner.prune(self._study, trial)
        if SPARED not in trial.user_attrs and self._pruner.prune(self._study, trial):
            self._trials.set_trial_user_attr(trial_id, SPARED, trial.last_step)
        return False
