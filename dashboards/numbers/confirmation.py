"""What the confirmation says: the winner on fresh seeds, and how optimistic the search was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from optuna.study import StudyDirection

from dashboards.numbers.confirmed import ConfirmedTrial, confirmed_trials
from dashboards.numbers.verdicts import Comparison, Optimism, compare_all, optimism, seeds_needed
from storage import Store

__all__ = ["Confirmation", "read_confirmation"]


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """The confirmed trials of a study.

    Attributes:
        metric: The objective that decides.
        trials: The confirmed trials, best mean first; the first is the winner.
        optimism: What the search said of the winner, and what the fresh seeds say.
        baseline: The first baseline that is confirmed, with which the others are compared: settled
            before any fresh seed is seen, as the best one would not be. None without one.
        comparisons: Trial number -> its comparison with that baseline, seed by seed.
    """

    metric: str
    trials: tuple[ConfirmedTrial, ...]
    optimism: Optimism
    baseline: int | None
    comparisons: dict[int, Comparison]

    @property
    def winner(self) -> ConfirmedTrial:
        """The trial with the best mean over the fresh seeds."""
        return self.trials[0]

    @property
    def seeds_needed(self) -> int | None:
        """The seeds with which a difference could be shown, where these are too few for any."""
        if not self.comparisons:
            return None
        needed = seeds_needed(len(self.comparisons) + 1)
        return needed if len(self.trials[0].values) < needed else None


def read_confirmation(
    store: Store, study_id: int, metric: str, baselines: Sequence[int]
) -> Confirmation | None:
    """Read what is confirmed of a study.

    Args:
        store: The store.
        study_id: The study.
        metric: The objective that decides.
        baselines: Numbers of the trials that are baselines.

    Returns:
        The confirmation, or None while no trial has all its fresh seeds.
    """
    trials = [trial for trial in confirmed_trials(store, study_id, metric) if trial.is_finished]
    if not trials:
        return None
    numbers = [trial.trial_number for trial in trials]
    baseline = min((number for number in numbers if number in baselines), default=None)
    comparisons = {}
    if baseline is not None and len(trials) > 1 and len(trials[0].values) > 1:
        results = {str(trial.trial_number): dict(enumerate(trial.values)) for trial in trials}
        maximize = _is_maximized(store, study_id, metric)
        for comparison in compare_all(results, str(baseline), maximize=maximize):
            comparisons[int(comparison.name)] = comparison
    return Confirmation(
        metric=metric,
        trials=tuple(trials),
        optimism=optimism(trials[0].search_value, trials[0].values),
        baseline=baseline,
        comparisons=comparisons,
    )


def _is_maximized(store: Store, study_id: int, metric: str) -> bool:
    index = store.study_records()[study_id].metrics.index(metric)
    with store.guarded():
        directions = store.optuna_storage.get_study_directions(study_id)
    return directions[index] == StudyDirection.MAXIMIZE
