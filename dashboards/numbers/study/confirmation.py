"""What the confirmation says: the winner on fresh seeds, and how optimistic the search was."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from optuna.trial import TrialState

from dashboards.statistics.verdicts import Comparison, Optimism, compare_all, optimism, seeds_needed
from space.metrics import Measured, Metric
from space.notation import Notation
from storage import Store
from storage.summaries.best import objectives
from storage.summaries.confirmed import ConfirmedTrial, confirmed_trials, failed_seeds

__all__ = ["Confirmation", "read_confirmation"]


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """The confirmed trials of a study.

    Attributes:
        measured: What is measured of the runs.
        metric: The objective that decides.
        trials: The trials that have every fresh seed, best mean first; the first is the winner.
        search_best: The one of them that the search itself judged best, before any fresh seed was
            seen; None where that trial has not every fresh seed.
        failed: Trial number -> on how many fresh seeds it failed: it is not among the trials, as
            the seeds that are left say nothing of those.
        baseline: The first baseline that is confirmed, with which the others are compared: settled
            before any fresh seed is seen, as the best one would not be. None without one.
        comparisons: Trial number -> its comparison with that baseline, seed by seed.
    """

    measured: Measured
    metric: Metric
    trials: tuple[ConfirmedTrial, ...]
    search_best: ConfirmedTrial | None
    failed: dict[int, int]
    baseline: int | None
    comparisons: dict[int, Comparison]

    @property
    def winner(self) -> ConfirmedTrial:
        """The trial with the best mean over the fresh seeds, which is optimistic, too: it was
        chosen by it."""
        return self.trials[0]

    @property
    def notation(self) -> Notation:
        """How the trials' values are written."""
        return self.metric.notation(trial.mean for trial in self.trials)

    @property
    def optimism(self) -> Optimism | None:
        """What the search said of its own best trial, and what the fresh seeds say of it.

        Of the winner it would say nothing: that trial was chosen on the fresh seeds.
        """
        best = self.search_best
        if best is None:
            return None
        return optimism(best.search_value, best.values, maximize=self.metric.maximize)

    @property
    def seeds_needed(self) -> int | None:
        """The seeds with which a difference could be shown, where these are too few for any."""
        if not self.comparisons:
            return None
        needed = seeds_needed(next(iter(self.comparisons.values())).paired.n_comparisons + 1)
        return needed if len(self.trials[0].values) < needed else None


def read_confirmation(store: Store, study_id: int, baselines: Sequence[int]) -> Confirmation | None:
    """Read what is confirmed of a study.

    Args:
        store: The store.
        study_id: The study, whose first objective decides.
        baselines: Numbers of the trials that are baselines, the one that counts first.

    Returns:
        The confirmation, or None while no trial has all its fresh seeds.
    """
    asked = confirmed_trials(store, study_id)
    trials = [trial for trial in asked if trial.is_finished]
    if not trials:
        return None
    numbers = {trial.trial_number for trial in trials}
    baseline = next((number for number in baselines if number in numbers), None)
    measured = store.study_records()[study_id].measured
    metric, *_ = objectives(store, study_id)
    best_value = _best_value(store, study_id, metric)
    comparisons = {}
    if baseline is not None and len(trials) > 1 and len(trials[0].values) > 1:
        results = {
            str(trial.trial_number): dict(zip(trial.replicates, trial.values, strict=True))
            if trial.is_finished
            else {}
            for trial in asked
        }
        for comparison in compare_all(results, str(baseline), maximize=metric.maximize):
            comparisons[int(comparison.name)] = comparison
    return Confirmation(
        measured=measured,
        metric=metric,
        trials=tuple(trials),
        search_best=min(
            (each for each in trials if each.search_value == best_value and not each.was_pruned),
            key=lambda each: each.trial_number,
            default=None,
        ),
        failed=failed_seeds(store, study_id),
        baseline=baseline,
        comparisons=comparisons,
    )


def _best_value(store: Store, study_id: int, metric: Metric) -> float:
    """The best value that a complete trial has of the first objective."""
    with store.guarded():
        complete = store.optuna_storage.get_all_trials(
            study_id, deepcopy=False, states=(TrialState.COMPLETE,)
        )
    worst = -math.inf if metric.maximize else math.inf
    return min((trial.values[0] for trial in complete), key=metric.rank, default=worst)
