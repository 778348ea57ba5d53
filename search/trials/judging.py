"""Whether the pruner stops a trial."""

from __future__ import annotations

import functools
import logging

import optuna

from search.trials.foreign import brief, safely
from search.trials.open_trial import OpenTrial
from space import Space
from storage.tables.attributes import BASELINE, SPARED

__all__ = ["Judge", "is_stopped"]

logger = logging.getLogger(__name__)


class Judge:
    """Asks a study's pruner; a trial that it cannot judge goes on."""

    def __init__(self, study: optuna.Study, space: Space) -> None:
        """Make the judge of a launch.

        Args:
            study: The study with its pruner.
            space: The search space.
        """
        self._study = study
        self._space = space
        self._has_raised = False

    def stops(self, opened: OpenTrial) -> bool:
        """Whether the pruner stops a trial after its last report."""
        too = self._space.prune_baselines
        judge = functools.partial(is_stopped, self._study, opened.trial_id, prune_baselines=too)
        return safely(judge, functools.partial(self._not_judged, opened.view.number))

    def _not_judged(self, number: int, error: Exception) -> bool:
        if not self._has_raised:
            self._has_raised = True
            logger.warning(
                "the %s pruner could not judge trial %d, which goes on (%s); no more is said of it",
                self._space.pruner.name, number, brief(error),
            )  # fmt: skip
        return False


def is_stopped(study: optuna.Study, trial_id: int, *, prune_baselines: bool) -> bool:
    """Whether the pruner stops a trial after its last report.

    Args:
        study: The study with its pruner.
        trial_id: The trial.
        prune_baselines: Whether it may stop a baseline, too. One that may not be stopped is judged
            until the pruner would have stopped it and then no more: at later rungs, which it would
            not have reached, its values would let others pass.
    """
    if isinstance(study.pruner, optuna.pruners.NopPruner):
        return False
    trial = study._storage.get_trial(trial_id)
    if prune_baselines or BASELINE not in trial.user_attrs:
        return study.pruner.prune(study, trial)
    if SPARED not in trial.user_attrs and study.pruner.prune(study, trial):
        study._storage.set_trial_user_attr(trial_id, SPARED, trial.last_step)
    return False
