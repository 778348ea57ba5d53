"""What a sampler or a pruner sees of a study with many trials: the newest of them and the best.

What either computes grows with every trial it looks at. Of a study with no more trials than it may
see, it sees all.
"""

from __future__ import annotations

import bisect
import copy
import itertools
from collections.abc import Container, Sequence
from typing import Any, cast

from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from space.metrics import rank
from storage.optuna_rows.trial_cache import TrialCache

__all__ = ["N_BEST", "History", "bounded", "trials_from", "whole_of"]

N_BEST = 25
"""Of one objective so many: what TPE takes for good trials at the most."""

_ENDED = [state for state in TrialState if state.is_finished()]


def bounded(
    storage: BaseStorage, n_newest: int | None, maximize: Sequence[bool] = ()
) -> BaseStorage:
    """Optuna's storage as a sampler or a pruner is to see it.

    Args:
        storage: The whole.
        n_newest: Trials that are seen, the newest ones; None: all are.
        maximize: Of the objectives, in order, whether large values are good: then the best of the
            older trials are seen, too.
    """
    if n_newest is None:
        return storage
    return cast("BaseStorage", History(storage, n_newest, maximize))


def whole_of(storage: BaseStorage) -> BaseStorage:
    """The whole that a storage shows a part of; else the storage."""
    return storage.whole if isinstance(storage, History) else storage


def trials_from(storage: BaseStorage, study_id: int, place: int) -> list[FrozenTrial]:
    """A study's trials from a place on, also those that a sampler does not see.

    Args:
        storage: The whole, or what shows a part of it.
        study_id: The study.
        place: Of the first trial that is wanted among all of them.

    Returns:
        The trials by their numbers: as they are, not to be changed.
    """
    whole = whole_of(storage)
    if isinstance(whole, TrialCache):
        return whole.get_trials_from(study_id, place)
    return whole.get_all_trials(study_id, deepcopy=False)[place:]


class History:
    """Optuna's storage with some of a study's trials, which are the same in every launch.

    They are the newest; of the older ones those that have not ended and, if asked for, the best: of
    one objective the `N_BEST`, of several those that no other one of them dominates.
    """

    def __init__(self, whole: BaseStorage, n_newest: int, maximize: Sequence[bool]) -> None:
        """See `bounded`."""
        self.whole = whole
        self._n_newest = n_newest
        self._maximize = tuple(maximize)
        self._n_old = 0
        self._pending: list[int] = []
        """Places of older trials that had not ended when they were looked at."""
        self._best: list[tuple[tuple[float, ...], int, FrozenTrial]] = []

    def __getattr__(self, name: str) -> Any:
        """All else is the whole's."""
        return getattr(self.whole, name)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """The trials that are seen, by their numbers."""
        if states is not None and not any(state in states for state in _ENDED):
            return self.whole.get_all_trials(study_id, deepcopy, states)
        found = self._seen(study_id)
        if states is not None:
            found = [trial for trial in found if trial.state in states]
        return copy.deepcopy(found) if deepcopy else found

    def _seen(self, study_id: int) -> list[FrozenTrial]:
        first = min([self._n_old, *self._pending])
        trials = trials_from(self.whole, study_id, first)
        n_old = max(first + len(trials) - self._n_newest, self._n_old)
        places = itertools.chain(self._pending, range(self._n_old, n_old))
        self._n_old, self._pending = n_old, []
        for place, trial in [(place, trials[place - first]) for place in places]:
            if not trial.state.is_finished():
                self._pending.append(place)
            elif trial.state == TrialState.COMPLETE and self._maximize:
                self._consider(trial)
        old = [trials[place - first] for place in self._pending] + [
            trial for *_, trial in self._best
        ]
        return sorted(old, key=lambda trial: trial.number) + trials[n_old - first :]

    def _consider(self, trial: FrozenTrial) -> None:
        """Keep an older trial if it is among the best."""
        values = tuple(map(rank, trial.values, self._maximize))
        if len(values) == 1:
            bisect.insort(self._best, (values, trial.number, trial))
            del self._best[N_BEST:]
        elif not any(_dominates(other, values) for other, *_ in self._best):
            self._best = [each for each in self._best if not _dominates(values, each[0])]
            self._best.append((values, trial.number, trial))


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
